"""Pages: one self-contained HTML file with tables and plots, readable in light and dark, on paper and without a network.

A page is written from top to bottom; each method adds one piece and gives the page back::

    page = Page("What is wrong with your data").text("3 of 300 rows repeat another.", tone="lead")
    page.heading("Labels").bars("Rows per label", [Bar("refund", 40), Bar("delivery", 25)])
    path.write_text(page.html(), encoding="utf-8")

Everything given is escaped. The content security policy forbids every request, so the file shows the same thing anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from savile.base import _deck, _gantt, _plots
from savile.base._deck import Card
from savile.base._gantt import Span
from savile.base._plots import Bar, Point, escape, number

__all__ = ["Bar", "Card", "Page", "Point", "Span", "escape", "number"]

TONES = ("plain", "lead", "note", "good", "unsure", "bad", "code")


class Page:
    """One report page.

    Args:
        title: the page's only first-level heading.
        lang: language of the words, as in ``en`` or ``zh``.
    """

    def __init__(self, title: str, lang: str = "en") -> None:
        self.title, self.lang = title, lang
        self._parts: list[str] = []
        self._headings: list[str] = []

    def heading(self, text: str) -> Page:
        """Start a section."""
        self._headings.append(text)
        return self._add(f'<h2 id="s{len(self._headings)}">{escape(text)}</h2>')

    def text(self, text: str, tone: str = "plain") -> Page:
        """A paragraph.

        Args:
            text: plain text.
            tone: ``lead`` is large, ``note`` small; ``good``, ``unsure`` and ``bad`` are verdicts; ``code`` keeps spaces.

        Raises:
            ValueError: for a tone that does not exist.
        """
        if tone not in TONES:
            raise ValueError(f"wanted a tone among {', '.join(TONES)}; received {tone!r}")
        return self._add(
            f'<{"pre" if tone == "code" else "p"} class="{tone}">{escape(text)}</{"pre" if tone == "code" else "p"}>'
        )

    def figures(self, rows: Sequence[tuple[str, str, str]]) -> Page:
        """Key figures side by side: (what it is, the figure, a remark or nothing) each."""
        tiles = (
            f"<div><dt>{escape(name)}</dt><dd>{escape(figure)}<small>{escape(remark)}</small></dd></div>"
            for name, figure, remark in rows
        )
        return self._add(f'<dl class="figures">{"".join(tiles)}</dl>')

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "", folded: bool = False) -> Page:
        """A table that sorts by a click on its head. Numbers are set right; True and False become yes and no, None a dash.

        Args:
            head: column names.
            rows: one sequence of cells per row.
            caption: what the table shows; needed when folded.
            folded: closed until opened.
        """
        numeric = [
            any(isinstance(row[i], int | float) and not isinstance(row[i], bool) for row in rows) for i in range(len(head))
        ]
        side = [' class="number"' if one else "" for one in numeric]
        top = "".join(f'<th scope="col"{right}>{escape(name)}</th>' for name, right in zip(head, side, strict=True))
        body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
        said = f"<caption>{escape(caption)}</caption>" if caption and not folded else ""
        table = f'<div class="wide"><table>{said}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
        return self._add(f"<details><summary>{escape(caption)}</summary>{table}</details>" if folded else table)

    def bars(self, title: str, rows: Sequence[Bar], unit: str = "") -> Page:
        """Horizontal bars from 0, with whiskers where a bar has an interval."""
        return self._add(_plots.bars(title, rows, unit))

    def forest(self, title: str, groups: Mapping[str, Sequence[Bar]]) -> Page:
        """Values with intervals, group by group on one axis; the same place in each group has the same colour."""
        return self._add(_plots.forest(title, groups))

    def line(
        self,
        title: str,
        series: Mapping[str, Sequence[Point]],
        axes: tuple[str, str],
        marks: Mapping[str, float] | None = None,
        diagonal: bool = False,
    ) -> Page:
        """Curves through points; `marks` are named vertical lines, `diagonal` draws y = x, `axes` names x and y."""
        return self._add(_plots.line(title, series, axes, marks, diagonal))

    def columns(self, title: str, labels: Sequence[str], values: Sequence[float], marked: Collection[int], mark: str) -> Page:
        """Upright bars in a row, one or more, as of days; those `marked` stand out, and `mark` says what that means."""
        return self._add(_plots.columns(title, labels, values, marked, mark))

    def histogram(self, title: str, values: Sequence[float], axis: str, bins: int = 24) -> Page:
        """How often values fall in each of `bins` ranges of equal width."""
        return self._add(_plots.histogram(title, values, axis, bins))

    def matrix(self, title: str, labels: Sequence[str], counts: Sequence[Sequence[int]], axes: tuple[str, str]) -> Page:
        """A square of counts, rows by columns, shaded by the share of the row; `axes` names rows and columns."""
        return self._add(_plots.matrix(title, labels, counts, axes))

    def gantt(self, title: str, rows: Mapping[str, Sequence[Span]], axis: str, colours: Sequence[str] = ()) -> Page:
        """Who held which row from when to when; `axis` names the time, `colours` what the spans' colours mean."""
        return self._add(_gantt.gantt(title, rows, axis, colours))

    def deck(self, cards: Sequence[Card], file: str) -> Page:
        """Questions answered one by one from the keyboard, whose answers download as `file`; one deck a page."""
        return self._add(_deck.deck(cards, file))

    def html(self) -> str:
        """The whole file."""
        title = escape(self.title)
        links = "".join(f'<a href="#s{i}">{escape(text)}</a>' for i, text in enumerate(self._headings, 1))
        contents = f'<nav aria-label="{title}">{links}</nav>' if len(self._headings) > 3 else ""
        return (
            f'<!doctype html>\n<html lang="{escape(self.lang)}"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><style>{_STYLE}</style></head>\n'
            f"<body><main><h1>{title}</h1>{contents}\n"
            + "\n".join(self._parts)
            + f"\n</main><script>{_SORT}</script></body></html>\n"
        )

    def _add(self, part: str) -> Page:
        self._parts.append(part)
        return self


