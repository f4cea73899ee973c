"""Small files to govern, made on the spot."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

SAMPLES = Path(os.environ.get("SAVILE_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of its own, so that nothing is remembered from elsewhere."""
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def write(tmp_path):
    """Write columns as a csv file and give its path."""

    def to_file(columns, name="tickets.csv"):
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        return path

    return to_file


@pytest.fixture
def sample():
    """The path of a public data set, or a skip where there is none."""

    def path(name):
        found = SAMPLES / name
        if not found.exists():
            pytest.skip(f"no {name} in {SAMPLES}; set SAVILE_DATA")
        return found

    return path


@pytest.fixture(scope="session")
def sentences():
    """Make so many texts that share no run of characters to speak of."""

    def texts(count, seed=0, words=8):
        rng = np.random.default_rng(seed)
        letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
        return [" ".join("".join(rng.choice(letters, size=rng.integers(3, 9))) for _ in range(words)) for _ in range(count)]

    return texts
