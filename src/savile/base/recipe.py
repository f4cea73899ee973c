"""The recipe: one YAML file for every stage. Read here, checked here; everything below gets the frozen dataclasses.

    version: 1
    name: card-support
    task:     {kind: classify, text: text, label: category}
    data:     {train: train.csv.gz, test: test.csv, pii: mask}     # or {path: all.csv}
    model:    {base: minilm}                                       # or {family: linear}
    adapt:    {method: auto, budget: {minutes: 10}}
    compress: {max_size_mb: 100, max_drop: 0.005}
    evaluate: {metric: accuracy, floor: 0.90, must_beat: base, value: {right: 0.4, wrong: -3, person: -1.2}}
    serve:    {port: 8080, keys: required}

Whatever is left out has a default, and `dump(recipe, full=True)` prints it. An unknown key is an error that names the line
and the nearest key. Only this file knows YAML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from savile.base import catalogue
from savile.base._sections import SECTION, Compress, Data, Recipe, Serve, Task
from savile.base.errors import InputError, RecipeError, nearest

__all__ = [
    "SECTION",
    "Data",
    "Recipe",
    "Serve",
    "assignments",
    "document",
    "dump",
    "fill",
    "load",
    "make",
    "override",
    "plain",
    "schema",
    "as_yaml",
    "write",
]

Section = TypeVar("Section")
Where = Mapping[tuple[str | int, ...], str]  # path of a value -> where it was written
HELP = "`savile show recipe --full` prints every key with its default."


def load(path: str | Path) -> Recipe:
    """The recipe of a file; relative paths in it are taken from its folder.

    Raises:
        RecipeError: it is no YAML, or a key or value is wrong; the message names the line.
        InputError: there is no such file.
    """
    path = Path(path)
    text = _text(path, "recipe", "Check the path; `savile init FILE` writes a recipe.")
    raw, lines = _parsed(text, path.name)
    recipe = _checked(raw, {place: f"line {line} of {path.name}" for place, line in lines.items()}, path.name)
    folder, data = path.absolute().parent, recipe.data
    found: dict[str, Any] = {name: str(folder / value) for name in ("path", "train", "test") if (value := getattr(data, name))}
    found["steps"] = {name: _placed(given, folder) for name, given in data.steps.items()}
    for name in ("documents", "facts"):  # files, seen from the recipe's folder
        read = recipe.adapt.settings.get(name)
        if not isinstance(read, str):
            continue
        settings = {**recipe.adapt.settings, name: str(folder / read)}
        recipe = replace(recipe, adapt=replace(recipe.adapt, settings=settings))
    base = recipe.model.base
    if (folder / base).is_dir():
        recipe = replace(recipe, model=replace(recipe.model, base=str(folder / base)))
    return replace(recipe, name=recipe.name or path.name.partition(".")[0], data=replace(data, **found))


def make(settings: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe of dotted settings, such as ``{"evaluate.floor": 0.9}``, and defaults."""
    return override(Recipe(), settings or {})


