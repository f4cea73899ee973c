"""The catalogue finds built-in plug-ins by file name and outside ones by entry point, without importing either."""

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from savile.base import catalogue
from savile.base.errors import UnknownNameError
from savile.testing import check_task

ROOT = Path(__file__).parents[2]
OUTSIDER = ROOT / "tests" / "plugin_package"


@pytest.fixture
def outsider(tmp_path, monkeypatch):
    """The toy package as an installer leaves it: its folder, and beside it what its pyproject says."""
    project = tomllib.loads((OUTSIDER / "pyproject.toml").read_text())["project"]
    info = tmp_path / "savile_urgency-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    points = [f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in named.items()) for group, named in groups]
    (info / "entry_points.txt").write_text("\n".join(points))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(OUTSIDER)
    yield info
    for name in [name for name in sys.modules if name.startswith("savile_urgency")]:
        del sys.modules[name]


def files(room):
    return {path.stem for path in (ROOT / "src" / "savile" / room).glob("*.py") if not path.stem.startswith("_")}


@pytest.mark.parametrize("kind", sorted(catalogue.KINDS))
def test_the_listing_of_a_room_is_the_catalogue(kind):
    room = catalogue.KINDS[kind][0].partition(".")[2].replace(".", "/")
    folders = {path.parent.name for path in (ROOT / "src" / "savile" / room).glob("[a-z]*/__init__.py")}
    assert set(catalogue.names(kind)) == files(room) | folders
    assert catalogue.names(kind) == sorted(catalogue.names(kind))


def test_a_name_gives_its_module():
    assert catalogue.get("tasks", "classify") is import_module("savile.tasks.classify")


def test_machinery_cannot_be_named():
    assert "_fit" not in catalogue.names("families")
    with pytest.raises(UnknownNameError):
        catalogue.get("families", "_fit")


def test_a_typo_is_answered_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'classify'\?") as caught:
        catalogue.get("tasks", "clasify")
    assert caught.value.as_dict()["code"] == "unknown_name"
    with pytest.raises(UnknownNameError, match="adaptation method among"):
        catalogue.get("methods", "zzzz")


def test_every_plug_in_is_described_by_its_first_line():
    for kind in catalogue.KINDS:
        described = catalogue.describe(kind)
        assert set(described) == set(catalogue.names(kind))
        assert all(line.endswith((".", ":")) or len(line) > 20 for line in described.values()), described


def test_an_outside_package_is_found_used_and_meant(outsider):
    assert "urgency" in catalogue.names("tasks")
    assert "savile_urgency" not in sys.modules
    assert catalogue.describe("tasks")["urgency"].startswith("How urgent a message is")
    assert "savile_urgency.urgency" not in sys.modules
    assert catalogue.get("tasks", "urgency").score([0], [1]) == 0.0
    check_task("urgency")
    with pytest.raises(UnknownNameError, match=r"Did you mean 'urgency'\?"):
        catalogue.get("tasks", "urgancy")


def test_a_built_in_plug_in_is_not_replaced_from_outside(outsider):
    (outsider / "entry_points.txt").write_text("[savile.tasks]\nclassify = savile_urgency.urgency\n")
    assert catalogue.get("tasks", "classify") is import_module("savile.tasks.classify")


def test_without_the_package_its_task_is_unknown():
    with pytest.raises(UnknownNameError):
        catalogue.get("tasks", "urgency")


def test_listing_and_describing_import_nothing():
    code = (
        "import sys\nfrom savile.base import catalogue\n"
        "for kind in catalogue.KINDS: catalogue.names(kind), catalogue.describe(kind)\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'sklearn', 'transformers', 'openvino', 'fastapi')]"
        " + [f'savile.{p}.{n}' for p in ('tasks', 'models') for k in catalogue.KINDS for n in catalogue.names(k)"
        " if f'savile.{p}.{n}' in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
