"""Finds the files behind a path a person typed (a file, a folder, a pattern), and opens them unpacked.

A folder or a pattern stands for all data files in it. Subfolders with text files are classes: one text a file, the label is the
folder's name.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from savile.base.errors import DataError, nearest
from savile.base.records import digest

FORMATS = ("csv", "tsv", "jsonl", "ndjson", "json", "parquet", "xlsx", "conll", "bio", "iob")
PACKED = ("gz", "bz2", "xz", "zip")
ONLY_PLAIN = ("parquet", "xlsx")  # they are compressed inside
TEXT = "txt"
WILD = "*?["
CHUNK = 1 << 20
OTHERS = {
    "xls": "Open it in a spreadsheet program and save it as .xlsx or as CSV.",
    "ods": "Open it in a spreadsheet program and save it as .xlsx or as CSV.",
    "numbers": "Export it as CSV.",
    "feather": "Write it as .parquet.",
    "arrow": "Write it as .parquet.",
    "pkl": "Such a file can run programs when it is read; write the table as .parquet or .csv.",
    "pickle": "Such a file can run programs when it is read; write the table as .parquet or .csv.",
    "sav": "Export it as CSV.",
    "dta": "Export it as CSV.",
    "db": "Export the table as CSV.",
    "sqlite": "Export the table as CSV.",
    "xml": "Convert it to CSV or to JSON, one object a row.",
    "html": "Save the table as CSV.",
    "pdf": "Copy its tables or texts into a CSV.",
    "docx": "Copy its tables or texts into a CSV.",
    "rar": "Unpack it first.",
    "7z": "Unpack it first.",
    "tar": "Unpack it first.",
    "tgz": "Unpack it first.",
    "zst": "Unpack it first.",
}
MENDED, LEDGER = (".fixed.csv", ".fixed.tsv"), ".changes.jsonl"  # what `--fix` writes beside data


@dataclass(frozen=True)
class Found:
    """The files behind a path.

    Attributes:
        path: as typed.
        files: the data files, in the order of their names.
        classes: of text files in folders, the folder's name of each file; empty otherwise.
    """

    path: Path
    files: tuple[Path, ...]
    classes: tuple[str, ...] = ()

    def name(self, place: int) -> str:
        """What messages call a file: its name, in a folder of classes with the folder's."""
        file = self.files[place]
        return f"{file.parent.name}/{file.name}" if self.classes else file.name


def find(path: str | Path) -> Found:
    """The files behind a path.

    Raises:
        DataError: nothing is there, or nothing that can be read.
    """
    path = Path(path)
    if path.is_dir():
        return _in_folder(path)
    if not path.exists() and set(WILD) & set(path.name):
        files = tuple(sorted(file for file in path.parent.glob(path.name) if file.is_file() and not _ours(file)))
        if not files:
            raise DataError("data files", f"none that fits {path.name} in {path.parent}", "Check the pattern and the folder.")
        for file in files:
            kind(file)
        return Found(path, files)
    if not path.exists():
        siblings = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        guess = nearest(path.name, siblings)
        folder = "that folder does not exist" if not path.parent.is_dir() else "no file there has a name like it"
        do = f"Did you mean {str(path.with_name(guess))!r}?" if guess else f"Check the path; {folder}."
        raise DataError("a data file", f"no file at {path}", do)
    if not path.is_file():
        raise DataError("a data file", f"{path}, which is neither a file nor a folder", "Copy its content into a file.")
    kind(path)
    return Found(path, (path,))


def _in_folder(path: Path) -> Found:
    """The data files of a folder, or the text files of its subfolders."""
    items = sorted(item for item in path.iterdir() if not item.name.startswith((".", "_")))
    files = tuple(item for item in items if item.is_file() and _suffix(item) and not _ours(item))
    folders = [item for item in items if item.is_dir()]
    texts = {folder.name: sorted(folder.glob(f"*.{TEXT}")) for folder in folders}
    if files:
        _check_one_part(path, files)
        return Found(path, files)
    if sum(bool(found) for found in texts.values()) >= 2:
        pairs = [(file, name) for name, found in texts.items() for file in found]
        return Found(path, tuple(file for file, _ in pairs), tuple(name for _, name in pairs))
    parts = sorted((folder.name for folder in folders if folder.name.lower() in ("train", "test")), reverse=True)
    if parts:
        do = f"Name them apart: {path / parts[0]} --test {path / parts[-1]}"
        raise DataError("rows of one kind", f"the folder {path} with {' and '.join(parts)} in it", do)
    what = ", ".join(item.name for item in items[:5]) or "nothing"
    raise DataError(
        f"a folder with data files ({', '.join(FORMATS)}), or with a folder of .txt files for each label",
        f"the folder {path} with {what} in it",
        "Name a file, or put the files there.",
    )


def _ours(file: Path) -> bool:
    """Whether a file lies beside data without being some: a mended copy with its ledger, rights, or what must hold."""
    for ending, other in (pair for mended in MENDED for pair in ((mended, LEDGER), (LEDGER, mended))):
        if file.name.endswith(ending) and file.with_name(file.name.removesuffix(ending) + other).is_file():
            return True
    return file.name.endswith((".rights.json", ".assertions.json"))


def _check_one_part(path: Path, files: tuple[Path, ...]) -> None:
    """Training and test files are not thrown together."""
    train = [file for file in files if stem(file).lower().startswith("train")]
    test = [file for file in files if stem(file).lower().startswith("test")]
    if train and test:
        received = f"the folder {path} with {train[0].name} and {test[0].name}"
        raise DataError("rows of one kind", received, f"Name them apart: {train[0]} --test {test[0]}")


