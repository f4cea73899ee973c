"""Write docs/reference from the docstrings of the source, one page per room, without importing anything.

A page holds the room's docstring, then every public module, and every public class and function with its signature.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE, TARGET = ROOT / "src" / "savile", ROOT / "docs" / "reference"
SECTION = re.compile(r"^(Args|Returns|Raises|Attributes|Yields):$")
Definition = ast.FunctionDef | ast.ClassDef


def main() -> None:
    """Write every page anew."""
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    rooms = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))
    top = [path for path in sorted(PACKAGE.glob("*.py")) if not path.stem.startswith("_")]
    index = ["# Reference", "", "Made from the docstrings of the source.", "", *docstring(PACKAGE / "__init__.py"), ""]
    for room in rooms:
        (TARGET / f"{room.name}.md").write_text("\n".join(room_page(room)) + "\n", encoding="utf-8")
        index.append(f"- [savile.{room.name}]({room.name}.md): {summary(room / '__init__.py')}")
    for module in top:
        (TARGET / f"{module.stem}.md").write_text("\n".join(module_part(module, 1)) + "\n", encoding="utf-8")
        index.append(f"- [savile.{module.stem}]({module.stem}.md): {summary(module)}")
    (TARGET / "index.md").write_text("\n".join(index) + "\n", encoding="utf-8")


def room_page(room: Path) -> Iterator[str]:
    """The room, what it exports, and its plug-ins."""
    yield from module_part(room / "__init__.py", 1)
    for module in sorted(room.iterdir()):
        path = module / "__init__.py" if module.is_dir() else module
        if path.suffix == ".py" and path.exists() and not module.stem.startswith("_"):
            yield from module_part(path, 2)


def module_part(path: Path, level: int) -> Iterator[str]:
    """A module's docstring and what it defines or passes on in public."""
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    yield from ("", f"{'#' * level} {name}", "", *docstring(path))
    for definition in public(path):
        yield from definition_part(definition, level + 1)


def public(path: Path) -> Iterator[Definition]:
    """Public definitions of a module, and those its `__all__` takes from other modules of the house."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node
    exported = {name for node in tree.body if isinstance(node, ast.Assign) for name in all_names(node)}
    for taken in ast.walk(tree):
        if isinstance(taken, ast.ImportFrom) and (taken.module or "").startswith("savile."):
            wanted = exported & {alias.name for alias in taken.names}
            source = PACKAGE.parent.joinpath(*str(taken.module).split(".")).with_suffix(".py")
            if wanted and source.exists():
                body = ast.parse(source.read_text(encoding="utf-8")).body
                yield from (found for found in body if isinstance(found, Definition) and found.name in wanted)


def all_names(node: ast.Assign) -> list[str]:
    """The names in an assignment to `__all__`, none for other assignments."""
    if [ast.unparse(target) for target in node.targets] != ["__all__"] or not isinstance(node.value, ast.List | ast.Tuple):
        return []
    return [str(element.value) for element in node.value.elts if isinstance(element, ast.Constant)]


def definition_part(node: Definition, level: int) -> Iterator[str]:
    """Signature and docstring of one class or function; of a class its public methods, too."""
    methods = []
    if isinstance(node, ast.ClassDef):
        methods = [inner for inner in node.body if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_")]
        maker = [inner for inner in node.body if isinstance(inner, ast.FunctionDef) and inner.name == "__init__"]
        shown = f"class {node.name}({ast.unparse(maker[0].args).removeprefix('self').lstrip(', ') if maker else ''})"
        shown = shown.removesuffix("()")
    else:
        shown = f"{node.name}({ast.unparse(node.args)})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")
    yield from ("", f"{'#' * level} {node.name}", "", "```python", shown, "```", "", *markdown(ast.get_docstring(node) or ""))
    for method in methods:
        yield from definition_part(method, level + 1)


def docstring(path: Path) -> list[str]:
    """A module's docstring as Markdown."""
    return markdown(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")


def summary(path: Path) -> str:
    """The first line of a module's docstring."""
    return next(iter(docstring(path)), "")


def markdown(text: str) -> list[str]:
    """Docstring sections become lists, one item an entry; the rest is Markdown as it is."""
    lines, inside = [], False
    for line in text.replace("``", "`").splitlines():
        if SECTION.match(line):
            lines += ["", f"**{line.rstrip(':')}**", ""]
            inside = True
        elif inside and re.match(r"    \S", line):
            name, colon, rest = line.strip().partition(": ")
            lines.append(f"- `{name}`: {rest}" if colon else f"- {line.strip()}")
        else:
            inside = inside and (not line or line.startswith("    "))
            lines.append(f"  {line.strip()}" if inside and line else line)
    return lines


if __name__ == "__main__":
    main()
