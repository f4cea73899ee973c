"""The examples run as they stand, in an empty folder, one after another with one store, as a reader would run them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples"
SAYS = {
    "01_govern.py": ["300 rows, 12 labels", "parts:"],
    "02_adapt.py": ["family linear", "method head"],
    "03_compress.py": ["served as"],
    "04_evaluate.py": ["accuracy:", "verdict:"],
    "05_serve.py": ["stopped with exit code 0"],
    "06_monitor.py": ["golden questions:", "savile_"],
    "07_improve.py": ["messages: accuracy", "corrections: accuracy", "now, 60 rows"],
    "10_app.py": ["Alarm: Brightkettle", "read by the model alone"],
}


def test_every_example_is_listed_here():
    assert {path.name for path in FOLDER.glob("*.py")} >= SAYS.keys()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("examples")


@pytest.mark.slow
@pytest.mark.parametrize("name", SAYS)
def test_the_example_runs_and_says_what_it_promises(name, folder):
    environment = {**os.environ, "SAVILE_HOME": str(folder / ".savile")}
    command = [sys.executable, str(FOLDER / name)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [words for words in SAYS[name] if words not in done.stdout] == [], done.stdout
