"""Transformers on PyTorch: answers from the very files a tuned language model is handed on with, safetensors or GGUF."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from savile.base.contracts import Run
from savile.base.errors import CorruptError, MissingExtraError

READS = ("merged", "gguf")
NEEDED = ("torch", "transformers", "gguf")


def available() -> str | None:
    """None when the packages are installed."""
    missing = next((name for name in NEEDED if importlib.util.find_spec(name) is None), None)
    return None if missing is None else f"the package {missing} is not installed; pip install 'savile[train]'"


def open(files: Mapping[str, Path], threads: int) -> Run:
    """Load ``model.safetensors`` with ``config.json``, or ``model.gguf``, in fp32; torch decides on threads.

    Raises:
        CorruptError: the files are no language model that transformers reads.
        MissingExtraError: transformers is not installed.
    """
    if available() is not None:
        raise MissingExtraError("transformers", "train")
    import json

    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    from savile.models._decoder import Exported

    logging.disable_progress_bar()
    options = {"gguf_file": "model.gguf"} if "model.gguf" in files else {}
    with TemporaryDirectory() as folder:
        for name, path in files.items():  # stored files have no names of their own
            (Path(folder) / name).symlink_to(path.resolve())
        try:
            trunk = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", **options)
            model = Exported(trunk, json.loads(files["prompt.json"].read_text())).eval()
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            wanted = "a language model that transformers reads"
            raise CorruptError(wanted, str(error).strip().partition("\n")[0], "Compress again.") from error

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        longest = int(mask.sum(axis=1).max())
        with torch.inference_mode():
            logits: np.ndarray = model(torch.from_numpy(ids[:, :longest]), torch.from_numpy(mask[:, :longest])).numpy()
        return logits

    return run
