"""The words for each way to reach somebody: whole sentences, because languages join them differently."""

from __future__ import annotations

from dataclasses import dataclass

from clinic_portal.languages import N_
from clinic_portal.models import ContactKind


@dataclass(frozen=True)
class ContactWords:
    """What pages say about one way to reach somebody; `one` is part of a list in a sentence."""

    name: str
    one: str
    hint: str
    add: str
    change: str
    remove: str
    is_first: str
    is_saved: str
    is_changed: str
    is_removed: str


WORDS = {
    ContactKind.EMAIL: ContactWords(
        name=N_("E-mail address"),
        one=N_("an e-mail address"),
        hint=N_("Like name@example.com"),
        add=N_("Add an e-mail address"),
        change=N_("Change this e-mail address"),
        remove=N_("Are you sure you want to remove this e-mail address?"),
        is_first=N_("We use this e-mail address first now."),
        is_saved=N_("The e-mail address is saved."),
        is_changed=N_("The e-mail address is changed."),
        is_removed=N_("The e-mail address is removed."),
    ),
    ContactKind.MOBILE: ContactWords(
        name=N_("Mobile number"),
        one=N_("a mobile number"),
        hint=N_("Like 07700 900123"),
        add=N_("Add a mobile number"),
        change=N_("Change this mobile number"),
        remove=N_("Are you sure you want to remove this mobile number?"),
        is_first=N_("We use this mobile number first now."),
        is_saved=N_("The mobile number is saved."),
        is_changed=N_("The mobile number is changed."),
        is_removed=N_("The mobile number is removed."),
    ),
    ContactKind.LANDLINE: ContactWords(
        name=N_("Landline number"),
        one=N_("a landline number"),
        hint=N_("With the area code, like 020 7946 0000"),
        add=N_("Add a landline number"),
        change=N_("Change this landline number"),
        remove=N_("Are you sure you want to remove this landline number?"),
        is_first=N_("We use this landline number first now."),
        is_saved=N_("The landline number is saved."),
        is_changed=N_("The landline number is changed."),
        is_removed=N_("The landline number is removed."),
    ),
    ContactKind.POST: ContactWords(
        name=N_("Postal address"),
        one=N_("a postal address"),
        hint=N_("House, street, town and postcode"),
        add=N_("Add a postal address"),
        change=N_("Change this postal address"),
        remove=N_("Are you sure you want to remove this postal address?"),
        is_first=N_("We use this postal address first now."),
        is_saved=N_("The postal address is saved."),
        is_changed=N_("The postal address is changed."),
        is_removed=N_("The postal address is removed."),
    ),
}
