"""Tasks that read two texts a row: their two columns become one, before anything else looks at them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from savile.base import answers, catalogue
from savile.base.errors import InputError
from savile.base.events import emit
from savile.data._draft import Draft, Options

if TYPE_CHECKING:
    import pyarrow as pa

MATCH = "match"  # the task of two texts where none is named
# ends of names that two columns of one kind have: sentence1 and sentence2, text_a and text_b
ENDS = (("1", "2"), ("_a", "_b"), ("a", "b"), ("_left", "_right"))
SCORES = ("related", "label", "score", "similarity", "relevance")  # columns that say how well two texts go together
NAMES = (("query", "document"), ("query", "candidate"), ("query", "item"), ("question", "answer"), ("left", "right"))


def joined(draft: Draft) -> Draft:
    """The draft with two columns of texts in one, where the task reads two or the caller names two.

    Raises:
        InputError: the task reads two texts, and which columns hold them is not clear.
    """
    import pyarrow as pa

    options, names = draft.options, draft.table.column_names
    both = _named(options.text, names)
    two = options.task is not None and getattr(catalogue.get("tasks", options.task), "PAIRS", False)
    if both is None and not two:
        return draft
    if both is None and options.text in names:  # joined by whoever made the file
        return draft
    both = both or (_usual(names, options.drop) if options.text is None else None)
    if both is None:
        do = "Name both, as in --text sentence1,sentence2."
        raise InputError(f"two columns of texts for the task {options.task}", ", ".join(names[:12]), do)
    first, second = (draft.table.column(name).to_pylist() for name in both)
    cells = [None if a in (None, "") or b in (None, "") else answers.pair(a, b) for a, b in zip(first, second, strict=True)]
    name = ",".join(both)
    task = options.task or MATCH
    plugin = catalogue.get("tasks", task)
    ranked = getattr(plugin, "GROUPED", False) and options.group is None
    apart = both[1:] if ranked else both  # candidates of one query stay together
    table = draft.table.drop_columns(list(apart)).append_column(name, pa.array(cells, pa.string()))
    group = both[0] if ranked else options.group
    emit("note", text=f"{both[0]!r} and {both[1]!r} are read as pairs.")
    hints = {role: column for role, column in draft.hints.items() if column not in both}
    options = replace(options, text=name, task=task, group=group)
    if (usual := getattr(plugin, "UNLABELLED", None)) is not None and options.label is None:
        table, options = _labelled(table, options, usual)
    return replace(draft, table=table, hints=hints, options=options)


def _labelled(table: pa.Table, options: Options, usual: str) -> tuple[pa.Table, Options]:
    """The table with the column that says how well two texts go together, which is one of the same value where none does."""
    import pyarrow as pa

    said = [name for name in table.column_names if name.casefold() in SCORES]
    if said:
        return table, replace(options, label=said[0])
    emit("note", text=f"No column among {', '.join(SCORES)} says how well they go together: all do.")
    return table.append_column(SCORES[0], pa.array([usual] * len(table), pa.string())), replace(options, label=SCORES[0])


def _named(text: str | None, names: list[str]) -> tuple[str, str] | None:
    """The two columns a caller names with a comma between them."""
    first, comma, second = (text or "").partition(",")
    return (first, second) if comma and text not in names and {first, second} <= set(names) and first != second else None


def _usual(names: list[str], drop: tuple[str, ...]) -> tuple[str, str] | None:
    """Two columns whose names say that they belong together; None where no two do, or several."""
    left = {name.casefold(): name for name in names if name not in drop}
    found = [(left[a], left[b]) for a, b in NAMES if {a, b} <= left.keys()]
    for one, other in ENDS:
        stems = [name.removesuffix(one) for name in left if re.search(r".\w" + re.escape(one) + "$", name)]
        found += [(left[stem + one], left[stem + other]) for stem in stems if stem + other in left]
    return found[0] if len(set(found)) == 1 else None
