"""Which messages to patients a clinic may word itself, what each may tell, and the words that it has otherwise.

The portal's words are texts of the same kind as a clinic's: made of the translated sentences, with names for the facts.
So both are filled in in one way, and a clinic begins with the words that it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from clinic_portal.languages import N_, translated
from clinic_portal.models import Event

# What a mail about a sensitive visit does not tell.
PRIVATE = frozenset({"place", "clinician", "visit"})


@dataclass(frozen=True)
class Told:
    """A sentence in which a fact stands under another name than its own: `as_` says which is which."""

    sentence: str
    as_: Mapping[str, str]


@dataclass(frozen=True)
class If:
    """A part that is said only when a fact is known; and what is said otherwise."""

    name: str
    then: Part
    otherwise: Part = ""


# Several in a row make one paragraph.
Part = str | Told | If | tuple["Part", ...]


@dataclass(frozen=True)
class Kind:
    """One kind of message: its heading, its own words (one part a paragraph), the facts that it may name."""

    heading: Part
    subject: Part
    names: tuple[str, ...]
    before: tuple[Part, ...] = ()
    after: tuple[Part, ...] = ()
    # Whether it is about a visit, which may be a sensitive one.
    is_about_visit: bool = field(default=True)

    def names_told(self, *, is_neutral: bool) -> frozenset[str]:
        """The facts that its text may name."""
        return frozenset(self.names) - (PRIVATE if is_neutral else frozenset())


@dataclass(frozen=True)
class Text:
    """A subject, the paragraphs before the facts and those after them: sources, to be filled in."""

    subject: str
    before: str
    after: str


class _Names(dict[str, str]):
    """For the % of a sentence: every fact as the name that a text writes for it."""

    def __missing__(self, name: str) -> str:
        return f"{{{{ {name} }}}}"


def built_in(kind: Kind, *, is_neutral: bool) -> Text:
    """The portal's own words in the present language."""
    names = kind.names_told(is_neutral=is_neutral)
    before, after = ("\n\n".join(_sources(parts, names)) for parts in (kind.before, kind.after))
    return Text(source_of(kind.subject, names), before, after)


def source_of(part: Part, names: frozenset[str]) -> str:
    """A part of the portal's own words as a text; what a name that is not told would decide is left out."""
    if isinstance(part, str):
        return translated(part) % _Names() if part else ""
    if isinstance(part, Told):
        return translated(part.sentence) % _Names({as_: f"{{{{ {name} }}}}" for as_, name in part.as_.items()})
    if isinstance(part, tuple):
        return " ".join(_sources(part, names))
    then, otherwise = source_of(part.then, names), source_of(part.otherwise, names)
    if part.name not in names:
        return otherwise
    return f"{{% if {part.name} %}}{then}{f'{{% else %}}{otherwise}' if otherwise else ''}{{% endif %}}"


def _sources(parts: tuple[Part, ...], names: frozenset[str]) -> Iterator[str]:
    return (source for part in parts if (source := source_of(part, names)))


_ALWAYS = ("clinic", "phone")
_VISIT = ("day", "time", "place", "clinician", "visit", "whom", "reference", "how", *_ALWAYS)
_REQUEST = ("visit", "whom", "reference", *_ALWAYS)

_ASKED = If("visit", N_("You asked us for an appointment for: %(visit)s."), N_("You asked us for an appointment."))
_KEEPS = If(
    "has_time",
    N_("You still have the appointment that you have now."),
    N_("You stay on the list, and your place does not change."),
)
_WANTED = If("has_time", N_("Do you still want an earlier time?"), N_("Do you still need an appointment?"))
_FREE = If("has_time", N_("An earlier time is free"), N_("A time is free for you"))
_RECEIVED = N_("We have your request for an appointment")
_NOTHING_FREE = N_("No appointment is free yet that suits you")
_LAPSED = N_("The time that we kept for you has gone")
_DELAYED = N_("Your request takes longer")
_CLOSED = N_("Your request for an appointment")
_INVITED = N_("Please book an appointment")
_VERIFY = N_("Confirm your e-mail address")

