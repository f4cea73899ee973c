"""Every test has a home of its own and no hub; data sets are read from ``$SAVILE_DATA``."""

import os
import shutil
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DATA = Path(os.environ.get("SAVILE_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory):
    """One store for the tests of a file that ask for it, since what lies there takes long to make."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAVILE_HOME", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def savile_home(request, tmp_path, monkeypatch):
    """A store nobody else writes to, or that of the file."""
    monkeypatch.delenv("SAVILE_ACTOR", raising=False)
    if "shared_home" in request.fixturenames:
        return request.getfixturevalue("shared_home")
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def data_dir():
    """The folder of public data sets."""
    if not DATA.is_dir():
        pytest.skip(f"no data sets in {DATA}; set SAVILE_DATA to their folder")
    return DATA


@pytest.fixture(scope="module")
def browser():
    """A real browser without a window."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install 'savile[test]'")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()