def _cell(value: Any) -> str:
    """A table cell; numbers carry their exact value for sorting."""
    if isinstance(value, bool):
        return f'<td class="{"yes" if value else "no"}">{"yes" if value else "no"}</td>'
    if isinstance(value, int | float):
        return f'<td class="number" data-value="{json.dumps(value)}">{number(value)}</td>'
    return f"<td>{'–' if value is None else escape(value)}</td>"


_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"

_STYLE = """
:root { color-scheme: light dark;
  --ground: #fbfaf7; --sheet: #fff; --ink: #1d2327; --soft: #5b656c; --rule: #dedbd3;
  --c0: #17667e; --c1: #b8641f; --c2: #71808a; --c3: #7a5aa6; --c4: #4d8a4a;
  --good: #2b7a4b; --unsure: #9a6a00; --bad: #b3372f; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #14181b; --sheet: #1b2024; --ink: #e6e8e9; --soft: #9aa5ac; --rule: #343c42;
  --c0: #58b3cd; --c1: #e39a58; --c2: #98a6b0; --c3: #b094dc; --c4: #84c07f;
  --good: #67c08b; --unsure: #e0b04c; --bad: #ee7b70; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto,
  "Liberation Sans", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 3rem 1.5rem 5rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 1rem; letter-spacing: -0.015em; text-wrap: balance; }
h2 { font-size: 1.25rem; margin: 3.25rem 0 0.75rem; padding-top: 1rem; border-top: 1px solid var(--rule); }
p { max-width: 44rem; margin: 0.6rem 0; }
nav { display: flex; flex-wrap: wrap; gap: 0.25rem 1.1rem; margin: 0 0 1.5rem; font-size: 0.875rem; }
a { color: var(--c0); text-decoration: none; } a:hover, a:focus-visible { text-decoration: underline; }
.lead, .good, .unsure, .bad { font-size: 1.25rem; line-height: 1.5; }
.good, .unsure, .bad { border-left: 4px solid; padding: 0.15rem 0 0.15rem 1rem; }
.good { border-color: var(--good); } .unsure { border-color: var(--unsure); } .bad { border-color: var(--bad); }
.note, caption, figcaption, small { font-size: 0.875rem; color: var(--soft); }
pre { background: var(--sheet); border: 1px solid var(--rule); border-radius: 6px; padding: 0.75rem 1rem; overflow-x: auto;
  font: 0.875rem/1.5 ui-monospace, "Liberation Mono", monospace; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 0.75rem; margin: 1.5rem 0; }
.figures div { background: var(--sheet); border: 1px solid var(--rule); border-radius: 8px; padding: 0.8rem 1rem; }
dt { font-size: 0.875rem; color: var(--soft); }
dd { margin: 0.1rem 0 0; font-size: 1.6rem; line-height: 1.3; font-variant-numeric: tabular-nums; } dd small { display: block; }
.wide, figure { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; margin: 0.75rem 0; }
caption { text-align: left; padding-bottom: 0.4rem; }
th, td { text-align: left; padding: 0.35rem 1.25rem 0.35rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
td { overflow-wrap: break-word; } .number { text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; } .yes { color: var(--good); } .no { color: var(--bad); }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid var(--c0); outline-offset: 2px; }
[aria-sort="ascending"] button::after { content: " ↑"; } [aria-sort="descending"] button::after { content: " ↓"; }
summary { cursor: pointer; color: var(--c0); margin: 0.75rem 0; }
figure { margin: 1.5rem 0; } figcaption { margin-bottom: 0.5rem; color: var(--ink); font-weight: 600; }
svg { display: block; max-width: max(100%, 34rem); height: auto; font-family: inherit; font-variant-numeric: tabular-nums; }
svg text { fill: var(--ink); } svg .tick { fill: var(--soft); } svg .strong { font-weight: 600; }
svg .halo { font-weight: 600; paint-order: stroke; stroke: var(--ground); stroke-width: 4px; }
.grid { stroke: var(--rule); } .frame { fill: none; stroke: var(--rule); }
.dash { fill: none; stroke: var(--soft); stroke-dasharray: 4 4; } .mark { stroke: var(--ink); stroke-dasharray: 2 3; }
.c0 { fill: var(--c0); stroke: var(--c0); } .c1 { fill: var(--c1); stroke: var(--c1); }
.c2 { fill: var(--c2); stroke: var(--c2); } .c3 { fill: var(--c3); stroke: var(--c3); }
.c4 { fill: var(--c4); stroke: var(--c4); } .ink { stroke: var(--ink); }
rect { stroke: none; } .curve { fill: none; stroke-width: 2; stroke-linejoin: round; } .whisker { stroke-width: 2; }
.hit { fill: var(--c2); } .miss { fill: var(--bad); }
@media print { body { background: none; } main { padding: 0; } nav { display: none; }
  figure, .figures div { break-inside: avoid; } }
"""

_SORT = """
for (const table of document.querySelectorAll("table")) table.querySelectorAll("th").forEach((head, column) => {
  const button = document.createElement("button");
  button.append(...head.childNodes);
  head.append(button);
  const key = row => { const cell = row.cells[column]; return cell.dataset.value ? +cell.dataset.value : cell.textContent; };
  button.onclick = () => {
    const turn = head.ariaSort === "ascending" ? -1 : 1;
    table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
    head.ariaSort = turn === 1 ? "ascending" : "descending";
    const order = (a, b) => turn * (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0);
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
  };
});
"""
