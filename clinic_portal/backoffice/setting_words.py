"""What the people at the clinic call the settings that a visit type can have of its own."""

from __future__ import annotations

# The unit stands beside each; those that are not here are called by their names.
SETTING = {
    "horizon_days": "How far ahead patients book",
    "minimum_notice_min": "Shortest time from booking to visit",
    "remote_notice_min": "Shortest time, by phone or video",
    "new_patient_notice_min": "Shortest time, for new patients",
    "interpreter_notice_days": "Shortest time, with an interpreter",
    "interpreter_extra_min": "Longer with an interpreter",
    "longer_visit_extra_min": "Longer for who needs more time",
    "existing_within_months": "How long somebody stays a known patient",
    "min_days_since_same": "Least time between two of them",
    "max_open_per_patient": "Most of them ahead of one patient",
    "move_cutoff_min": "Moved online until",
    "late_cancel_min": "A cancel is late from",
    "shown_window_min": "Calls are told as a stretch of",
    "reminders": "Reminders",
    "reminders_remote": "Reminders by phone or video",
    "target_urgent_days": "Target when urgent",
    "target_soon_days": "Target when soon",
    "target_routine_days": "Target when routine",
    "target_flexible_days": "Target when flexible",
    "answer_working_days": "Requests are answered within",
    "continuity_tolerance_days": "How much longer to wait for a known clinician",
    "earlier_by_h": "Earlier times from",
    "emergency_signs": "Emergency signs",
}
