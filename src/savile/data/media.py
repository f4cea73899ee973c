"""Columns of paths become columns of pictures and recordings: each cell holds its file, so that a row is whole.

``data: {steps: {media: {image: [photo], audio: [call]}}}`` in a recipe. Paths count from the folder of the data file, or from
`folder`, and may not lead out of it. Every file is opened and read once, as a model will read it; the first one that is missing
or damaged ends the run with its row. An empty cell is a row without one. Nothing in a picture or recording is masked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict

from savile.base import catalogue, media
from savile.base.errors import DataError, InputError, UnknownNameError
from savile.base.events import emit
from savile.base.recipe import SECTION
from savile.base.records import canonical, digest
from savile.data._draft import Draft

AFTER = "profile"


@dataclass(frozen=True)
class Settings:
    """Which columns hold paths of what.

    Attributes:
        image, audio: columns.
        folder: where paths count from; by default the folder of the data file.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    image: tuple[str, ...] = ()
    audio: tuple[str, ...] = ()
    folder: str | None = None

    def kinds(self) -> Iterator[tuple[str, str]]:
        """Column and kind of each."""
        for kind in media.KINDS:
            for name in getattr(self, kind):
                yield name, kind


def apply(draft: Draft, settings: Settings) -> Draft:
    """Read the files.

    Raises:
        UnknownNameError: there is no such column.
        DataError: a file that is missing, too large or damaged; the message names file, line and column.
    """
    import pyarrow as pa

    root, table, columns, read = _root(draft.source, settings), draft.table, list(draft.columns), dict[str, int]()
    for name, kind in settings.kinds():
        if name not in table.column_names:
            raise UnknownNameError("column", name, table.column_names)
        known: dict[str, str] = {}
        cells = [_cell(draft, known, root, (row, name, kind)) for row in range(table.num_rows)]
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(cells, pa.string()))
        columns = [replace(one, role=kind, why=f"the {kind} files it names") if one.name == name else one for one in columns]
        read[name] = len(known)
    outcome = {"files": read}
    tell(outcome)
    roles = {role: name for role, name in draft.roles.items() if name not in read}
    return replace(draft, table=table, columns=tuple(columns), roles=roles).telling("media", outcome)


def tell(outcome: Mapping[str, Any]) -> None:
    """Say how many files were read."""
    said = ", ".join(f"{count:,} of {name!r}" for name, count in outcome["files"].items())
    emit("note", text=f"Files read into the rows: {said}. What can be seen and heard in them is not masked.")


def beside(source: Path, settings: Settings) -> str:
    """What stands for the files beside the data: their names, sizes and times."""
    root, names = _root(source, settings), (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".wav")
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in names)
    seen = [[str(path.relative_to(root)), path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    return digest(canonical(seen))


def _root(source: Path, settings: Settings) -> Path:
    if settings.folder is not None:
        return Path(settings.folder).resolve()
    return (source if source.is_dir() else source.parent).resolve()


def _cell(draft: Draft, known: dict[str, str], root: Path, at: tuple[int, str, str]) -> str | None:
    """The file a cell names, as a cell."""
    row, name, kind = at
    path = draft.table.column(name)[row].as_py()
    if path is None:
        return None
    if path not in known:
        try:
            known[path] = _read(root, path, kind)
        except InputError as error:
            raise DataError(f"{error.wanted} in {_line(draft, row)}, column {name!r}", error.received, error.do) from None
    return known[path]


def _read(root: Path, path: str, kind: str) -> str:
    file = (root / path).resolve()
    if not file.is_relative_to(root):
        raise InputError(f"a path within {root.name}", repr(path), "Put the files beside the data, or name their folder.")
    if not file.is_file():
        raise InputError(f"an {kind} file", f"no file {path!r} in {root.name}", "Correct the path, or leave the cell empty.")
    content = file.read_bytes()
    cell = media.packed(content, kind)
    try:
        catalogue.get("encoders", kind).read(content)
    except InputError as error:
        raise InputError(error.wanted, f"{path!r}: {error.received}", error.do) from None
    return cell


def _line(draft: Draft, row: int) -> str:
    return f"line {draft.lines[row]} of {draft.names[draft.file_of[row]]}"