def override(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """A recipe with some settings replaced.

    Args:
        recipe: what holds for everything else.
        settings: dotted path of a key -> value, as in ``--set evaluate.floor=0.9``.

    Raises:
        RecipeError: there is no such key, or it cannot have that value.
    """
    if not settings:
        return recipe
    raw, where = _plain(recipe), dict[tuple[str | int, ...], str]()
    for dotted, value in settings.items():
        steps = dotted.split(".")
        _put(raw, steps, value)
        where[tuple(steps)] = f"the setting {dotted}={value}"
    return _checked(raw, where, "the settings")


def assignments(texts: Sequence[str]) -> dict[str, Any]:
    """``["adapt.budget.minutes=2"]`` -> ``{"adapt.budget.minutes": 2}``; values are written as in YAML.

    Raises:
        RecipeError: one is not of the form ``a.b=c``.
    """
    found = {}
    for text in texts:
        dotted, equals, value = text.partition("=")
        if not equals or not dotted.strip():
            raise RecipeError("--set section.key=value", repr(text), "Write it like --set evaluate.floor=0.9.")
        found[dotted.strip()] = _parsed(value, f"--set {dotted}", mapping=False)[0]
    return found


def dump(recipe: Recipe, full: bool = False) -> str:
    """The recipe as YAML, a section a line: what differs from the defaults, or with `full` everything."""
    shown = _plain(recipe)
    if not full:
        shown = {"version": 1, **_difference(shown, _plain(Recipe()))}
    return "".join(f"{key}: {_line(value)}\n" for key, value in shown.items())


def document(path: str | Path, what: str) -> dict[str, Any]:
    """The mapping in a YAML or JSON file that a recipe names.

    Args:
        path: the file.
        what: what it is, for messages, such as ``rights``.

    Raises:
        RecipeError: it holds no mapping.
        InputError: there is no such file.
    """
    path = Path(path)
    found: dict[str, Any] = _parsed(_text(path, what, "Check the path."), path.name)[0]
    return found


def foreign(path: str | Path) -> tuple[dict[str, Any], dict[str, int]]:
    """What stands in the YAML file of another tool, and the line of each of its keys.

    Raises:
        RecipeError: it holds no mapping.
        InputError: there is no such file.
    """
    path = Path(path)
    raw, lines = _parsed(_text(path, "settings", "Check the path."), path.name)
    return raw, {str(place[0]): line for place, line in lines.items() if len(place) == 1}


def fill(kind: type[Section], raw: Mapping[str, Any], name: str) -> Section:
    """A frozen dataclass of plain values, checked like a section of the recipe.

    Args:
        kind: the dataclass; it forbids other keys with `SECTION`.
        raw: its values.
        name: where they come from, for messages, such as ``data.steps.rights``.

    Raises:
        RecipeError: a key or a value is wrong.
    """
    try:
        return TypeAdapter(kind).validate_python(dict(raw))
    except ValidationError as error:
        raise _problem(error.errors(include_url=False)[0], {(): name}, name, kind) from None


def write(values: Mapping[str, Any]) -> str:
    """A mapping as YAML that `document` reads back: a key a line, and of a list an entry a line."""
    lines = []
    for key, value in values.items():
        inside = [f"- {_line(one)}" for one in value] if isinstance(value, list | tuple) and value else []
        lines += [f"{key}:", *inside] if inside else [f"{key}: {_line(value)}"]
    return "\n".join(lines) + "\n"


def as_yaml(*values: Any) -> str:
    """Plain values as YAML documents, keys in the order given; for files that other programs read."""
    return str(yaml.safe_dump_all(values, sort_keys=False))


def schema() -> dict[str, Any]:
    """The JSON schema of a recipe, for editors."""
    found: dict[str, Any] = _adapter().json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": "Savile recipe"}


def plain(section: Any) -> dict[str, Any]:
    """A section as JSON has it, without what was left out."""
    found: dict[str, Any] = {name: value for name, value in _plain(section).items() if value not in (None, [], {})}
    return found


def _text(path: Path, what: str, do: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        there = "a folder" if path.is_dir() else "no file"
        raise InputError(f"a {what} file", f"{there} at {path}", do) from None
    except UnicodeDecodeError as error:
        raise RecipeError(f"a {what} file in UTF-8", f"{path.name}, byte {error.start}", "Save it as UTF-8.") from None


def _placed(given: Any, folder: Path) -> Any:
    """The settings of a step, with the file they name taken from the recipe's folder; a name alone stands for that file."""
    given = {"file": given} if isinstance(given, str) else given
    if isinstance(given, dict) and isinstance(given.get("file"), str) and not given["file"].startswith("data@"):
        return {**given, "file": str(folder / given["file"])}
    return given


@cache
def _adapter() -> TypeAdapter[Recipe]:
    return TypeAdapter(Recipe)


def _plain(section: Any) -> dict[str, Any]:
    """Dataclasses as dictionaries, tuples as lists."""
    found: dict[str, Any] = _listed(asdict(section))
    return found


def _line(value: Any) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, sort_keys=False, default_flow_style=True, allow_unicode=True, width=float("inf"))
    return str(text).removesuffix("...\n").strip()


def _listed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _listed(inner) for key, inner in value.items()}
    return [_listed(inner) for inner in value] if isinstance(value, list | tuple) else value


