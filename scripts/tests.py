"""All tests, in two processes side by side, each on half of the cores: most of them use one core, and there are many.

``python scripts/tests.py``; ends with 1 when a test fails in either half. With one core the halves follow one another.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

HERE = Path(__file__).resolve().parents[1]
FIRST = ("test_matrix.py", "scheduling", "serving", "evaluation", "tracking", "compression", "base")


def halves() -> tuple[list[str], list[str]]:
    """Folders and files of tests; what is new goes to the second half."""
    found = sorted(path.name for path in (HERE / "tests").iterdir() if _holds_tests(path))
    return [f"tests/{name}" for name in FIRST], [f"tests/{name}" for name in found if name not in FIRST]


def _holds_tests(path: Path) -> bool:
    return path.name.startswith("test_") if path.is_file() else any(path.glob("test_*.py"))


def begin(names: list[str], cores: set[int], out: IO[bytes]) -> subprocess.Popen[bytes]:
    """One half, on some of the cores."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--durations=10", *names]
    return subprocess.Popen(
        command, cwd=HERE, stdout=out, stderr=subprocess.STDOUT, preexec_fn=lambda: os.sched_setaffinity(0, cores)
    )


def main() -> None:
    """Run both halves, show the first as it goes and the second when it is done."""
    cores = sorted(os.sched_getaffinity(0))
    middle = (len(cores) + 1) // 2
    shares = [set(cores[:middle]), set(cores[middle:]) or set(cores)]
    codes = []
    with tempfile.TemporaryFile() as aside:
        second = begin(halves()[1], shares[1], aside) if len(cores) > 1 else None
        codes.append(begin(halves()[0], shares[0], sys.stdout.buffer).wait())
        second = second or begin(halves()[1], shares[1], aside)
        codes.append(second.wait())
        aside.seek(0)
        sys.stdout.buffer.write(aside.read())
    sys.exit(max(codes, key=abs))


if __name__ == "__main__":
    main()
