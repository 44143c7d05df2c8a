"""The measures drawn: one small chart each, with the interval over the seeds, as one SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import isnan

from tests.simulate.measures import WORDS, Estimate

WIDTH, HEIGHT, COLUMNS, LEFT, TOP = 360, 190, 2, 50, 44


def draw(loads: Sequence[float], found: Mapping[float, Mapping[str, Estimate]]) -> str:
    """One chart for each measure: the load to the right, the mean and its interval upwards."""
    rows = -(-len(WORDS) // COLUMNS)
    charts = [
        f'<g transform="translate({index % COLUMNS * WIDTH} {index // COLUMNS * HEIGHT})">'
        f"{_chart(words, loads, [found[load][name] for load in loads])}</g>"
        for index, (name, words) in enumerate(WORDS.items())
    ]
    size = f'width="{WIDTH * COLUMNS}" height="{HEIGHT * rows}"'
    style = "<style>text{font:12px sans-serif;fill:#212b32}.q{fill:#4c6272}</style>"
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{style}{"".join(charts)}</svg>\n'


def _chart(words: str, loads: Sequence[float], values: Sequence[Estimate]) -> str:
    tops = [value.mean + _half(value) for value in values if not isnan(value.mean)]
    top = max([*tops, 1e-9]) * 1.1
    wide, high = WIDTH - LEFT - 30, HEIGHT - TOP - 34

    def x(index: int) -> float:
        return LEFT + wide * (index + 0.5) / len(loads)

    def y(value: float) -> float:
        return TOP + high * (1 - max(value, 0) / top)

    parts = [f'<text x="10" y="20" font-weight="600">{escape(words)}</text>',
             f'<path d="M{LEFT} {TOP}V{TOP + high}H{WIDTH - 20}" fill="none" stroke="#aeb7bd"/>',
             f'<text class="q" x="{LEFT - 6}" y="{TOP + 10}" text-anchor="end">{top / 1.1:.1f}</text>',
             f'<text class="q" x="{LEFT - 6}" y="{TOP + high}" text-anchor="end">0</text>']  # fmt: skip
    for index, (load, value) in enumerate(zip(loads, values, strict=True)):
        parts.append(f'<text class="q" x="{x(index)}" y="{TOP + high + 18}" text-anchor="middle">load {load}</text>')
        if isnan(value.mean):
            continue
        low, up = y(value.mean - _half(value)), y(value.mean + _half(value))
        parts.append(f'<path d="M{x(index)} {low}V{up}" stroke="#0f766e" stroke-width="3"/>')
        parts.append(f'<circle cx="{x(index)}" cy="{y(value.mean)}" r="5" fill="#0f766e"/>')
        parts.append(f'<text x="{x(index) + 9}" y="{y(value.mean) + 4}">{escape(str(value))}</text>')
    return "".join(parts)


def _half(value: Estimate) -> float:
    return 0.0 if isnan(value.half) else value.half
