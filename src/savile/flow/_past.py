"""What past runs took against what was planned for them: kept in the store, and learned from."""

from __future__ import annotations

from savile.base.records import Report
from savile.base.store import Store

KIND = "plan"


def recipe(report: Report) -> str:
    """The recipe a report came of, as YAML; empty when no run noted it."""
    store = Store.open()
    for row in reversed(store.list(KIND)):
        body = store.get(row["ref"]).body
        if body.get("report") == report.ref:
            return str(body["recipe"])
    return ""
