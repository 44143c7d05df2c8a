"""What the demo clinic says in German."""

from __future__ import annotations

from clinic_portal.demo.rota import CHECK_UP, HARBOUR, LONG, MILL, PHYSIO, PROCEDURE, SEXUAL_HEALTH, VACCINE

LANGUAGE = "de"

PLACE_TEXTS: dict[str, dict[str, str]] = {
    HARBOUR: {
        "entrance_note": "Die Türen öffnen von selbst; alles ist im Erdgeschoss.",
        "parking_note": "Zwei Plätze für Menschen mit Behinderung vor der Tür.",
    },
    MILL: {"entrance_note": "Bitte klingeln. Die Räume sind im ersten Stock, 18 Stufen hinauf; es gibt keinen Aufzug."},
}
VISIT_TEXTS: dict[str, dict[str, str]] = {
    CHECK_UP: {
        "name": "Untersuchung",
        "hint": "Für neue Beschwerden oder solche, die Sie schon länger haben.",
    },
    LONG: {
        "name": "Lange Untersuchung",
        "hint": "Für mehrere Beschwerden oder die jährliche Untersuchung.",
        "how_to_prepare": "Überlegen Sie, worüber Sie vor allem sprechen möchten.",
        "what_to_bring": "Eine Liste der Medikamente, die Sie nehmen.",
    },
    VACCINE: {
        "name": "Impfung",
        "hint": "Für Grippe-, Reise- und Kinderimpfungen.",
        "how_to_prepare": "Tragen Sie Ärmel, die sich leicht hochkrempeln lassen.",
        "what_to_bring": "Ihren Impfausweis oder den Ihres Kindes.",
    },
    SEXUAL_HEALTH: {
        "name": "Sexuelle Gesundheit",
        "hint": "Für Tests, Verhütung und Beratung. In Nachrichten steht nur „Termin“.",
    },
    PHYSIO: {
        "name": "Physiotherapie",
        "hint": "Für schmerzende oder steife Muskeln und Gelenke, mit Überweisung.",
        "how_to_prepare": "Tragen Sie Kleidung, in der Sie sich bewegen können.",
    },
    PROCEDURE: {
        "name": "Kleiner Eingriff",
        "hint": "Um ein Muttermal, eine Zyste oder einen eingewachsenen Nagel entfernen zu lassen, wenn Ihnen jemand "
        "aus der Praxis dazu geraten hat.",
        "how_to_prepare": "Essen Sie wie immer. Sagen Sie uns vorher Bescheid, wenn Sie Blutverdünner nehmen.",
    },
}

SETTINGS = {
    "opening_hours": "Montag bis Freitag, 8 bis 18 Uhr",
    "urgent_advice": "Wenn es dringend ist, aber kein Notfall, rufen Sie 111 an, Tag und Nacht.",
    "emergency_signs": "\n".join(
        (
            "Schmerzen oder Druck in der Brust, die nicht nachlassen",
            "plötzliche Schwäche im Gesicht, in einem Arm oder Bein, oder Mühe beim Sprechen",
            "starke Atemnot oder blau werdende Lippen",
            "starke Blutungen, die nicht aufhören",
            "plötzliche Schwellung von Lippen, Mund oder Rachen",
            "Gedanken, sich das Leben zu nehmen oder jemanden zu verletzen",
        )
    ),
}
