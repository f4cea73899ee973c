"""Plots as inline SVG: every function returns one self-contained ``<figure>``.

Sizes are in SVG units, which are pixels at full width. Colours come from the page's style sheet by class, so a plot follows
the reader's light or dark setting. Every plot has a title and a sentence of description for readers who cannot see it.
"""

from __future__ import annotations

import html
import math
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

WIDTH = 900
_GUTTER = 280  # widest room for labels at the left
_CONTROL = {code: None for code in range(32) if chr(code) not in "\t\n\r"} | {127: None}


class Bar(NamedTuple):
    """One labelled value, with its interval when there is one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None


class Point(NamedTuple):
    """One point of a curve, with its interval when there is one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


def escape(text: object) -> str:
    """Text made safe for HTML, attributes included; control characters are dropped."""
    return html.escape(str(text).translate(_CONTROL))


def number(value: float) -> str:
    """A number as a reader wants it: 3 decimals below 10 (2 digits when tiny), 1 below 1,000, none above."""
    if not math.isfinite(value):
        return "–"
    if float(value).is_integer() or abs(value) >= 1_000:
        return f"{value:,.0f}"
    if abs(value) < 0.01:
        return f"{value:.2g}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def bars(title: str, rows: Sequence[Bar], unit: str = "") -> str:
    """Horizontal bars from 0, with whiskers where there is an interval."""
    left, right, step = _gutter([row.label for row in rows]), WIDTH - 90, 24
    scale = _Scale.over([0.0, *(end for row in rows for end in (row.value, row.high or 0.0, row.low or 0.0))], left, right)
    parts = []
    for i, row in enumerate(rows):
        y = 6 + i * step
        start, end = sorted((scale(0), scale(row.value)))
        parts += [_text(left - 8, y + 13, _cut(row.label, left - 12), "end", row.label)]
        parts += [f'<rect class="c0" x="{start:.1f}" y="{y}" width="{max(end - start, 0.5):.1f}" height="{step - 7}" rx="2"/>']
        parts += _whisker(scale, row, y + 8.5, "ink")
        parts += [_text(scale(max(row.value, row.high or row.value, 0)) + 6, y + 13, number(row.value) + unit)]
    listed = "; ".join(f"{row.label} {number(row.value)}{unit}" for row in rows[:20])
    return _figure(title, f"Bars: {listed}.", len(rows) * step + 10, parts)


def forest(title: str, groups: Mapping[str, Sequence[Bar]]) -> str:
    """Values with intervals, group by group on one axis; the same place in each group has the same colour."""
    rows = [row for group in groups.values() for row in group]
    left, right, step = _gutter([row.label for row in rows]), WIDTH - 170, 20
    scale = _Scale.over([end for row in rows for end in (row.value, row.low, row.high) if end is not None], left + 10, right)
    height = sum(26 + step * len(group) for group in groups.values())
    parts, y = _vertical_grid(scale, 0, height), 0
    for name, group in groups.items():
        parts.append(_text(0, y + 17, name, cls="strong"))
        for place, row in enumerate(group):
            middle = y + 34 + place * step
            parts.append(_text(left - 8, middle + 4, _cut(row.label, left - 12), "end", row.label))
            parts += _whisker(scale, row, middle, f"c{place % 5}")
            parts.append(f'<circle class="c{place % 5}" cx="{scale(row.value):.1f}" cy="{middle}" r="4.5"/>')
            parts.append(_text(right + 16, middle + 4, number(row.value) + _interval(row)))
        y += 26 + step * len(group)
    listed = "; ".join(f"{name}: " + ", ".join(f"{r.label} {number(r.value)}" for r in group) for name, group in groups.items())
    return _figure(title, f"Values with 95 % intervals. {listed}.", height + 24, parts)