def _difference(shown: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for key, value in shown.items():
        usual = default.get(key)
        if isinstance(value, dict) and isinstance(usual, dict) and usual:
            value = _difference(value, usual)
            usual = {}
        if value != usual:
            found[key] = value
    return found


def _put(section: dict[str, Any], steps: Sequence[str], value: Any) -> dict[str, Any]:
    """The section with one value put at the end of a path; what stands in the path's way goes."""
    first, *rest = steps
    inner = section.get(first)
    section[first] = _put(inner if isinstance(inner, dict) else {}, rest, value) if rest else value
    return section


def _parsed(text: str, name: str, mapping: bool = True) -> tuple[Any, dict[tuple[str | int, ...], int]]:
    """YAML as plain values, and the line of each value by its path."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise RecipeError("every value written out", f"{name} with references (*name)", "Repeat the value instead.")
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1} of {name}" if mark else name
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise RecipeError("YAML", f"{where}: {problem}", "Mend that line; keys end in a colon and a space.") from None
    if mapping and not isinstance(value, dict):
        received = f"{name}, which is empty" if value is None else f"{name} with {type(value).__name__} at the top"
        raise RecipeError("a recipe with sections", received, f"Begin with `version: 1`. {HELP}")
    lines: dict[tuple[str | int, ...], int] = {}
    if node is not None:
        _walk(node, (), lines, name)
    return value, lines


def _walk(node: yaml.Node, place: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int], name: str) -> None:
    """Note the line of every value; YAML would let the last of two equal keys win in silence."""
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            if inner in lines:
                received = f"{key.value!r} in lines {lines[inner]} and {key.start_mark.line + 1} of {name}"
                raise RecipeError("every key once", received, "Remove one of them.")
            lines[inner] = key.start_mark.line + 1
            _walk(value, inner, lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            _walk(value, (*place, i), lines, name)


def _checked(raw: dict[str, Any], where: Where, name: str) -> Recipe:
    """The recipe of plain values; sections left empty are those of the defaults."""
    raw = {key: value for key, value in raw.items() if value is not None}
    try:
        recipe = _adapter().validate_python(raw)
    except ValidationError as error:
        found = error.errors(include_url=False)
        unknown = [one for one in found if one["type"] in ("unexpected_keyword_argument", "extra_forbidden")]
        raise _problem((unknown or found)[0], where, name) from None
    for bar in recipe.evaluate.gates:
        if (bar.min is None) == (bar.max is None):
            raise RecipeError("a gate with either min or max", str(plain(bar)), "Give each entry of evaluate.gates one bar.")
    worth = recipe.evaluate.value
    if worth is not None:
        lacks = [name for name in ("right", "wrong", "person") if getattr(worth, name) is None]
        if len(lacks) < 3 or worth.accuracy is None:
            for name in lacks:
                do = f"Give right, wrong and person, in one currency, or accuracy alone. {HELP}"
                raise RecipeError(f"the key evaluate.value.{name}", f"nothing{_in(('evaluate', 'value'), where)}", do)
    _check_names(recipe, where)
    return recipe


def _check_names(recipe: Recipe, where: Where) -> None:
    """Names of plug-ins exist: found out at the door and not after an hour of training."""
    usual = (None, Task.kind, Compress.technique)
    named = [
        (("task", "kind"), recipe.task.kind, catalogue.names("tasks")),
        (("model", "family"), recipe.model.family, catalogue.names("families")),
        (("adapt", "method"), recipe.adapt.method, ["auto", "search", *catalogue.names("methods")]),
        (("compress", "technique"), recipe.compress.technique, catalogue.names("techniques")),
        *((("data", "steps", step), step, catalogue.names("steps")) for step in recipe.data.steps),
        *((("run", "track"), name, catalogue.names("trackers")) for name in recipe.run.track),
    ]
    for place, value, known in named:
        if value not in (*known, *usual):
            guess = nearest(str(value), known)
            received = f"{value!r}{_in(place, where)}"
            raise RecipeError(
                f"{'.'.join(place)} among {', '.join(known)}", received, f"Did you mean {guess!r}?" if guess else "Name one."
            )


def _problem(found: Mapping[str, Any], where: Where, name: str, root: type = Recipe) -> RecipeError:
    """What pydantic found in a section of the kind `root`, in words."""
    place = tuple(found["loc"])
    if found["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        *sections, key = place
        known = _keys(sections, root)
        guess = nearest(str(key), known)
        inside = f"in {'.'.join(map(str, sections))} " if sections else ""
        do = f"Did you mean {guess!r}? " if guess else "Remove it. "
        return RecipeError(f"a key {inside}among {', '.join(known)}", f"{str(key)!r}{_in(place, where)}", do + HELP)
    shown = ".".join(str(step) for step in place if not str(step).startswith(("function-", "constrained-"))) or name
    if found["type"] in ("missing", "missing_argument"):
        return RecipeError(f"the key {shown}", f"nothing{_in(place[:-1], where)}", f"Add it. {HELP}")
    received = f"{found['input']!r}{_in(place, where)}"
    if found["type"] == "dataclass_type":
        return RecipeError(f"{shown}: a section with {', '.join(_keys(place, root))}", received, f"Correct it. {HELP}")
    return RecipeError(f"{shown}: {found['msg'].lower().removeprefix('input should be ')}", received, f"Correct it. {HELP}")


def _keys(sections: Sequence[Any], kind: Any) -> list[str]:
    """The keys of a section inside another of some kind, given by its path."""
    for section in sections:
        if isinstance(section, int) or not is_dataclass(kind):
            continue
        hint: Any = get_type_hints(kind).get(section)
        kind = next((one for one in (hint, *getattr(hint, "__args__", ())) if is_dataclass(one)), None)
    return [one.name for one in fields(kind)] if is_dataclass(kind) else []


def _in(place: Sequence[Any], where: Where) -> str:
    """`` in line 7 of card.yaml``, of the value or of the nearest section around it."""
    for end in range(len(place), -1, -1):
        if tuple(place[:end]) in where:
            return f" in {where[tuple(place[:end])]}"
    return ""
