"""The numbers that people get who come without an appointment."""

from __future__ import annotations

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_portal.models.appointments import Appointment
from clinic_portal.models.base import Base


class WalkInTicket(Base):
    """The number of somebody who walked in: each once a day at each place, as the place counts days."""

    __tablename__ = "walk_in_tickets"
    __table_args__ = (UniqueConstraint("location_id", "day", "number"), CheckConstraint("number > 0", name="number"))
    appointment_id: Mapped[int] = mapped_column(ForeignKey("appointments.id"), primary_key=True, autoincrement=False)
    # Kept here too: a visit may be moved to another place afterwards, and its number was given at this one.
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    day: Mapped[date]
    number: Mapped[int]
    appointment: Mapped[Appointment] = relationship()
