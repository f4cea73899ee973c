"""Records by whatever name a person has for them: the record itself, a reference or its start, an alias, or a data file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeGuard

from savile.base.errors import DataError, InputError, UnknownNameError
from savile.base.records import Dataset, Model, Release, Report
from savile.base.store import Store

KINDS: dict[type, str] = {Dataset: "data", Model: "model", Report: "report", Release: "release"}


def dataset(named: str | Path | Dataset) -> Dataset:
    """A data set; a file is governed.

    Raises:
        UnknownNameError: nothing has that name.
        InputError: it is something else.
    """
    if isinstance(named, Dataset):
        return named
    if is_file(named):
        from savile.data import govern

        return govern(named)
    return stored_dataset(named)


def stored_dataset(named: str | Path | Dataset) -> Dataset:
    """A data set that is stored already; a file is refused, for a plan writes nothing.

    Raises:
        UnknownNameError: nothing has that name.
        InputError: it is something else.
    """
    if isinstance(named, Dataset):
        return named
    if isinstance(named, Path) or is_file(named):
        raise InputError("stored data", f"the file {named}", f"Govern it first: savile govern {named}")
    found: Dataset = _of_kind(Dataset, _loaded(named))
    return found


def model(named: str | Model | Release) -> Model:
    """A model; of a release, the model it serves.

    Raises:
        UnknownNameError: nothing has that name.
        InputError: it is something else.
    """
    found = _loaded(named) if isinstance(named, str) else named
    answerer: Model = _of_kind(Model, Store.open().load(found.model) if isinstance(found, Release) else found)
    return answerer


def data_of(answerer: Model) -> Dataset:
    """The data a model was trained on.

    Raises:
        InputError: the model does not say.
    """
    for ref in answerer.parents:
        if ref.startswith("data@"):
            return stored_dataset(ref)
    raise InputError("the data to evaluate on", "a model that does not name its own", "Name it with --data.")


def report(named: str | Report) -> Report:
    """A report; of a release, the one it was released with.

    Raises:
        UnknownNameError: nothing has that name.
        InputError: it is something else.
    """
    found = _loaded(named) if isinstance(named, str) else named
    measured: Report = _of_kind(Report, Store.open().load(found.report) if isinstance(found, Release) else found)
    return measured


def model_or_release(named: str | Model | Release) -> Model | Release:
    """Either of the two.

    Raises:
        UnknownNameError: nothing has that name.
        InputError: it is something else.
    """
    found = _loaded(named) if isinstance(named, str) else named
    if isinstance(found, Model | Release):
        return found
    raise InputError("a model or a release", _what(found), "Name one that `savile show` lists.")


def _loaded(name: str) -> Any:
    store = Store.open()
    if not store.exists:
        raise UnknownNameError("record", name, [], f"Nothing is stored in {store.home} yet; begin with: savile run FILE")
    return store.load(name)


def _of_kind(kind: type[Any], found: Any) -> Any:
    if isinstance(found, kind):
        return found
    raise InputError(f"a {KINDS[kind]} record", _what(found), f"Name one that `savile show {KINDS[kind]}` lists.")


def _what(found: Any) -> str:
    return getattr(found, "ref", "") or type(found).__name__


def is_file(name: str | Path | Dataset) -> TypeGuard[str | Path]:
    """Whether a name is meant as a file: it is there, or looks like one."""
    from savile.data import sources

    if not isinstance(name, str):
        return isinstance(name, Path)
    try:
        sources.stem(name)
    except DataError:
        return Path(name).exists() and "@" not in name
    return True
