"""What a person typed becomes an order: the recipe to follow and, when it was inferred from a file, where to write it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from savile.base import recipe as recipes
from savile.base.errors import InputError, MachineError, RecipeError
from savile.base.events import emit
from savile.base.recipe import Data, Recipe
from savile.base.records import digest
from savile.flow import _app

if TYPE_CHECKING:
    from savile.data import Options

RECIPE_SUFFIXES = (".yaml", ".yml")
SUFFIX = ".savile.yaml"
BESIDE = ("rights", "assertions")  # steps that are asked for by a file beside the data


@dataclass(frozen=True)
class Order:
    """What to do.

    Attributes:
        recipe: what to follow.
        target: where the inferred recipe is still to be written; None when there is one already.
        file: the recipe's file, written or to be written; None for a recipe made in Python.
        given: what the caller asked for beside the file, by dotted key.
    """

    recipe: Recipe
    target: Path | None = None
    file: Path | None = None
    given: Mapping[str, Any] = field(default_factory=dict)

    def with_roles(self, task: str, roles: Mapping[str, str]) -> Order:
        """The same order, with the task and the columns that were inferred written into its recipe."""
        columns = {"kind": task, **{role: roles.get(role) for role in ("text", "label", "time", "group")}}
        return replace(self, recipe=replace(self.recipe, task=replace(self.recipe.task, **columns)))  # type: ignore[arg-type]


def settle(source: str | Path | Recipe, named: Mapping[str, Any], settings: Mapping[str, Any] | None) -> Order:
    """The order behind a recipe, a recipe's file or a data file.

    Args:
        source: any of those.
        named: dotted key of the recipe -> what the caller gave for it by an option of its own, None when nothing.
        settings: dotted keys as well; they win.

    Raises:
        InputError: there is no such file, or its recipe was written for other data.
        RecipeError: the recipe or a setting is wrong.
    """
    given = {key: value for key, value in named.items() if value is not None} | dict(settings or {})
    if "data.test" in given:
        given["data.test"] = str(Path(given["data.test"]).absolute())
    if isinstance(source, Recipe):
        return Order(_usable(recipes.override(source, given)))
    path = Path(source)
    if path.name.endswith(RECIPE_SUFFIXES):
        found = _usable(recipes.load(path))
        _check_digest(found, path)
        return Order(_usable(recipes.override(found, given)), file=path.absolute())
    return _inferred(path, given)


def options(recipe: Recipe) -> Options:
    """What a recipe settles about governing."""
    from savile.data import Options, Reading

    task, data = recipe.task, recipe.data
    return Options(
        task=task.kind,
        label=task.label,
        text=task.text,
        test=data.test,
        pii=data.pii,
        time=task.time,
        group=task.group,
        use=data.columns.use,
        drop=data.columns.drop,
        read=Reading(**asdict(data.read)),
        where="ray" if recipe.run.where == "ray" else "local",
        steps={name: _settings(name, given) for name, given in data.steps.items()},
    )


def _settings(step: str, given: Any) -> dict[str, Any]:
    """The settings of a step, those in the file it names included; a name alone stands for such a file."""
    given = {"file": given} if isinstance(given, str) else dict(given or {})
    file = given.pop("file", None)
    return given if file is None else {**recipes.document(file, step), **given}


def text(order: Order) -> str:
    """The recipe as YAML; its paths as seen from where it lies, when the files lie there too."""
    data, folder = order.recipe.data, order.file.parent if order.file else None
    paths = {name: getattr(data, name) for name in ("path", "train", "test")}
    near = {name: str(Path(path).name) for name, path in paths.items() if path and Path(path).parent == folder}
    steps = {step: _near(given, folder) for step, given in data.steps.items()}
    return recipes.dump(replace(order.recipe, data=replace(data, steps=steps, **near)))  # type: ignore[arg-type]


def _near(given: Any, folder: Path | None) -> Any:
    """The settings of a step, with the file they name as seen from the recipe's folder."""
    file = given.get("file") if isinstance(given, Mapping) else None
    return {**given, "file": Path(file).name} if file and Path(file).parent == folder else given