def line(
    title: str,
    series: Mapping[str, Sequence[Point]],
    axes: tuple[str, str],
    marks: Mapping[str, float] | None = None,
    diagonal: bool = False,
) -> str:
    """Curves through points; `marks` are named vertical lines, `diagonal` draws y = x."""
    marks = marks or {}
    points = [point for curve in series.values() for point in curve]
    ys = [end for point in points for end in (point.y, point.low, point.high) if end is not None]
    x = _Scale.over([*(point.x for point in points), *marks.values()], 64, WIDTH - 16)
    y = _Scale.over(ys + ([point.x for point in points] if diagonal else []), 290, 30)
    parts = _vertical_grid(x, 30, 290)
    for tick in y.ticks:
        parts.append(f'<line class="grid" x1="64" x2="{WIDTH - 16}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(_text(58, y(tick) + 4, _tick(tick, y.ticks), "end", cls="tick"))
    if diagonal:
        low, high = max(x.low, y.low), min(x.high, y.high)
        parts.append(f'<path class="dash" d="M{x(low):.1f} {y(low):.1f}L{x(high):.1f} {y(high):.1f}"/>')
    for place, curve in enumerate(series.values()):
        parts += _curve(curve, x, y, f"c{place % 5}")
    for row, (name, at) in enumerate(marks.items()):
        end = x(at) > WIDTH / 2
        parts.append(f'<line class="mark" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="30" y2="290"/>')
        parts.append(_text(x(at) + (-6 if end else 6), 44 + 16 * row, name, "end" if end else "start", cls="halo"))
    parts += [_text((64 + WIDTH - 16) / 2, 328, axes[0], "middle"), _text(0, 14, axes[1])]
    parts += _legend(list(series), WIDTH - 16) if len(series) > 1 else []
    ends = "; ".join(f"{name} from {number(c[0].y)} to {number(c[-1].y)}" for name, c in series.items() if c)
    return _figure(title, f"{axes[1]} against {axes[0]}: {ends}.", 336, parts)


def columns(title: str, labels: Sequence[str], values: Sequence[float], marked: Collection[int], mark: str) -> str:
    """Upright bars in a row, as of days; those `marked` stand out, and `mark` says what that means."""
    x, y = _Scale(0.0, float(len(values)), 64, WIDTH - 16), _Scale.over([0.0, *values], 220, 30)
    parts = []
    for tick in y.ticks:
        parts.append(f'<line class="grid" x1="64" x2="{WIDTH - 16}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(_text(58, y(tick) + 4, _tick(tick, y.ticks), "end", cls="tick"))
    every = max(1, -(-len(labels) // 8))
    for i, (label, value) in enumerate(zip(labels, values, strict=True)):
        tip = f"<title>{escape(label)}: {number(round(value, 2))}</title>"
        box = f'x="{x(i) + 1:.1f}" y="{y(value):.1f}" width="{max(x(1) - x(0) - 2, 0.5):.1f}" height="{220 - y(value):.1f}"'
        parts.append(f'<rect class="{"c1" if i in marked else "c0"}" {box}>{tip}</rect>')
        if i % every == 0:
            parts.append(_text(x(i + 0.5), 238, label, "middle" if i else "start", cls="tick"))
    if marked:
        parts.append(f'<circle class="c1" cx="{WIDTH - 28 - _width(mark):.1f}" cy="10" r="4.5"/>')
        parts.append(_text(WIDTH - 18 - _width(mark), 14, mark))
    highest = max(range(len(values)), key=lambda i: values[i], default=0)
    said = (
        f"{len(values)} bars from {labels[0]} to {labels[-1]}; the highest is {number(values[highest])} at {labels[highest]}."
    )
    return _figure(title, said, 246, parts)


def histogram(title: str, values: Sequence[float], axis: str, bins: int = 24) -> str:
    """How often values fall in each of `bins` ranges of equal width."""
    low, high = min(values), max(values)
    width = (high - low) / bins or 1.0
    counts = [0] * bins
    for value in values:
        counts[min(int((value - low) / width), bins - 1)] += 1
    x, y = _Scale(low, low + width * bins, 64, WIDTH - 16), _Scale.over([0, max(counts)], 230, 24)
    parts = []
    for tick in y.ticks:
        parts.append(f'<line class="grid" x1="64" x2="{WIDTH - 16}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(_text(58, y(tick) + 4, _tick(tick, y.ticks), "end", cls="tick"))
    for i, count in enumerate(counts):
        start, end, top = x(low + i * width), x(low + (i + 1) * width), y(count)
        tip = f"<title>{number(low + i * width)} to {number(low + (i + 1) * width)}: {count:,}</title>"
        box = f'x="{start:.1f}" y="{top:.1f}" width="{max(end - start - 1, 0.5):.1f}" height="{230 - top:.1f}"'
        parts.append(f'<rect class="c0" {box}>{tip}</rect>')
    parts += [_text(x(tick), 248, _tick(tick, x.ticks), "middle", cls="tick") for tick in x.ticks]
    parts.append(_text((64 + WIDTH - 16) / 2, 268, axis, "middle"))
    said = f"{len(values):,} values from {number(low)} to {number(high)}; fullest range holds {max(counts):,}."
    return _figure(title, said, 276, parts)


def matrix(title: str, labels: Sequence[str], counts: Sequence[Sequence[int]], axes: tuple[str, str]) -> str:
    """A square of counts, rows by columns, shaded by the share of the row; the diagonal has its own colour."""
    cell = max(11, min(44, 460 // len(labels)))
    font = min(12, cell - 2)
    gutter = min(_GUTTER, max(_width(label) for label in labels) * font / 12 + 16)
    parts = [_text(0, 12, f"{axes[0]} ↓   {axes[1]} →")]
    top, side = 24, cell * len(labels)
    for i, row in enumerate(counts):
        y, total = top + i * cell, sum(row) or 1
        name = _cut(labels[i], (gutter - 10) * 12 / font)
        across = f"translate({gutter - 6:.1f} {y + cell / 2 + font / 3:.1f})"
        down = f"translate({gutter + (i + 0.5) * cell + font / 3:.1f} {top + side + 6}) rotate(-90)"
        for place in (across, down):
            tip = f"<title>{escape(labels[i])}</title>{escape(name)}"
            parts.append(f'<text transform="{place}" text-anchor="end" font-size="{font}">{tip}</text>')
        for j, count in enumerate(row):
            if count:
                tip = f"<title>{escape(labels[i])} → {escape(labels[j])}: {count:,}</title>"
                shade = f'class="{"hit" if i == j else "miss"}" fill-opacity="{0.12 + 0.88 * (count / total) ** 0.5:.2f}"'
                box = f'x="{gutter + j * cell}" y="{y}" width="{cell - 1}" height="{cell - 1}"'
                parts.append(f"<rect {shade} {box}>{tip}</rect>")
                if cell > 28:
                    parts.append(_text(gutter + (j + 0.5) * cell, y + cell / 2 + 4, f"{count:,}", "middle"))
    parts.append(f'<rect class="frame" x="{gutter - 0.5}" y="{top - 0.5}" width="{side}" height="{side}"/>')
    right, whole = sum(row[i] for i, row in enumerate(counts)), sum(map(sum, counts))
    said = f"{axes[0]} in rows, {axes[1]} in columns, {len(labels)} labels; {right:,} of {whole:,} lie on the diagonal."
    return _figure(title, said, top + side + gutter, parts, gutter + side + 4)


class _Scale:
    """Maps [low, high] to pixels."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self.start, self.end = low, high, start, end
        self.ticks = _ticks(low, high)

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> _Scale:
        """A scale whose ends are round numbers around all values."""
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        if high - low <= 1e-9 * max(abs(low), abs(high)):
            low, high = low - 0.5, high + 0.5
        step = _step(low, high)
        return cls(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, start, end)

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def _step(low: float, high: float) -> float:
    """A step of 1, 2 or 5 times a power of ten that cuts the range into four to ten."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.8)


def _ticks(low: float, high: float) -> list[float]:
    step = _step(low, high)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def _tick(value: float, ticks: Sequence[float]) -> str:
    """A tick label with as many decimals as its axis needs."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1
    return f"{value:,.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


def _vertical_grid(scale: _Scale, top: float, bottom: float) -> list[str]:
    parts = []
    for tick in scale.ticks:
        parts.append(f'<line class="grid" x1="{scale(tick):.1f}" x2="{scale(tick):.1f}" y1="{top}" y2="{bottom}"/>')
        parts.append(_text(scale(tick), bottom + 17, _tick(tick, scale.ticks), "middle", cls="tick"))
    return parts


def _curve(curve: Sequence[Point], x: _Scale, y: _Scale, colour: str) -> list[str]:
    path = "L".join(f"{x(point.x):.1f} {y(point.y):.1f}" for point in curve)
    parts = [f'<path class="curve {colour}" d="M{path}"/>'] if curve else []
    for point in curve:
        if point.low is not None and point.high is not None:
            ends = f'y1="{y(point.low):.1f}" y2="{y(point.high):.1f}"'
            parts.append(f'<line class="whisker {colour}" x1="{x(point.x):.1f}" x2="{x(point.x):.1f}" {ends}/>')
            parts.append(f'<circle class="{colour}" cx="{x(point.x):.1f}" cy="{y(point.y):.1f}" r="3.5"/>')
    return parts


def _whisker(scale: _Scale, row: Bar, y: float, colour: str) -> list[str]:
    if row.low is None or row.high is None:
        return []
    return [f'<line class="whisker {colour}" x1="{scale(row.low):.1f}" x2="{scale(row.high):.1f}" y1="{y}" y2="{y}"/>']


def _interval(row: Bar) -> str:
    return "" if row.low is None or row.high is None else f"  [{number(row.low)}, {number(row.high)}]"


def _legend(names: Sequence[str], right: float) -> list[str]:
    parts, x = [], right
    for place, name in reversed(list(enumerate(names))):
        x -= _width(name)
        parts += [_text(x, 14, name), f'<circle class="c{place % 5}" cx="{x - 10:.1f}" cy="10" r="4.5"/>']
        x -= 30
    return parts


def _gutter(labels: Sequence[str]) -> float:
    return min(_GUTTER, max((_width(label) for label in labels), default=0) + 14)


def _width(text: str) -> float:
    """Rough width at 12 pixels: a wide East Asian character takes 12, another 7."""
    return sum(12.0 if unicodedata.east_asian_width(char) in "WF" else 7.0 for char in text)


def _cut(text: str, room: float) -> str:
    """The text, or as much of it as fits, with an ellipsis."""
    while text and _width(text) > room:
        text = text[:-2] + "…" if len(text) > 1 else ""
    return text


def _text(x: float, y: float, text: str, anchor: str = "start", full: str = "", cls: str = "") -> str:
    tip = f"<title>{escape(full)}</title>" if full and full != text else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" text-anchor="{anchor}"{f" class={cls!r}" if cls else ""}>'
        f"{tip}{escape(text)}</text>"
    )


def _figure(title: str, said: str, height: float, parts: Sequence[str], width: float = WIDTH) -> str:
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg role="img" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}"><title>{escape(title)}</title><desc>{escape(said)}</desc>'
        f"{''.join(parts)}</svg></figure>"
    )
