"""The Gantt chart: who held which row from when to when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from savile.base._plots import WIDTH, _cut, _figure, _gutter, _legend, _Scale, _text, _vertical_grid, escape


class Span(NamedTuple):
    """One stretch of time in a row: what it is, from when to when, and the number of its colour, 0 to 4."""

    label: str
    start: float
    end: float
    colour: int = 0


def gantt(title: str, rows: Mapping[str, Sequence[Span]], axis: str, colours: Sequence[str] = ()) -> str:
    """Rows of spans over one axis; spans of a row that overlap are drawn in lanes; `colours` names the colours."""
    left, right, top, lane_height = _gutter(list(rows)), WIDTH - 20.0, 24.0 if colours else 6.0, 14.0
    spans = [span for row in rows.values() for span in row]
    scale = _Scale.over([0.0, *(end for span in spans for end in (span.start, span.end))], left, right)
    parts, y = [], top
    for name, row in rows.items():
        lanes: list[float] = []
        for span in sorted(row, key=lambda one: (one.start, one.end)):
            lane = next((i for i, end in enumerate(lanes) if end <= span.start + 1e-9), len(lanes))
            lanes[lane : lane + 1] = [span.end]
            width = max(scale(span.end) - scale(span.start), 1.0)
            parts.append(
                f'<rect class="c{span.colour % 5}" x="{scale(span.start):.1f}" y="{y + lane * lane_height + 1:.1f}" '
                f'width="{width:.1f}" height="{lane_height - 3}" rx="1.5"><title>{escape(span.label)}</title></rect>'
            )
        parts.append(_text(left - 8, y + 11, _cut(name, left - 12), "end", name))
        y += max(len(lanes), 1) * lane_height + 4
    grid = _vertical_grid(scale, top, y)
    parts += [_text(right, y + 34, axis, "end", cls="tick"), *(_legend(colours, right) if colours else [])]
    said = f"{len(spans)} stretches of time in {len(rows)} rows: {', '.join(list(rows)[:20])}."
    return _figure(title, said, y + 42, [*grid, *parts])
