"""The page 'What is wrong with your data': findings by risk with masked examples, labels, lengths, columns, parts, sources."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from savile.base import answers, catalogue, mask
from savile.base.page import Bar, Page
from savile.base.records import PARTS, Dataset, Finding

RISKS = {"error": "high", "warning": "medium", "note": "low"}  # in the order of the table
URGENCY = {"error": "to mend", "warning": "to look at", "note": "to know"}
EXAMPLES = 5
EXAMPLE_LENGTH = 160
SHOWN_LABELS = 40
HEADINGS = {
    "test_overlap": "Test rows that repeat training rows",
    "label_conflict": "The same text under different labels",
    "label_spelling": "Labels that differ only in spelling",
    "label_only_in_test": "Labels that only the test rows have",
    "single_row_class": "Labels with one row only",
    "imbalance": "Labels with far more rows than others",
    "small": "Rows set apart",
    "empty_label": "Rows without a label",
    "empty_text": "Rows without a text",
    "same_columns": "Rows with the same columns",
    "exact_duplicate": "Rows that repeat another row",
    "near_duplicate": "Rows that nearly repeat another row",
    "personal_email": "E-mail addresses",
    "personal_phone": "Telephone numbers",
    "personal_bank_card": "Bank card numbers",
    "personal_cn_id": "Chinese ID numbers",
    "personal_iban": "International account numbers",
    "personal_us_ssn": "American social security numbers",
    "personal_uk_nino": "British national insurance numbers",
    "personal_hk_id": "Hong Kong identity numbers",
    "personal_tw_id": "Taiwanese identity numbers",
    "personal_cn_plate": "Chinese licence plates",
    "personal_cn_passport": "Chinese passport numbers",
    "personal_us_routing": "American routing numbers",
    "personal_name": "Names of people",
    "personal_address": "Postal addresses",
    "personal_organisation": "Names of organisations",
    "id_column": "Columns that number the rows",
    "constant_column": "Columns with one value",
    "empty_column": "Columns without values",
    "blank_number": "Empty cells among numbers",
    "split": "How the rows were divided",
    "label_error": "Labels that are probably wrong",
    "label_error_test": "Test rows whose label is probably wrong",
    "relabelled": "Training rows given another label",
    "dropped_by_label": "Training rows left out for their label",
    "negative_value": "Training rows that make answers worse",
    "dropped_by_value": "Training rows left out for their value",
}


def html(data: Dataset) -> str:
    """The page of a governed data set."""
    page = Page("What is wrong with your data")
    found = sorted(data.findings, key=_risk)
    _summary(page, data, found)
    _findings(page, data, found)
    _labels(page, data)
    _lengths(page, data)
    _columns(page, data)
    _steps(page, data)
    _sources(page, data)
    return page.html()


def _risk(finding: Finding) -> tuple[int, int]:
    return list(RISKS).index(finding.severity), -finding.count


def _summary(page: Page, data: Dataset, found: list[Finding]) -> None:
    used = sum(len(rows) for rows in data.parts.values())
    counts = Counter(finding.severity for finding in found)
    wrong = [f"{counts[severity]} {words}" for severity, words in URGENCY.items() if counts[severity]]
    page.text(
        f"{data.name}: {used:,} of {data.table.num_rows:,} rows can be used. Found: {', '.join(wrong) or 'nothing'}.",
        tone="lead",
    )
    page.figures([(part, f"{len(data.parts[part]):,}", "rows") for part in PARTS if part in data.parts])


def _findings(page: Page, data: Dataset, found: list[Finding]) -> None:
    page.heading("What was found")
    if not found:
        page.text(
            "Nothing. Every row has a text and a label, none repeats another, and no personal data was seen.", tone="good"
        )
        return
    page.table(
        ["Risk", "What", "Count", "Seen", "What to do"],
        [[RISKS[f.severity], _heading(f), f.count, f.evidence, f.repair or None] for f in found],
    )
    # Examples are masked even when the data was kept as it came: a page gets sent around.
    masker = mask.Masker(mask.policy(None))
    labels = data.table.column(data.roles["label"])
    texts = data.table.column(data.roles["text"]) if "text" in data.roles else None
    for finding in found:
        rows = finding.rows[:EXAMPLES]
        if rows:
            cells: list[list[Any]] = [
                [row + 1, label and _cut(masker(label))] for row in rows for label in [labels[row].as_py()]
            ]
            if texts is not None:
                cells = [[*cell, _cut(masker(texts[row].as_py() or ""))] for cell, row in zip(cells, rows, strict=True)]
            names = ["Row", "Label", "Text"][: len(cells[0])]
            page.table(names, cells, caption=f"Examples: {_heading(finding)}", folded=True)


def _heading(finding: Finding) -> str:
    return HEADINGS.get(finding.rule, finding.rule.replace("_", " "))


def _cut(text: str) -> str:
    return text if len(text) <= EXAMPLE_LENGTH else text[: EXAMPLE_LENGTH - 1] + "…"


def counted_labels(data: Dataset) -> dict[str, int]:
    """Label -> number of rows in any part that have it; empty where numbers or words are asked for."""
    targets = np.concatenate([data.targets(part) for part in data.parts])
    if targets.dtype == np.float64 or targets.dtype.kind == "T":
        return {}
    if targets.dtype == object:
        targets = answers.given_labels(targets, len(data.labels))
    sums = targets.sum(axis=0) if targets.ndim == 2 else np.bincount(targets, minlength=len(data.labels))
    return {label: int(count) for label, count in zip(data.labels, sums, strict=True)}


def _labels(page: Page, data: Dataset) -> None:
    page.heading("Labels")
    common = Counter(counted_labels(data)).most_common()
    if data.targets("train").dtype.kind == "T":
        lengths = [len(text) for part in data.parts for text in data.targets(part).tolist()]
        page.histogram("Characters per answer", lengths, "characters")
        return
    if not common:
        used = [float(number) for part in data.parts for number in np.atleast_2d(data.targets(part).T)[0]]
        page.histogram(f"Values of {data.roles['label']!r}", used, data.roles["label"])
        return
    page.text(
        f"{len(common)} labels; the most frequent, {common[0][0]!r}, has {common[0][1]:,} rows, the rarest {common[-1][1]:,}."
    )
    shown = common if len(common) <= SHOWN_LABELS else common[: SHOWN_LABELS // 2] + common[-SHOWN_LABELS // 2 :]
    title = "Rows per label" if len(shown) == len(common) else "Rows per label, the most and the least frequent"
    page.bars(title, [Bar(label, count) for label, count in shown])


def _lengths(page: Page, data: Dataset) -> None:
    if "text" not in data.roles:
        return
    lengths = [len(text or "") for text in data.column("text")]
    page.heading("Length of the texts")
    page.histogram("Characters per text", lengths, "characters")


def _columns(page: Page, data: Dataset) -> None:
    page.heading("Columns")
    rows: list[list[Any]] = [
        [column[key] for key in ("name", "role", "kind", "distinct", "missing", "why")] for column in data.settings["columns"]
    ]
    page.table(["Column", "Role", "Values are", "Different", "Missing", "Because"], rows)


def _steps(page: Page, data: Dataset) -> None:
    """The sections of the steps that were asked for."""
    for name, outcome in data.settings.get("steps", {}).items():
        section = getattr(catalogue.get("steps", name), "section", None)
        if section is not None:
            section(page, data, outcome)


def _sources(page: Page, data: Dataset) -> None:
    page.heading("Where it comes from")
    page.table(
        ["For", "File", "SHA-256"], [[role, file["name"], file["sha256"]] for role, file in data.settings["sources"].items()]
    )
    if data.mask.get("pii") == "mask":
        page.text(
            f"Personal data was replaced by pseudonyms under the key {data.mask['key']}, which stays in $SAVILE_HOME/keys."
        )
    else:
        page.text("Personal data was kept as it came, as asked for.", tone="bad")
