"""Commands on pages are those the shell takes, recipes load, and plug-ins that are shown have what contracts ask for."""

import re
import shlex
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import click
import pytest

from savile import cli, testing
from savile.base import recipe as recipes

ROOT = Path(__file__).parents[1]
MADE = ROOT / "docs" / "reference"  # made from docstrings, not written
WRITTEN = (path for path in (ROOT / "docs").rglob("*.md") if MADE not in path.parents)
PAGES = sorted({*ROOT.glob("*.md"), *WRITTEN} - {ROOT / "CHANGELOG.md"})
MARKS = {
    "measure": "metrics",
    "open": "engines",
    "write": "trackers",
    "attach": "methods",
    "reply": "apps",
    "apply": "techniques",
}


def shown(path):
    return str(path.relative_to(ROOT))


def blocks(path, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(path):
    """Every ``savile …`` of a page's consoles, and of a table of symptoms, causes and commands."""
    lines = [
        line[2:]
        for block in blocks(path, "console")
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("$ savile")
    ]
    if path.name == "faq.md":
        lines += re.findall(r"`(savile [^`]+)`", path.read_text(encoding="utf-8"))
    return [shlex.split(part, comments=True) for line in lines for part in line.split("&&")]


GIVEN = [(path, words) for path in PAGES for words in commands(path)]


@pytest.mark.parametrize(("path", "words"), GIVEN, ids=[f"{shown(path)}: {' '.join(words)}" for path, words in GIVEN])
def test_the_command_is_one_the_shell_takes(path, words):
    with click.Context(cli.shell(), info_name="savile") as context:
        name, command, rest = cli.shell().resolve_command(context, words[1:])
        assert command.make_context(name, list(rest), parent=context).command is command


def test_a_command_that_does_not_exist_is_noticed():
    with pytest.raises(click.UsageError), click.Context(cli.shell()) as context:
        cli.shell().get_command(context, "run").make_context("run", ["tickets.csv", "--no-such-option"], parent=context)


@pytest.mark.parametrize("path", [path for path in PAGES if blocks(path, "yaml")], ids=shown)
def test_the_recipes_of_a_page_load_and_the_files_they_name_are_read(path, tmp_path):
    for number, block in enumerate(blocks(path, "yaml")):
        written = tmp_path / f"{number}.yaml"
        written.write_text(block, encoding="utf-8")
        sections = recipes.document(written, "recipe").keys() & {section.name for section in fields(recipes.Recipe)}
        if sections:  # a block without any is a file that a recipe names
            assert isinstance(recipes.load(written), recipes.Recipe)


PLUG_INS = [(path, block) for path in PAGES for block in blocks(path, "python") if block.startswith('"""')]


@pytest.mark.parametrize(("path", "block"), PLUG_INS, ids=[shown(path) for path, _ in PLUG_INS])
def test_the_plug_in_of_a_page_has_what_its_contract_asks_for(path, block, monkeypatch):
    module = ModuleType("shown")
    monkeypatch.setitem(sys.modules, "shown", module)  # dataclasses look their module up
    exec(block, module.__dict__)
    kind = next((kind for mark, kind in MARKS.items() if mark in vars(module)), None)
    if kind is not None:
        assert testing.missing(module, testing.CONTRACTS[kind]) == []


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_the_python_of_a_page_compiles(path):
    for block in blocks(path, "python"):
        assert compile(block, shown(path), "exec").co_filename == shown(path)
