"""Spans as annotation tools and data sets write them, as ``[{"start": 3, "end": 7, "label": "name"}]``.

Known are objects with start, end and label under their usual names, triples (spaCy, doccano), the results of Label Studio, and
mentions by label with inclusive ends (CLUENER). A column counts as one of spans only when nearly all of its cells are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from savile.base.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

STARTS = ("start", "start_position", "start_offset", "start_char", "begin", "startOffset", "from")
ENDS = ("end", "end_position", "end_offset", "end_char", "stop", "endOffset", "to")
LABELS = ("label", "entity_type", "entity", "type", "tag", "entity_group", "labels", "class")
SAMPLE, READ = 200, 0.98  # cells that are looked at first, and the share of all that must be spans

Spans = list[tuple[int, int, str]]


def shape(table: pa.Table) -> tuple[pa.Table, dict[str, str]]:
    """The table with its columns of spans in one form, and the roles ``spans`` and ``spanned`` of the first of them.

    Raises:
        DataError: a span reaches beyond its text.
    """
    import pyarrow as pa

    hints: dict[str, str] = {}
    for name in table.column_names:
        cells = table.column(name).to_pylist() if _likely(table.column(name)) else []
        read = [_read(cell) for cell in cells]
        filled = sum(bool(cell) for cell in cells)
        if (
            not filled
            or not any(read)
            or sum(one is not None for one, cell in zip(read, cells, strict=True) if cell) < READ * filled
        ):
            continue
        of = _text(table, name, read)
        if of is None:
            continue
        texts = table.column(of).to_pylist()
        moved = [_placed(one or [], text or "", row) for row, (one, text) in enumerate(zip(read, texts, strict=True), start=1)]
        table = table.set_column(table.column_names.index(name), name, pa.array(moved, pa.string()))
        hints = hints or {"spans": name, "spanned": of}
    return table, hints


def written(spans: Spans) -> str:
    """Spans as a cell."""
    return json.dumps([{"start": start, "end": end, "label": label} for start, end, label in sorted(spans)], ensure_ascii=False)


def _likely(column: pa.ChunkedArray) -> bool:
    """Whether the first cells look like lists or objects that hold something."""
    first = [cell for cell in column.slice(0, SAMPLE).to_pylist() if cell]
    return bool(first) and all(cell.lstrip()[:1] in ("[", "{") for cell in first)


def _read(cell: str | None) -> Spans | None:
    """The spans of a cell; None when it holds something else."""
    if not cell:
        return []
    try:
        return list(_spans(json.loads(cell)))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None


def _spans(value: Any) -> Iterator[tuple[int, int, str]]:
    """Start, end and label of each span in a value of any of the known shapes."""
    if isinstance(value, Mapping):
        if "entities" in value and len(value) == 1:
            yield from _spans(value["entities"])
            return
        for label, mentions in value.items():  # CLUENER: ends are inclusive
            for places in mentions.values():
                yield from ((int(start), int(end) + 1, str(label)) for start, end in places)
        return
    for one in value:
        if not isinstance(one, Mapping):
            start, end, label = one
            yield int(start), int(end), str(label)
        elif "result" in one:  # Label Studio: one annotation after another, of which the first counts
            yield from _spans(one["result"])
            return
        elif isinstance(one.get("value"), Mapping):
            yield from _spans([one["value"]] if "start" in one["value"] else [])
        else:
            label = _first(one, LABELS)
            yield int(_first(one, STARTS)), int(_first(one, ENDS)), str(label[0] if isinstance(label, list) else label)


def _first(one: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next(one[name] for name in names if name in one) if any(name in one for name in names) else one[names[0]]


def _text(table: pa.Table, name: str, read: Sequence[Spans | None]) -> str | None:
    """The column whose texts the spans lie in: of those where all do, the one with a usual name, else the longest."""
    from savile.data._roles import TEXT_NAMES, words_of

    found = []
    for other in table.column_names:
        texts = table.column(other).to_pylist()
        if other == name or not any(texts):
            continue
        usual = bool(TEXT_NAMES.intersection(words_of(other.replace(".", " "))))
        within = all(end <= len(text or "") for one, text in zip(read, texts, strict=True) for _, end, _ in one or ())
        if within or usual:
            found.append((usual, sum(len(text or "") for text in texts), other))
    return max(found)[2] if found else None


def _placed(spans: Spans, text: str, row: int) -> str:
    """The cell of a row, counted from where its text begins once the spaces around it are cut off."""
    beyond = next((span for span in spans if not 0 <= span[0] < span[1] <= len(text)), None)
    if beyond is not None:
        received = f"{beyond[2]} from {beyond[0]} to {beyond[1]} in row {row}, whose text has {len(text)} characters"
        raise DataError(
            "spans inside their text", received, "Count characters from 0, the end exclusive, in the text as it is."
        )
    lead, last = len(text) - len(text.lstrip()), len(text.rstrip())
    trimmed = [(max(start, lead) - lead, min(end, last) - lead, label) for start, end, label in spans]
    return written([span for span in trimmed if span[0] < span[1]])
