"""Assertions mined from a file of good and bad rows, written beside it; every later `govern` of that file runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from savile.base import recipe as recipes
from savile.base.errors import InputError, UnknownNameError
from savile.base.events import emit
from savile.flow._result import envelope

GOOD = ("good", "yes", "true", "1", "pass", "passed", "ok", "right", "好", "是", "对", "通过")


def write(path: Path, verdict: str, doing: bool = True) -> dict[str, Any]:
    """Mine the checks and write them as YAML and as a pandera schema; `doing` False only says what they would be.

    Raises:
        UnknownNameError: there is no such column.
        InputError: the rows are all good or all bad, or a contract is there already.
    """
    from savile.data import assertions, sources

    table = sources.read(path).table
    if verdict not in table.column_names:
        raise UnknownNameError("column", verdict, table.column_names)
    columns = {name: ["" if one is None else str(one) for one in table.column(name).to_pylist()] for name in table.column_names}
    good = np.array([value.strip().casefold() in GOOD for value in columns.pop(verdict)])
    contract = assertions.mine(columns, good)
    stem = sources.stem(path)
    target = path.absolute().with_name(f"{stem}.assertions.yaml")
    if doing:
        if target.exists():
            raise InputError("no assertions yet", f"{target}, which is there", "Change it, or move it away first.")
        target.write_text(recipes.write(contract.plain()), encoding="utf-8")
        target.with_suffix(".py").write_text(assertions.pandera(contract.checks), encoding="utf-8")
    choice = contract.choice
    rows = [[check.words()] for check in contract.checks]
    emit("table", title=f"Assertions, {len(rows)} of {contract.candidates} candidates", head=["Check"], rows=rows)
    if not choice.feasible:
        emit("warning", text=f"No set catches 90 % of the bad rows; the best there is catches {choice.coverage:.0%}.")
    said = {"coverage": choice.coverage, "false_failures": choice.false_failures, "feasible": choice.feasible}
    listed = {"checks": [check.plain() for check in contract.checks], "subsumed": len(contract.subsumed)}
    return {**envelope("init"), "assertions": str(target), **said, **listed, "candidates": contract.candidates}
