"""The page of an audit: findings in order of what they cost, what is behind them, examples, and every change with its undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from savile.base import mask
from savile.base.page import Bar, Page
from savile.data._draft import counted

if TYPE_CHECKING:
    import pyarrow as pa

    from savile.data._audit import Audit
    from savile.data._audit_issue import Issue

EXAMPLES, CHANGES = 5, 200
LENGTH = 120
BLOCKS = 40
TITLE = "What is wrong with your data, and what it costs"


def html(audit: Audit, table: pa.Table, test: pa.Table | None = None) -> str:
    """The whole page; examples are masked, because a page gets sent around."""
    page, masker = Page(TITLE), mask.Masker(mask.policy(None))
    urgent = [issue for issue in audit.issues if issue.severity != "note"]
    words = f"{counted(len(urgent), 'finding')} to look at" if urgent else "nothing to mend"
    page.text(f"{audit.name}: {counted(audit.rows, 'row')}, {counted(len(audit.columns), 'column')}, {words}.", tone="lead")
    changes = audit.changes
    gain = f"{sum(issue.gain for issue in audit.issues if issue.changes):.1f}"
    page.figures(
        [
            ("To mend", str(sum(issue.severity == "error" for issue in audit.issues)), "errors"),
            ("To look at", str(sum(issue.severity == "warning" for issue in audit.issues)), "warnings"),
            ("To know", str(sum(issue.severity == "note" for issue in audit.issues)), "notes"),
            (
                "Repairs ready",
                f"{len(changes):,}",
                f"about {gain} points of accuracy" if changes else "no cell is changed without --fix",
            ),
        ]
    )
    _list(page, audit)
    _plots(page, audit)
    _examples(page, audit, table, test, masker)
    _changes(page, audit, masker)
    return page.html()


def _list(page: Page, audit: Audit) -> None:
    page.heading("What was found")
    if not audit.issues:
        page.text("Nothing.", tone="good")
        return
    page.text(
        "In order of what mending is expected to bring, in points of accuracy by kind and size of the finding, "
        "or of the risk of leaving it. Training again measures it. A click on a head sorts.",
        tone="note",
    )
    head = ["Finding", "Kind", "Seen, and what to do", "Cells", "Gain", "Risk", "Sure"]
    rows = [
        [i.id, kind(i), f"{i.evidence} {i.repair}", len(i.rows), round(i.gain, 2), round(i.risk, 2), round(i.confidence, 2)]
        for i in audit.issues
    ]
    page.table(head, rows)


def kind(issue: Issue) -> str:
    """The rule in words."""
    return issue.rule.replace("_", " ")


def _plots(page: Page, audit: Audit) -> None:
    """Which kinds weigh most, and where in the file they lie."""
    weighed: dict[str, float] = {}
    for issue in audit.issues:
        weighed[kind(issue)] = max(weighed.get(kind(issue), 0.0), issue.rank)
    bars = [Bar(name, round(rank, 3)) for name, rank in sorted(weighed.items(), key=lambda item: -item[1]) if rank > 0]
    if bars:
        page.heading("What weighs most")
        page.bars("Weight by kind of finding", bars[:12])
    placed = [row for issue in audit.issues if issue.severity != "note" and len(issue.rows) < audit.rows for row in issue.rows]
    if len(placed) > 1:
        page.histogram("Where in the file the findings lie", [float(row + 1) for row in placed], "row", min(BLOCKS, audit.rows))


def _examples(page: Page, audit: Audit, table: pa.Table, test: pa.Table | None, masker: mask.Masker) -> None:
    page.heading("Examples")
    for issue in audit.issues:
        source = test if issue.part == "test" and test is not None else table
        if not len(issue.rows) or len(issue.rows) >= source.num_rows or int(issue.rows.max()) >= source.num_rows:
            continue
        names = [issue.column] if issue.column in source.column_names else []
        names += [name for name in source.column_names if name not in names][: 4 - len(names)]
        rows = np.unique(issue.rows)[:EXAMPLES].tolist()
        cells = [[row + 1, *(_cut(masker(source.column(name)[row].as_py() or "")) for name in names)] for row in rows]
        page.table(["Row", *names], cells, caption=f"{issue.id} {kind(issue)}: {issue.column or 'rows'}", folded=True)


def _changes(page: Page, audit: Audit, masker: mask.Masker) -> None:
    changes = audit.changes
    if not changes:
        return
    page.heading("What --fix changes")
    page.text(f"{len(changes):,} cells; the original file stays as it is. --undo ID takes back a change or a finding.")
    rows = [
        [one.id, one.row + 1, one.column, _cut(masker(one.old)), _cut(masker(one.new)), one.confidence, _cut(masker(one.why))]
        for one in changes[:CHANGES]
    ]
    page.table(["Change", "Row", "Column", "Is", "Should be", "Sure", "Because"], rows)


def _cut(text: str) -> str:
    return text if len(text) <= LENGTH else text[: LENGTH - 1] + "…"
