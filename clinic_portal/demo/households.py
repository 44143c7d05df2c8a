"""Three hundred made-up people in their households, before anything is written. Pure; the same for the same day."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from clinic_portal.demo.names import HERITAGES, STREETS, Heritage
from clinic_portal.models import ContactKind, Gender, Relation, fold

PATIENTS = 300
SHARE_WITH_ACCOUNT = 0.55
SHARE_NEW = 0.08


@dataclass
class Contact:
    kind: ContactKind
    value: str
    whose: Relation = Relation.SELF
    has_failed: bool = False


@dataclass
class Member:
    """Somebody in a household; `account` is the e-mail address of whoever signs in for them.

    Those with a story (`is_known`) have only the visits that belong to it.
    """

    given: str
    family: str
    gender: Gender
    born_on: date
    language: str
    registered_on: date
    contacts: list[Contact] = field(default_factory=list)
    account: str | None = None
    relation: Relation = Relation.SELF
    deceased_on: date | None = None
    is_known: bool = False


@dataclass
class _Registry:
    """What must not be given out twice, and what all households need."""

    rng: random.Random
    today: date
    numbers: Iterator[int]
    emails: set[str] = field(default_factory=set)

    def mobile(self) -> str:
        """A number from the range kept for drama. Source: Ofcom, numbers for use in TV and radio."""
        return f"07700 900{next(self.numbers):03}"

    def landline(self) -> str:
        return f"020 7946 0{next(self.numbers):03}"

    def email(self, given: str, family: str) -> str:
        name, number = fold(f"{given} {family}").replace(" ", "."), 1
        while (address := f"{name}{number if number > 1 else ''}@example.com") in self.emails:
            number += 1
        self.emails.add(address)
        return address

    def address(self) -> str:
        return f"{self.rng.randint(1, 120)} {self.rng.choice(STREETS)}, London SE{self.rng.randint(1, 28)}"

    def born(self, age: int) -> date:
        """A birth date for somebody who is so many years old today; never after the 28th, so that every year has it."""
        day = self.today - timedelta(days=round(age * 365.25) + self.rng.randint(40, 330))
        return day.replace(day=min(day.day, 28))

    def member(self, given: str, family: str, gender: Gender, age: int, language: str = "en") -> Member:
        is_new = self.rng.random() < SHARE_NEW
        days = self.rng.randint(2, 40) if is_new else self.rng.randint(60, 4000)
        born = self.born(age)
        return Member(given, family, gender, born, language, max(born, self.today - timedelta(days=days)))

    def anybody(self, heritage: Heritage, age: int, household: Sequence[Member] = ()) -> Member:
        """Somebody of that age, with the household's family name and a given name that nobody in it has."""
        names = [(name, Gender.FEMALE) for name in heritage.female] + [(name, Gender.MALE) for name in heritage.male]
        taken = {member.given for member in household}
        given, gender = self.rng.choice([each for each in names if each[0] not in taken])
        family = household[0].family if household else self.rng.choice(heritage.families)
        language = heritage.language if self.rng.random() < 0.5 else "en"
        return self.member(given, family, gender, age, language)


def make_households(rng: random.Random, today: date) -> list[Member]:
    """The people of the clinic; those whom the demo sign-ins name come first."""
    numbers = list(range(100, 1000))
    rng.shuffle(numbers)
    registry = _Registry(rng, today, iter(numbers))
    people = _known(registry)
    kinds = (_single, _couple, _family, _elderly)
    while len(people) < PATIENTS:
        heritage = rng.choices(HERITAGES, [each.share for each in HERITAGES])[0]
        people += rng.choices(kinds, (36, 16, 26, 22))[0](registry, heritage)
    return people[:PATIENTS]


