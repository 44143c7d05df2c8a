"""The desk plans an absence on pages."""
from __future__ import annotations

from clinic_portal import clock
from clinic_portal.database import db
from clinic_portal.models import Practitioner
from tests.absences import SEVEN, sick_morning
from tests.visitor import Visitor, words_of


def test_walk(app, world):
    m = sick_morning(world)
    with clock.clock_at(SEVEN):
        erin = Visitor(app, "erin")
        chen = db.session().get_one(Practitioner, world.chen_id).public_id
        page = erin.get("/backoffice/away/")
        to = erin.get(f"/backoffice/away/plan/?clinician={chen}&period=today&reason=sick", 303)
        print(to.headers["Location"])
        plan = erin.follow(to)
        print(words_of(plan)[:3000])