KINDS: dict[Event, Kind] = {
    Event.BOOKED: Kind(
        N_("Your appointment is booked"), N_("Your appointment on %(day)s, %(time)s"), _VISIT
    ),
    Event.MOVED: Kind(
        N_("Your appointment has a new time"),
        N_("Your appointment is now on %(day)s, %(time)s"),
        (*_VISIT, "old_day", "old_time"),
        before=(N_("The old time, %(old_day)s, %(old_time)s, no longer stands."),),
    ),
    Event.LENGTHENED: Kind(
        N_("Your appointment takes longer"),
        N_("Your appointment on %(day)s, %(time)s takes longer"),
        (*_VISIT, "minutes"),
        before=(N_("Your appointment begins as before and takes %(minutes)s minutes now."),),
    ),
    Event.RUNNING_LATE: Kind(
        N_("We are running late"),
        N_("Your appointment on %(day)s, %(time)s: we are running late"),
        (*_VISIT, "late_min"),
        before=((
            If("clinician",
               Told(N_("%(name)s is running about %(num)s minutes late."), {"name": "clinician", "num": "late_min"}),
               Told(N_("We are running about %(num)s minutes late."), {"num": "late_min"})),
            If("how", N_("Please still be ready at your time."), N_("Please still come at your time.")),
        ),),
    ),
    Event.MISSED: Kind(
        N_("Do you still need your appointment?"),
        N_("Do you still need your appointment of %(day)s?"),
        ("day", "time", "whom", "reference", *_ALWAYS),
        before=(
            If("whom",
               Told(N_("We did not see %(name)s at this appointment. Something can always come up: it changes nothing "
                       "about how soon there is another one."), {"name": "whom"}),
               N_("We did not see you at this appointment. Something can always come up: it changes nothing about how "
                  "soon you get another one.")),
        ),
        after=(
            N_("If it is not needed any more, you do not need to do anything. If this is wrong, call us, and we put it "
               "right."),
        ),
    ),
    Event.CANCELLED: Kind(
        N_("Your appointment is cancelled"),
        N_("Cancelled: your appointment on %(day)s, %(time)s"),
        ("day", "time", "whom", "reference", *_ALWAYS),
        before=(N_("You do not need to do anything."),),
    ),
    Event.REMINDER: Kind(
        If("several", N_("A reminder of your appointments"), N_("A reminder of your appointment")),
        If("several", N_("Reminder: your appointments on %(day)s"),
           N_("Reminder: your appointment on %(day)s, %(time)s")),
        ("day", "time", "several", *_ALWAYS),
        after=(N_("If you cannot come, please tell us, even at the last minute: somebody else may need the time."),),
    ),
    Event.REQUEST_RECEIVED: Kind(
        _RECEIVED, _RECEIVED, (*_REQUEST, "is_read_first"),
        before=(_ASKED, If("is_read_first", N_("Somebody at the clinic reads it first."),
                           N_("As soon as a time is found, we tell you."))),
    ),
    Event.WAITLISTED: Kind(
        _NOTHING_FREE, _NOTHING_FREE, _REQUEST,
        before=(_ASKED, N_("Nothing that suits you is free at the moment. You are on our waiting list: as soon as a "
                           "time is freed, we tell you. You need not do anything.")),
    ),
    Event.OFFER: Kind(
        _FREE, _FREE, (*_REQUEST, "has_time", "until"),
        before=(If("visit", N_("This time is free for: %(visit)s"), N_("This time is free:")),),
        after=((N_("You need not take it."), _KEEPS),),
    ),
    Event.OFFER_LAPSED: Kind(
        _LAPSED, _LAPSED, (*_REQUEST, "has_time", "until"),
        before=(N_("We kept a time for you until %(until)s and did not hear from you, so we have offered it to "
                   "somebody else."), _KEEPS),
    ),
    Event.REQUEST_PAUSED: Kind(
        _WANTED, _WANTED, (*_REQUEST, "has_time"),
        before=(N_("We offered you times and did not hear from you. So that they do not go to waste, we offer you no "
                   "more for now."),
                If("has_time", N_("You still have the appointment that you have now."),
                   N_("Your request is kept. Tell us when we should go on."))),
        after=(N_("Behind the link you can tell us to go on."),),
    ),
    Event.REQUEST_DELAYED: Kind(
        _DELAYED, _DELAYED, _REQUEST,
        before=(_ASKED, N_("Something on our side went wrong with it. A person at the clinic looks at it now. Your "
                           "request is kept, with its place.")),
    ),
    Event.REQUEST_CLOSED: Kind(
        _CLOSED, _CLOSED, _REQUEST,
        before=(N_("We have ended your request for an appointment. Sign in to read our answer."),),
    ),
    Event.INVITATION: Kind(
        _INVITED, _INVITED, ("visit", "whom", "first", "last", *_ALWAYS),
        before=(If("visit", N_("We ask you to book an appointment for: %(visit)s."),
                   N_("We ask you to book an appointment.")),),
    ),
    Event.VERIFY: Kind(
        _VERIFY, _VERIFY, _ALWAYS,
        before=(N_("Somebody gave %(clinic)s this e-mail address to be reached about appointments."),),
        is_about_visit=False,
    ),
}  # fmt: skip