def kind(path: Path) -> tuple[str, str]:
    """Format and compression of a file by its name; the latter is empty for a plain file.

    Raises:
        DataError: the name ends otherwise.
    """
    suffix = _suffix(path)
    if not suffix:
        ending = path.name.lower().rpartition(".")[2]
        do = OTHERS.get(ending, "Convert it, for example with 'Save as CSV', or rename it when it is one of those.")
        wanted = "a file that ends in ." + ", .".join(FORMATS[:-1]) + f" or .{FORMATS[-1]}, or one of the first five and .gz"
        raise DataError(wanted, path.name, do)
    format, _, packing = suffix.partition(".")
    return format, packing


def _suffix(path: Path) -> str:
    """``csv``, ``tsv.gz`` …, lower case; empty for another kind of file."""
    name = path.name.lower()
    if name.endswith((".savile.yaml", ".yaml", ".yml")):
        return ""
    endings = list(FORMATS)
    endings += [f"{format}.{packing}" for format in FORMATS if format not in ONLY_PLAIN for packing in PACKED]
    endings += [f"{TEXT}", f"{TEXT}.gz"]
    found = next((ending for ending in sorted(endings, key=len, reverse=True) if name.endswith(f".{ending}")), "")
    if not found and name.endswith(".zip"):
        return "csv.zip"  # what is in it decides, see `member`
    return found


def stem(path: str | Path) -> str:
    """A human name for the data: the file's name without its endings, the folder's, or what a pattern spells out."""
    path = Path(path)
    if path.is_dir():
        return path.resolve().name
    name, suffix = path.name, _suffix(path)
    if not suffix:
        kind(path)
    name = name[: -len(f".{suffix}")] if name.lower().endswith(f".{suffix}") else name.rpartition(".")[0]
    spelled = "".join(letter for letter in name if letter not in WILD + "]").strip("-_. ")
    return (spelled or path.absolute().parent.name) if set(WILD) & set(name) else name


def sha256(path: str | Path) -> str:
    """The digest of a file's bytes; of several files, that of their names and digests."""
    found = find(path)
    digests = [_sha256(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in found.files]
    if found.path.is_file():
        return digests[0]
    return digest("".join(f"{found.name(place)}\n{one}\n" for place, one in enumerate(digests)))


@lru_cache(maxsize=4096)
def _sha256(path: str, size: int, changed: int) -> str:
    """Size and time of change are there for the cache: a large file is read once for its digest, however often it is asked."""
    found = hashlib.sha256()
    with _readable(Path(path)) as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


@contextmanager
def _readable(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            yield file
    except PermissionError:
        raise DataError("a readable file", f"no permission to read {path.name}", "Change its permissions.") from None


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, decompressed on the way.

    Raises:
        DataError: the archive is damaged, cut short or not one at all; also while it is read.
    """
    packing = kind(path)[1]
    opened: dict[str, Any] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
    with _readable(path) as file:
        try:
            if packing == "zip":
                with _zipped(file, path) as inside:
                    yield io.BufferedReader(inside, CHUNK)  # type: ignore[type-var]
            elif packing and path.stat().st_size:
                with opened[packing](file) as inside:
                    yield inside
            else:
                yield file
        except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
            raise _damaged(path, packing, error) from None
        except OSError as error:
            if packing != "bz2" or error.errno:
                raise
            raise _damaged(path, packing, error) from None


def _zipped(file: IO[bytes], path: Path) -> IO[bytes]:
    """The one data file in a zip archive, open."""
    try:
        archive = zipfile.ZipFile(file)
        return archive.open(_member(archive, path))
    except RuntimeError as error:  # of archives with a password, or packed in a way that Python does not know
        why = "which has a password" if "password" in str(error) else f"which Python cannot unpack: {error}"
        raise DataError("a zip file without a password, packed as usual", f"{path.name}, {why}", "Unpack it first.") from None


def _damaged(path: Path, packing: str, error: Exception) -> DataError:
    names = {"gz": "gzip", "": "data"}
    kind_ = names.get(packing, packing)
    cut = isinstance(error, EOFError) or "ended before" in str(error)
    what = "cut short" if cut else f"damaged or not {kind_} at all"
    return DataError(f"a whole {kind_} file", f"{path.name}, which is {what}", "Copy or download it again.")


def _member(archive: zipfile.ZipFile, path: Path) -> str:
    """The one data file in a zip archive."""
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    names = [name for name in names if not name.startswith("__MACOSX") and not Path(name).name.startswith(".")]
    data = [name for name in names if _suffix(Path(name)) and kind(Path(name))[0] not in (*ONLY_PLAIN, TEXT)]
    if len(data) != 1:
        what = f"{len(data)} of them: {', '.join(data[:5])}" if data else f"none among {', '.join(names[:5]) or 'nothing'}"
        raise DataError(f"one data file in {path.name}", what, "Unpack it, and name a file or the folder.")
    return data[0]


def format_of(path: Path) -> str:
    """The format of a file, which for a zip archive is that of the file in it."""
    format, packing = kind(path)
    if packing != "zip":
        return format
    with _readable(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return kind(Path(_member(archive, path)))[0]
        except zipfile.BadZipFile as error:
            raise _damaged(path, packing, error) from None
