"""Many administrators save a text of messages at the same instant."""

from __future__ import annotations

from collections import Counter

import pytest

from clinic_portal.audit import Actor
from clinic_portal.database import db
from clinic_portal.models import Event
from clinic_portal.notifications.kinds import Text
from clinic_portal.notifications.message_texts import TextKey, change_text, newest, versions
from tests.racing import Race, call
from tests.world import World

pytestmark = pytest.mark.slow

KEY = TextKey(Event.BOOKED, "en")


def word(actor: Actor, subject: str, version: int) -> str:
    row = change_text(actor=actor, key=KEY, text=Text(subject, "", ""), expected_version=version)
    assert row is not None
    return row.subject


@pytest.mark.parametrize("first", [True, False], ids=["the-first-text", "the-next"])
def test_of_many_who_saw_the_same_text_one_saves_and_the_others_are_told(
    any_world: World,
    race: Race,
    first: bool,
) -> None:
    version = 0 if first else 1
    if not first:
        word(any_world.erin, "Hello", 0)
    actors = [any_world.erin, any_world.chen] * 6
    outcomes = race([call(word, actor=one, subject=f"Nr {n}", version=version) for n, one in enumerate(actors)])
    assert Counter(outcome.refusal for outcome in outcomes) == {None: 1, "version_conflict": 11}
    row = newest(db.session(), KEY)
    assert row is not None
    assert [row.subject] == [outcome.value for outcome in outcomes if outcome.is_done]
    assert [one.version for one in versions(db.session(), KEY)] == list(range(version + 1, 0, -1))
