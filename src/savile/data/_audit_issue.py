"""One thing an audit found: what was seen, how sure that is, what it costs, how it is mended and how that is undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from savile.base.records import canonical, digest

SHOWN = 5
ROWS = 1_000
# Points of accuracy that a row of this kind costs, where the whole file of them would cost so many; and the risk it is, 0 to 1.
# They order a list; what mending really gains is measured by training again.
COSTS = {
    "leakage": (0.0, 1.0),
    "test_overlap": (0.0, 1.0),
    "target_leak": (0.0, 0.9),
    "label_error": (45.0, 0.5),
    "wrong_label": (45.0, 0.5),
    "label_conflict": (40.0, 0.4),
    "source_shift": (30.0, 0.6),
    "file_shift": (20.0, 0.5),
    "time_shift": (20.0, 0.5),
    "no_rights": (0.0, 0.55),
    "wrong_cell": (20.0, 0.4),
    "changed_value": (20.0, 0.4),
    "filled_against_rule": (15.0, 0.3),
    "series_gap": (15.0, 0.3),
    "series_repeat": (15.0, 0.3),
    "coded_missing": (15.0, 0.3),
    "blank_number": (10.0, 0.3),
    "near_duplicate": (5.0, 0.2),
    "exact_duplicate": (5.0, 0.2),
    "format_drift": (2.0, 0.1),
    "odd_format": (2.0, 0.1),
}
PERSONAL_RISK = 0.8
SEVERITIES = {"error": 0.5, "warning": 0.2, "note": 0.0}


@dataclass(frozen=True)
class Change:
    """One cell that a repair changes.

    Attributes:
        row: row number from 0.
        column: column name; empty for a row that is left out as a whole.
        old: what the cell holds; of a row that is left out, its text.
        new: what it should hold.
        confidence: how sure that is.
        why: where it comes from.
    """

    row: int
    column: str
    old: str
    new: str
    confidence: float
    why: str

    @property
    def id(self) -> str:
        """Short name of the change, by which it is undone."""
        return "c" + digest(canonical([self.row, self.column, self.old, self.new]))[:10]


@dataclass(frozen=True)
class Issue:
    """One finding of an audit.

    Attributes:
        rule: what kind it is.
        severity: ``note``, ``warning`` or ``error``.
        column: the column concerned, empty for rows or files.
        evidence: what was seen.
        rows: the rows, int64.
        confidence: how sure it is, 0 to 1.
        share: of the rows concerned; None for that of `rows`.
        repair: what to do.
        part: ``train`` or ``test``, whose rows those are.
        changes: cells that `--fix` changes.
        total: rows of that part.
    """

    rule: str
    severity: str
    column: str
    evidence: str
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    confidence: float = 1.0
    share: float | None = None
    repair: str = ""
    part: str = "train"
    changes: tuple[Change, ...] = ()
    total: int = 0

    @property
    def id(self) -> str:
        """Short name, the same for the same thing found in the same place."""
        return "f" + digest(canonical([self.rule, self.column, self.part, self.evidence]))[:8]

    @property
    def affected(self) -> float:
        """Share of the rows."""
        return self.share if self.share is not None else len(self.rows) / max(self.total, 1)

    @property
    def gain(self) -> float:
        """Points of accuracy that mending it may bring, as expected from its kind and size; not measured."""
        return COSTS.get(self.rule, (0.0, 0.0))[0] * self.affected * self.confidence

    @property
    def risk(self) -> float:
        """How much harm it can do unmended, 0 to 1."""
        usual = PERSONAL_RISK if self.rule.startswith("personal") else SEVERITIES[self.severity]
        return COSTS.get(self.rule, (0.0, usual))[1] * self.confidence

    @property
    def rank(self) -> float:
        """What the list is ordered by: a point of accuracy weighs as a tenth of the greatest risk."""
        return self.gain / 10 + self.risk * (0.3 if self.severity == "note" else 1.0)

    def plain(self) -> dict[str, Any]:
        """The JSON form; `rows` are the first of them, or none where it is about every row."""
        undo = f"savile govern FILE --undo {self.id}" if self.changes else ""
        return {
            **{name: getattr(self, name) for name in ("id", "rule", "severity", "column", "part", "evidence", "repair")},
            "count": len(self.rows),
            "rows": [] if len(self.rows) == self.total else self.rows[:ROWS].tolist(),
            **{name: round(float(getattr(self, name)), 4) for name in ("confidence", "gain", "risk")},
            "share": round(self.affected, 4),
            "changes": len(self.changes),
            "undo": undo,
        }


def listed(values: Sequence[str]) -> str:
    """The first of some values, each in quotes and not too long."""
    shown = ", ".join(repr(value if len(value) <= 40 else value[:39] + "…") for value in values[:SHOWN])
    return shown + (", …" if len(values) > SHOWN else "")
