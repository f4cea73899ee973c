"""Replaces what points at a person or an account in every stored column (see `savile.base.mask`), then gives columns types.

Labels are masked, too, and stay as many as they were; names of columns must be free of personal data. Nothing before this step
is stored or logged, and findings count what was found without ever quoting it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base import mask, media
from savile.base.errors import DataError
from savile.base.events import emit
from savile.base.people import KnownBy
from savile.base.records import Finding
from savile.data import _columns, _roles, _spans
from savile.data._draft import SCORE, SPANS, Column, Draft, counted, finding
from savile.tasks import tag

if TYPE_CHECKING:
    import pyarrow as pa

NAMES = {
    "email": "e-mail address",
    "phone": "telephone number",
    "bank_card": "bank card number",
    "cn_id": "Chinese ID number",
    "iban": "international account number",
    "us_ssn": "American social security number",
    "uk_nino": "British national insurance number",
    "hk_id": "Hong Kong identity number",
    "tw_id": "Taiwanese identity number",
    "cn_plate": "Chinese licence plate",
    "cn_passport": "Chinese passport number",
    "us_routing": "American routing number",
    "name": "name of a person",
    "address": "postal address",
    "organisation": "name of an organisation",
    "identifier": "other identifier",
}


def apply(draft: Draft) -> Draft:
    """Mask and type the columns that are stored; of those left out that identify people, keep keyed digests."""
    import pyarrow as pa

    policy = mask.policy(draft.keys, draft.options.pii)
    masker = mask.Masker(policy, draft.keys)
    plain = mask.Masker(
        {**policy, "kinds": [kind for kind in policy["kinds"] if kind not in (*mask.NAMED, "identifier")]}, draft.keys
    )
    stored = {}
    for column in draft.columns:
        if not _is_stored(draft, column):
            continue
        values = draft.table.column(column.name).combine_chunks()
        if column.role == "label" and draft.task == SPANS:
            values = _moved(draft, masker, values)
        # a score is a quantity, however it looks; letters that stand for bytes are no words
        elif (column.role != "label" or draft.task != SCORE) and column.role not in media.KINDS:
            # what labels are called is no name of a person, whatever a model takes it for
            values, findings = _masked(draft, plain if column.role == "label" else masker, column, values)
            draft = draft.noting(*findings)
        stored[column.name] = _typed(column, values, draft.task)
    # what was noted before this step may quote a label
    noted = tuple(replace(one, evidence=plain(one.evidence)) for one in draft.findings)
    return replace(draft, table=pa.table(stored), policy=policy, findings=noted, known_by=_known_by(draft, stored))


def _known_by(draft: Draft, stored: Collection[str]) -> tuple[KnownBy, ...]:
    """Digests of the columns that are not stored and identify people."""
    columns, find, known = {one.name: one for one in draft.columns}, mask.Masker(mask.policy(None)).find, []
    for name in draft.table.column_names:
        if name not in stored:
            values = draft.table.column(name).combine_chunks()
            column = columns.get(name) or _columns.describe(name, values)
            if _roles.identifies(column, values, find):
                known.append(KnownBy.of(name, values.to_pylist(), draft.keys))
    return tuple(known)


def _moved(draft: Draft, masker: mask.Masker, values: pa.Array) -> pa.Array:
    """Spans where their text is once pseudonyms stand in it."""
    import pyarrow as pa

    moved = []
    for cell, text in zip(values.to_pylist(), draft.table.column(draft.roles["text"]).to_pylist(), strict=True):
        trace = masker.traced(text or "")
        places = [(*trace.inward(start, end), label) for start, end, label in tag.spans(cell)]
        moved.append(_spans.written([place for place in places if place[0] < place[1]]))
    return pa.array(moved, pa.string())


def check_names(draft: Draft) -> None:
    """Refuse personal data in the names of columns, which go into recipes, pages and messages as they are.

    Raises:
        DataError: there is some; most often the file has no header line, and its first row was taken for one.
    """
    if draft.options.pii == "keep":
        return
    find = mask.Masker(mask.policy(None)).find
    for place, name in enumerate(draft.table.column_names, start=1):
        if spans := find(name):
            received = f"one with {_an(spans[0].kind)} in its name, column {place} of {draft.origin['source']['name']}"
            do = "Add a header line if the first row is one of data, else rename that column; or keep it all with pii: keep."
            raise DataError("columns named without personal data", received, do)


def unnamed(draft: Draft, said: str) -> str:
    """A message about values that are not masked yet."""
    return said if draft.options.pii == "keep" else mask.Masker(mask.policy(None))(said)


def _an(kind: str) -> str:
    name = NAMES[kind]
    return f"a{'n' if name[0] in 'aeiou' else ''} {name}"


def _still_differ(column: Column, before: list[str | None], after: list[str]) -> None:
    """Labels that were two must not become one.

    Raises:
        DataError: the personal data in some labels is the same but for its spelling.
    """
    if len(set(after)) < len(before):
        do = "Write each label in one way, name labels without personal data, or keep it all with pii: keep."
        raise DataError(f"labels in {column.name!r} that still differ once personal data is masked", "some that do not", do)


def _is_stored(draft: Draft, column: Column) -> bool:
    if column.name in draft.roles.values():
        return True
    return column.role not in ("id", "empty") and (not draft.options.use or column.name in draft.options.use)


def _masked(draft: Draft, masker: mask.Masker, column: Column, values: pa.Array) -> tuple[pa.Array, list[Finding]]:
    """The masked column, and what was found in it by kind."""
    import pyarrow as pa

    # Each distinct value once: most columns beside the text repeat a few.
    coded = values.dictionary_encode()
    distinct = coded.dictionary.to_pylist()
    found = [Counter(span.kind for span in spans) for spans in map(masker.find, distinct)]
    if not any(found):
        return values, []
    codes = coded.indices.to_numpy(zero_copy_only=False)
    findings = [_personal(draft, column, kind, found, codes) for kind in NAMES if any(kind in counter for counter in found)]
    masked = pa.array(masker.many(distinct), pa.string())
    if column.role == "label":
        _still_differ(column, distinct, masked.to_pylist())
    return pa.DictionaryArray.from_arrays(coded.indices, masked).dictionary_decode(), findings


def _personal(draft: Draft, column: Column, kind: str, found: list[Counter[str]], codes: Any) -> Finding:
    """How much personal data of one kind a column holds."""
    hits = np.array([counter[kind] for counter in found] + [0])
    each = hits[np.nan_to_num(codes, nan=len(found)).astype(np.int64)]
    rows = np.flatnonzero(each)
    kept, is_label = draft.options.pii == "keep", column.role == "label"
    done = "kept, as asked for" if kept else "replaced by pseudonyms before anything was stored"
    done += "; answers will carry the pseudonyms" if is_label and not kept else ""
    evidence = f"{counted(int(each.sum()), NAMES[kind])} in {counted(len(rows), 'row')} of {column.name!r}, {done}."
    severity = "warning" if kept or is_label else "note"
    emit(severity, text=evidence)
    repair = "Govern with pii: mask." if kept else "Name labels without personal data." if is_label else ""
    return finding(f"personal_{kind}", severity, rows, evidence, repair)


def _typed(column: Column, values: pa.Array, task: str) -> pa.Array:
    """Numbers as numbers, everything else as strings; a numeric column in which something was masked stays text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = {"integer": pa.int64(), "real": pa.float64()}.get(column.kind)
    if column.role == "label" and task == SCORE:
        kind = pa.float64()
    elif kind is None or column.role in ("text", "label", "group", "time"):
        return values
    try:
        return pc.cast(pc.replace_substring_regex(values, r"^\+", ""), kind)
    except pa.ArrowInvalid:
        return values