def _known(registry: _Registry) -> list[Member]:
    """The people whom a visitor meets by name, each with something that clinics know."""
    maya = _with_account(_online(registry, registry.member("Maya", "Fernandes", Gender.FEMALE, 34)))
    joanna = _with_account(_online(registry, registry.member("Joanna", "Nowak", Gender.FEMALE, 37, "pl")))
    zofia = _child_of(joanna, registry.member("Zofia", "Nowak", Gender.FEMALE, 6, "pl"))
    adam = _child_of(joanna, registry.member("Adam", "Nowak", Gender.MALE, 3, "pl"))
    helen = _with_account(_online(registry, registry.member("Helen", "Whitfield", Gender.FEMALE, 56)))
    # No e-mail, and a daughter who sees to things.
    george = _by_post(registry, registry.member("George", "Whitfield", Gender.MALE, 87))
    george.account, george.relation = helen.account, Relation.CARER
    meera = _with_account(_online(registry, registry.member("Meera", "Sharma", Gender.FEMALE, 45)))
    anjali = _child_of(meera, registry.member("Anjali", "Sharma", Gender.FEMALE, 15))
    arthur = _by_post(registry, registry.member("Arthur", "Pemberton", Gender.MALE, 79))
    arthur.deceased_on = registry.today - timedelta(days=10)
    # No way to reach him is known: only a person at the desk can tell him anything.
    walter = registry.member("Walter", "Finch", Gender.MALE, 68)
    tunde = _online(registry, registry.member("Tunde", "Balogun", Gender.MALE, 29))
    tunde.contacts[0].has_failed = True
    known = [maya, joanna, zofia, adam, helen, george, meera, anjali, arthur, walter, tunde]
    for member in known:
        member.registered_on = registry.today - timedelta(days=800)
        member.is_known = True
    return known


def _single(registry: _Registry, heritage: Heritage) -> list[Member]:
    adult = registry.anybody(heritage, registry.rng.randint(18, 72))
    return [_maybe_account(registry, _online(registry, adult))]


def _couple(registry: _Registry, heritage: Heritage) -> list[Member]:
    """Two people; often with one e-mail address between them."""
    first = _maybe_account(registry, _online(registry, registry.anybody(heritage, registry.rng.randint(24, 70))))
    second = registry.anybody(heritage, registry.rng.randint(24, 70), [first])
    if registry.rng.random() < 0.4:
        second.contacts = [Contact(ContactKind.EMAIL, first.contacts[0].value, Relation.OTHER),
                           Contact(ContactKind.MOBILE, registry.mobile())]  # fmt: skip
    else:
        _maybe_account(registry, _online(registry, second))
    return [first, second]


def _family(registry: _Registry, heritage: Heritage) -> list[Member]:
    """A parent or two with children who are reached through the first."""
    rng = registry.rng
    age = rng.randint(25, 50)
    parent = _maybe_account(registry, _online(registry, registry.anybody(heritage, age)))
    members = [parent]
    if rng.random() < 0.5:
        other = registry.anybody(heritage, age + rng.randint(-2, 5), members)
        members.append(_maybe_account(registry, _online(registry, other)))
    for _ in range(rng.choice((1, 1, 2, 2, 3))):
        child = registry.anybody(heritage, rng.randint(0, min(14, age - 20)), members)
        members.append(_child_of(parent, child))
    return members


def _elderly(registry: _Registry, heritage: Heritage) -> list[Member]:
    """One or two old people, most of them without e-mail."""
    members = [registry.anybody(heritage, registry.rng.randint(73, 94))]
    if registry.rng.random() < 0.4:
        members.append(registry.anybody(heritage, registry.rng.randint(73, 94), members))
    reach = [_by_post if registry.rng.random() < 0.75 else _online for _ in members]
    return [reached(registry, member) for reached, member in zip(reach, members, strict=True)]


def _online(registry: _Registry, member: Member) -> Member:
    member.contacts = [Contact(ContactKind.EMAIL, registry.email(member.given, member.family)),
                       Contact(ContactKind.MOBILE, registry.mobile())]  # fmt: skip
    return member


def _by_post(registry: _Registry, member: Member) -> Member:
    member.contacts = [Contact(ContactKind.LANDLINE, registry.landline()),
                       Contact(ContactKind.POST, registry.address())]  # fmt: skip
    return member


def _with_account(member: Member) -> Member:
    member.account = member.contacts[0].value
    return member


def _maybe_account(registry: _Registry, member: Member) -> Member:
    return _with_account(member) if registry.rng.random() < SHARE_WITH_ACCOUNT else member


def _child_of(parent: Member, child: Member) -> Member:
    child.contacts = [replace(contact, whose=Relation.PARENT) for contact in parent.contacts]
    child.account, child.relation = parent.account, Relation.PARENT
    child.registered_on = max(parent.registered_on, child.born_on + timedelta(days=7))
    return child
