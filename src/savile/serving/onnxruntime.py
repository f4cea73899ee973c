"""ONNX Runtime on CPUs: runs everywhere, in fp32 and in int8."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path

from savile.base.contracts import Run
from savile.base.errors import CorruptError, MissingExtraError
from savile.serving._packing import reader

READS = ("onnx",)
FATAL_ONLY = 4


def available() -> str | None:
    """None when the package is installed."""
    if importlib.util.find_spec("onnxruntime") is None:
        return "the package onnxruntime is not installed; pip install 'savile[serve]'"
    return None


def open(files: Mapping[str, Path], threads: int) -> Run:
    """Load ``model.onnx``; `threads` is what one call uses, 0 for all cores, and calls may run side by side.

    Raises:
        CorruptError: the file is no graph that ONNX Runtime reads.
        MissingExtraError: ONNX Runtime is not installed.
    """
    if available() is not None:
        raise MissingExtraError("onnxruntime", "serve")
    package = importlib.import_module("onnxruntime")  # absolute: this file has its name
    package.disable_telemetry_events()
    options = package.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = FATAL_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the processor to others
    try:
        session = package.InferenceSession(str(files["model.onnx"]), options, providers=["CPUExecutionProvider"])
        names = [given.name for given in session.get_inputs()]
        return reader(names, lambda inputs: session.run(None, dict(zip(names, inputs, strict=True)))[0])
    except Exception as error:  # its errors have no common base but Exception
        raise CorruptError("a graph that ONNX Runtime reads", str(error).partition("\n")[0], "Compress again.") from error
