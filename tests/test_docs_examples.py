"""What the pages show is so: the recipe loads, the message is the one printed, the method keeps its contract."""

import re
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from savile import testing
from savile.base import recipe as recipes
from savile.base.errors import RecipeError

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_recipe_of_its_page_loads(tmp_path):
    path = tmp_path / "card.yaml"
    path.write_text(blocks("recipe.md", "yaml")[0])
    assert recipes.load(path).evaluate.value.person == -1.2


def test_every_key_of_a_section_is_on_its_page():
    page = (DOCS / "recipe.md").read_text(encoding="utf-8")
    for section in (field.name for field in fields(recipes.Recipe) if field.name not in ("version", "name")):
        row = next(line for line in page.splitlines() if line.startswith(f"| `{section}`"))
        assert [key for key in vars(getattr(recipes.Recipe(), section)) if key not in row] == [], section


def test_the_message_of_the_page_is_the_one_printed(tmp_path):
    path = tmp_path / "card.yaml"
    path.write_text("version: 1\n" + "#\n" * 6 + "evaluate:\n  flor: 0.9\n")
    with pytest.raises(RecipeError) as caught:
        recipes.load(path)
    error = caught.value
    printed = f"Wanted {error.wanted}.\nReceived {error.received}.\n{error.do}\n"
    assert printed == blocks("recipe.md", "text")[0]


def test_the_method_of_the_page_keeps_its_contract(tmp_path, monkeypatch):
    from savile.models import encoder

    source = next(block for block in blocks("how-to/plug-in.md", "python") if "def attach" in block)
    method = ModuleType("norms")
    monkeypatch.setitem(sys.modules, "norms", method)  # dataclasses look their module up
    exec(source, method.__dict__)
    base = str(testing.tiny_encoder(tmp_path))
    testing.check_method(method, lambda: encoder.create(base, ("a", "b", "c"), cosine=False, max_length=32))
