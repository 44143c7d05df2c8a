from __future__ import annotations

import time
from collections import Counter

from clinic_portal import clock
from clinic_portal.database import db
from tests.absences import *
from tests.invariants import broken_invariants


def test_try(any_world):
    m = sick_morning(any_world)
    with clock.clock_at(SEVEN):
        t=time.time()
        p = plan_of(m)
        print('plan', time.time()-t)
        print(Counter((o.chosen.act, o.option.tier if o.option else None) for o in p.visits))
        before = where(m)
        t=time.time(); a = apply(m, as_planned(p)); print('apply', time.time()-t)
        after = where(m)
        for i in m.visits: print(before[i], after[i])
        print(broken_invariants(db.session()))
        t=time.time(); u = undo(m, a); print('undo', time.time()-t)
        print([v.stays_because for v in u.visits])
        assert {k:v for k,v in where(m).items()} == before
        print(broken_invariants(db.session()))
