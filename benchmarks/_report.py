"""What every benchmark says: one JSON line per figure, printed and appended to ``results/<issue>.jsonl``.

`cached` keeps what one seed measured under ``.cache/``, so that a benchmark that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from savile.base.machine import facts
from savile.base.records import canonical, digest

HERE = Path(__file__).parent


def report(
    name: str,
    value: float,
    unit: str,
    bar: float | None = None,
    higher: bool = True,
    **more: Any,
) -> dict[str, Any]:
    """Print and append one figure.

    Args:
        name: what was measured.
        value: the figure.
        unit: its unit.
        bar: the value it must reach; None where there is none.
        higher: whether more is better.
        more: ``baseline`` (name of the peer) and ``baseline_value``, ``ratio`` (by default how many times better than the
            baseline), ``seeds``, ``runs`` (the figure of each seed or run), ``issue``.
    """
    peer = more.get("baseline_value")
    ratio = more.get("ratio", _ratio(value, peer, higher))
    line = {
        "issue": more.get("issue", Path(sys.argv[0]).stem.partition("_")[0]),
        "name": name,
        "value": value,
        "unit": unit,
        "bar": bar,
        "holds": None if bar is None else bool(value >= bar if higher else value <= bar),
        "baseline": more.get("baseline"),
        "baseline_value": peer,
        "ratio": ratio,
        "seeds": more.get("seeds", 1),
        "machine": facts(),
        "commit": commit(),
    }
    if "runs" in more:
        line["runs"] = more["runs"]
    text = json.dumps(line, ensure_ascii=False)
    print(text, flush=True)
    path = HERE / "results" / f"{line['issue']}.jsonl"
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(text + "\n")
    return line


def cached(key: Mapping[str, Any], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `measure` gives, computed once for each `key` (benchmark, seed, settings) and commit of the source code."""
    path = HERE / ".cache" / f"{digest(canonical({**key, 'source': source()}))[:24]}.json"
    if not path.exists():
        measured = measure()
        path.parent.mkdir(exist_ok=True)
        aside = path.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps(measured), encoding="utf-8")
        aside.replace(path)
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return known


def commit() -> str:
    """The commit measured, with a plus when files differ from it."""
    return (_git("rev-parse", "--short=12", "HEAD") or "unknown") + ("+" if _git("status", "--porcelain", "src") else "")


def source() -> str:
    """Digest of the package's source files."""
    files = sorted((HERE.parent / "src").rglob("*.py"))
    return digest("".join(digest(file.read_bytes()) for file in files))


def _ratio(value: float, peer: float | None, higher: bool) -> float | None:
    over, under = (value, peer) if higher else (peer, value)
    return over / under if over is not None and under else None


def _git(*arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], cwd=HERE.parent, capture_output=True, text=True, check=False)
    return answer.stdout.strip()
