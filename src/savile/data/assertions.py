"""Assertions: checks mined from good and bad rows or from versions of a prompt, kept with the data, run at every later load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict

from savile.base.errors import DataError, InputError, UnknownNameError
from savile.base.page import Page
from savile.base.recipe import SECTION, fill
from savile.base.records import Dataset, Finding
from savile.data import _choose, _mine
from savile.data._checks import Check, holds
from savile.data._draft import Draft, Options, counted, finding

if TYPE_CHECKING:
    from savile.data.sources import Source

AFTER = "profile"


@dataclass(frozen=True)
class Settings:
    """What is checked, and what a violation does: ``note`` it as a finding, or ``refuse`` the file."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    checks: tuple[Check, ...] = ()
    on_failure: Literal["note", "refuse"] = "note"


@dataclass(frozen=True)
class Contract:
    """The checks that were chosen, what they do on the rows they were mined from, and what they make superfluous."""

    checks: tuple[Check, ...]
    choice: _choose.Choice
    subsumed: tuple[Check, ...]
    candidates: int

    def plain(self) -> dict[str, Any]:
        """The settings of this step, ready to be written down."""
        return {"checks": [check.plain() for check in self.checks]}


def mine(
    columns: Mapping[str, Sequence[str]],
    good: np.ndarray,
    versions: tuple[str, str, str] | None = None,
    alpha: float = 0.9,
    tau: float = 0.05,
) -> Contract:
    """The smallest set of checks that catches bad rows and spares good ones.

    Args:
        columns: strings of each column.
        good: which rows are good, bool (n,).
        versions: the old and the new prompt (or JSON schema), and the column that answers it.
        alpha: share of bad rows to be caught.
        tau: share of good rows that may fail.

    Returns:
        The contract; where `alpha` cannot be reached, the best that can, with ``choice.feasible`` False.

    Raises:
        InputError: there are no good rows, or no bad ones.
    """
    if good.all() or not good.any():
        raise InputError("good rows and bad ones", "only one kind", "Give runs of both kinds.")
    found = _mine.candidates(columns, good)
    if versions is not None:
        found = list(dict.fromkeys([*_mine.from_versions(*versions), *found]))
    choice = _choose.smallest(_mine.failures(found, columns), good, alpha, tau)
    chosen = tuple(found[one] for one in choice.chosen)
    return Contract(chosen, choice, tuple(found[one] for one in choice.subsumed), len(found))


def pandera(checks: Sequence[Check]) -> str:
    """Python source of a pandera schema that makes the same checks; the needed package is the extra ``pandera``."""
    lines = [
        "import pandas as pd",
        "import pandera.pandas as pa",
        "",
        "from savile.data._checks import Check, holds",
        "",
        "schema = pa.DataFrameSchema(",
    ]
    lines += ["    checks=["]
    for check in checks:
        test = f"lambda rows: pd.Series(holds({check!r}, rows.fillna('').astype(str)), index=rows.index)"
        lines.append(f"        pa.Check({test}, error={check.words()!r}),")
    return "\n".join([*lines, "    ],", ")", ""])


def apply(draft: Draft, settings: Settings) -> Draft:
    """Run the checks over every row that is used; each that fails becomes a finding.

    Raises:
        UnknownNameError: a check names a column that is not there.
        DataError: rows fail and `on_failure` is ``refuse``.
    """
    names = draft.table.column_names
    for check in settings.checks:
        for name in (check.column, check.other):
            if name is not None and name not in names:
                raise UnknownNameError("column", name, names)
    used = {name for check in settings.checks for name in (check.column, check.other) if name}
    columns = {name: ["" if one is None else str(one) for one in draft.table.column(name).to_pylist()] for name in used}
    results = []
    for check in settings.checks:
        rows = np.flatnonzero(~holds(check, columns) & draft.kept)
        results.append({"check": check.words(), "failed": len(rows)})
        if not len(rows):
            continue
        evidence = f"{counted(len(rows), 'row')} where not: {check.words()}, {draft.where(rows)}."
        if settings.on_failure == "refuse":
            raise DataError(f"rows in which {check.words()}", evidence, "Mend these rows, or change the check.")
        draft = draft.noting(finding("assertion_failed", "warning", rows, evidence, "Mend these rows, or change the check."))
    outcome = {"checks": [check.plain() for check in settings.checks], "results": results}
    return draft.telling("assertions", outcome)


def of_rows(rows: Source, settings: Mapping[str, Any]) -> tuple[Finding, ...]:
    """What the checks say of rows that nothing is learnt from, see `apply`."""
    every = {"given": np.zeros(len(rows.lines), dtype=bool), "kept": np.ones(len(rows.lines), dtype=bool)}
    read = {"table": rows.table, "lines": rows.lines, "file_of": rows.files, "names": rows.names}
    draft = Draft(Path(rows.name), Options(), None, **read, **every)  # type: ignore[arg-type]
    return apply(draft, fill(Settings, settings, "data.steps.assertions")).findings


def section(page: Page, data: Dataset, outcome: Mapping[str, Any]) -> None:
    """Each check and how many rows fail it."""
    page.heading("What was asserted")
    page.table(["Check", "Rows that fail"], [[one["check"], one["failed"]] for one in outcome["results"]])
