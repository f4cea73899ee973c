"""All tests, in two processes side by side: each takes the next room when it is done with one.

``python scripts/tests.py``; ends with 1 when a test fails in any of them. Most tests use one core, so two processes share the
cores there are; rooms that take longest go first, so that both end at about the same time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
LONGEST = (
    "test_matrix.py", "adaptation", "flow", "test_examples.py", "models", "data", "scheduling",
    "test_contracts.py", "compression",
)  # fmt: skip
PROCESSES = 2


def rooms() -> list[list[str]]:
    """Folders and files of tests; those in the root that are not named belong together."""
    found = sorted(path.name for path in (HERE / "tests").iterdir() if _holds_tests(path))
    folders = [name for name in found if "." not in name and name not in LONGEST]
    files = [name for name in found if "." in name and name not in LONGEST]
    every = [[name] for name in LONGEST] + [files] + [[name] for name in folders]
    return [[f"tests/{name}" for name in room] for room in every]


def _holds_tests(path: Path) -> bool:
    return path.name.startswith("test_") if path.is_file() else any(path.glob("test_*.py"))


def run(names: list[str]) -> tuple[int, str]:
    """One room: the exit code, and what was said."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--durations=10", *names]
    done = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def main() -> None:
    """Run the rooms; each is shown when it is done."""
    left, codes, lock = rooms(), list[int](), threading.Lock()

    def work(cores: set[int]) -> None:
        os.sched_setaffinity(0, cores)  # of this thread, and of the processes it begins
        while True:
            with lock:
                if not left:
                    return
                names = left.pop(0)
            sys.stderr.write(f"begins: {' '.join(names)}\n")
            code, said = run(names)
            with lock:
                codes.append(code)
                sys.stdout.write(f"== {' '.join(names)}\n{said}")
                sys.stdout.flush()

    cores = sorted(os.sched_getaffinity(0))
    hands = min(PROCESSES, len(cores))
    threads = [threading.Thread(target=work, args=(set(cores[hand::hands]),)) for hand in range(hands)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    sys.exit(max(codes, key=abs))


if __name__ == "__main__":
    main()
