"""The passport of a data set: source, rights, consent, labelling, sample checks and digests, for an evidence pack."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from savile.base import mask
from savile.base.page import Bar, Page
from savile.base.records import PARTS, Dataset
from savile.base.store import Store

SAMPLE = 200
SHOWN_LABELS = 40


def passport(data: Dataset) -> dict[str, Any]:
    """What an auditor asks of data, as JSON; the same is written as a page and as a file, named in ``pages``.

    Every check is made now, on the stored rows; none repeats what an earlier step claimed.
    """
    store = Store.open()
    rights = data.settings.get("steps", {}).get("rights")
    acts = [act for act in store.audit.acts() if act["subject"] == data.ref]
    body = {
        "id": data.ref,
        "name": data.name,
        "digest": data.digest,
        "parents": list(data.parents),
        "sources": {role: dict(file) for role, file in data.settings.get("sources", {}).items()},
        "rows": data.table.num_rows,
        "parts": {name: len(data.parts[name]) for name in PARTS if name in data.parts},
        "roles": dict(data.roles),
        "task": data.task,
        "labels": _labels(data),
        "rights": rights,
        "labelling": (rights or {}).get("rules", {}).get("labelling") or "not described",
        "personal_data": {"policy": data.mask.get("pii", "not said"), "kinds": list(data.mask.get("kinds", ()))},
        "findings": dict(Counter(finding.rule for finding in data.findings)),
        "checks": _checks(data),
        "uses": [{"time": act["time"], "actor": act["actor"], "action": act["action"], **act["facts"]} for act in acts],
        "audit_head": store.audit.state().head if store.exists else "",
    }
    return {**body, "pages": [str(path) for path in _write(store, data, body)]}


def _labels(data: Dataset) -> dict[str, int]:
    if not data.labels:
        return {}
    return dict(Counter(str(value) for part in data.parts for value in data.column("label", part)).most_common())


def _checks(data: Dataset) -> list[dict[str, Any]]:
    """Checks of the stored rows, a sample of them where each has to be read."""
    store = Store.open()
    rows = np.sort(np.random.default_rng(0).permutation(data.table.num_rows)[:SAMPLE])
    sample = data.table.take(rows)
    used = np.concatenate([np.asarray(part) for part in data.parts.values()])
    masker, found = mask.Masker(mask.policy(None)), 0
    for name in sample.column_names:
        if name != data.roles.get("label"):
            found += sum(len(masker.find(str(value))) for value in sample.column(name).to_pylist() if value is not None)
    empty = sum(value in (None, "") for value in sample.column(data.roles["label"]).to_pylist())
    entry = store.get(data.ref, verify=True)  # raises when a file is not what was stored
    return [
        _check("files match their digests", True, f"{len(entry.files)} files"),
        _check("no row is in two parts", len(np.unique(used)) == len(used), f"{len(used):,} rows"),
        _check(f"labels present in a sample of {len(rows)} rows", empty == 0, f"{empty} empty"),
        _check(f"no personal data by patterns in a sample of {len(rows)} rows", found == 0, f"{found} found"),
        _check("rights are written down", bool(data.settings.get("steps", {}).get("rights")), ""),
        _check(
            "nobody has asked to be erased from it", not any(a["subject"] == data.ref for a in store.audit.acts("erase")), ""
        ),
    ]


def _check(what: str, passed: bool, seen: str) -> dict[str, Any]:
    return {"check": what, "passed": bool(passed), "seen": seen}


def _write(store: Store, data: Dataset, body: Mapping[str, Any]) -> list[Path]:
    name = f"passport-{data.ref.replace('@', '-')}"
    text = json.dumps(body, ensure_ascii=False, indent=2, default=str)
    return [store.page(f"{name}.html", _page(data, body)), store.page(f"{name}.json", text)]


def _page(data: Dataset, body: Mapping[str, Any]) -> str:
    page = Page(f"Passport of {data.name}")
    passed = sum(check["passed"] for check in body["checks"])
    page.text(f"{data.ref}: {body['rows']:,} rows; {passed} of {len(body['checks'])} checks passed.", tone="lead")
    page.heading("Where it comes from")
    page.table(["For", "File", "SHA-256"], [[role, file["name"], file["sha256"]] for role, file in body["sources"].items()])
    page.text(f"Digest of rows, roles and parts: {body['digest']}", tone="note")
    if body["rights"]:
        from savile.data import rights

        rights.section(page, data, body["rights"])
    else:
        page.heading("Who has the rights")
        page.text("Nobody has written down owner, licence or consent.", tone="bad")
    page.heading("How it was labelled")
    page.text(body["labelling"])
    if body["labels"]:
        page.bars("Rows per label", [Bar(name, count) for name, count in list(body["labels"].items())[:SHOWN_LABELS]])
    page.heading("What was checked")
    page.table(["Check", "Passed", "Seen"], [[one["check"], one["passed"], one["seen"] or None] for one in body["checks"]])
    page.heading("What was done with it")
    uses = [
        [act["time"][:19], act["actor"], act["action"], act.get("stage"), act.get("purpose") or None] for act in body["uses"]
    ]
    page.table(["When", "Who", "What", "Stage", "Purpose"], uses)
    page.text(f"Head of the audit log: {body['audit_head']}", tone="note")
    return page.html()