def write(order: Order) -> Order:
    """Write an inferred recipe to its place, whole or not at all, and never over another.

    Returns:
        The order itself; or, when somebody was quicker, the order behind the recipe that is there now.

    Raises:
        InputError: somebody was quicker, with a recipe of something else.
        MachineError: the disk refuses.
    """
    if order.target is None:
        return order
    content = f"# Written by Savile from {Path(order.recipe.data.source).name}; yours to change.\n{text(order)}"
    aside = order.target.with_name(f".{order.target.name}.{os.getpid()}")
    try:
        aside.write_text(content, encoding="utf-8")
        os.link(aside, order.target)  # unlike a rename it fails when somebody else was quicker
    except FileExistsError:
        return _inferred(Path(order.recipe.data.source), order.given)
    except OSError as error:
        raise MachineError(f"the recipe written to {order.target}", str(error), "Make room, and run it again.") from error
    finally:
        aside.unlink(missing_ok=True)
    emit("note", text=f"Wrote the recipe {order.target}; change it and run it again with: savile run {order.target.name}")
    return order


def _inferred(path: Path, given: Mapping[str, Any]) -> Order:
    from savile.data import sources

    sources.find(path)
    name = sources.stem(path)
    target = _target(path, name)
    if target.exists():
        found = _usable(recipes.load(target))
        _check_digest(found, target)
        if found.data.digest is None or Path(found.data.source).resolve() != path.resolve():
            do = f"Run the recipe itself with: savile run {target}; or move it away, and another one is written."
            raise InputError(f"the recipe of {path.name} at {target}", "a recipe of something else", do)
        emit("note", text=f"Following {target}, which was written for this very file.")
        return Order(_usable(recipes.override(found, given)), file=target)
    found_beside = {f"data.steps.{step}.file": str(file) for step in BESIDE if (file := beside(path, step)) is not None}
    usual = {"name": name, "data.path": str(path.absolute()), **found_beside, **_app.defaults(given)}
    recipe = recipes.override(Recipe(), {**usual, **given})
    recipe = replace(recipe, data=replace(recipe.data, digest=fingerprint(recipe.data)))
    return Order(_usable(recipe), target, target, given)


def beside(path: Path, step: str) -> Path | None:
    """The file with settings of a step that lies beside the data, such as ``tickets.rights.yaml``."""
    from savile.data import sources

    name = sources.stem(path)
    files = (path.absolute().with_name(f"{name}.{step}{suffix}") for suffix in (*RECIPE_SUFFIXES, ".json"))
    return next((file for file in files if file.is_file()), None)


def _target(path: Path, name: str) -> Path:
    """Beside the file, or in the working folder when one may not write there."""
    beside = path.absolute().with_name(f"{name}{SUFFIX}")
    return beside if beside.exists() or os.access(beside.parent, os.W_OK) else Path.cwd() / beside.name


def _usable(recipe: Recipe) -> Recipe:
    """A recipe that names its rows once."""
    data = recipe.data
    if not data.source or (data.path and data.train):
        received = "neither" if not data.source else "both"
        raise RecipeError("either data.path or data.train", received, "Name the file with your rows: data: {path: tickets.csv}")
    return recipe


def _check_digest(recipe: Recipe, path: Path) -> None:
    """Files are still those the recipe was written for, if it says which."""
    data = recipe.data
    if data.digest is None:
        return
    found = fingerprint(data)
    if found != data.digest:
        names = " and ".join(Path(file).name for file in (data.source, data.test) if file)
        do = f"Remove `digest` from {path.name} to follow it with the new data, or move {path.name} away."
        raise InputError(
            f"{names} as {path.name} was written for it ({data.digest[:12]}…)", f"another content ({found[:12]}…)", do
        )


def fingerprint(data: Data) -> str:
    """SHA-256 of the file a recipe names; with a test file, that of both digests in a row."""
    from savile.data import sources

    digests = [sources.sha256(file) for file in (data.source, data.test) if file]
    return digests[0] if len(digests) == 1 else digest("".join(digests))
