"""OpenVINO on CPUs: the fastest engine for encoders where the processor multiplies bf16."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from savile.base import machine
from savile.base.contracts import Run
from savile.base.errors import CorruptError, MissingExtraError
from savile.serving._packing import reader

READS = ("openvino", "onnx")  # the kinds of forms, best known first
GRAPH, WEIGHTS, ONNX = "model.xml", "model.bin", "model.onnx"
PRECISION = ["savile", "precision"]  # where a graph says in which precision it is meant to run
# One kernel for the whole of attention is slower than its parts while texts are short: 25 % of a run at 15 tokens.
PARTS = {"SNIPPETS_MODE": "DISABLE"}


def available() -> str | None:
    """None when the package is installed."""
    if importlib.util.find_spec("openvino") is None:
        return "the package openvino is not installed; pip install 'savile[serve]'"
    return None


def convert(onnx: bytes, precision: str) -> dict[str, bytes]:
    """An ONNX graph -> the files of OpenVINO's own format, weights in 16 bits, meant to run in `precision` (``bf16``)."""
    from tempfile import TemporaryDirectory

    ov = _package()
    model = ov.Core().read_model(onnx)
    model.set_rt_info(precision, PRECISION)
    with TemporaryDirectory() as folder:
        ov.save_model(model, Path(folder) / GRAPH, compress_to_fp16=True)
        return {name: (Path(folder) / name).read_bytes() for name in (GRAPH, WEIGHTS)}


def open(files: Mapping[str, Path], threads: int) -> Run:
    """Load ``model.xml`` and ``model.bin``, or ``model.onnx``.

    `threads` is what one call uses, 0 for all there are; as many calls run side by side as that leaves room for.

    Raises:
        CorruptError: the files are no graph that OpenVINO reads.
        MissingExtraError: OpenVINO is not installed.
    """
    core = _package().Core()
    try:
        model = _read(core, files)
        compiled = _compile(core, model, threads)
        names = [given.any_name for given in compiled.inputs]
        return reader(names, _requests(compiled))
    except (RuntimeError, ValueError) as error:
        raise CorruptError("a graph that OpenVINO reads", str(error).strip().rpartition("\n")[2], "Compress again.") from error


def _requests(compiled: Any) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    """What runs the graph; a request holds its own buffers, so each thread has one."""
    local = threading.local()

    def call(inputs: Sequence[np.ndarray]) -> np.ndarray:
        if not hasattr(local, "request"):
            local.request = compiled.create_infer_request()
        logits: np.ndarray = local.request.infer(inputs, share_inputs=True)[0]
        return logits

    return call


def _read(core: Any, files: Mapping[str, Path]) -> Any:
    if ONNX in files:
        return core.read_model(files[ONNX].read_bytes())
    weights = np.fromfile(files[WEIGHTS], dtype=np.uint8)  # stored files have no suffix to tell the format by
    return core.read_model(files[GRAPH].read_bytes(), _package().Tensor(weights))


def _compile(core: Any, model: Any, threads: int) -> Any:
    native = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    meant = str(model.get_rt_info(PRECISION).value) if model.has_rt_info(PRECISION) else "f32"
    cores = machine.available_threads()
    options = {
        "INFERENCE_PRECISION_HINT": meant if meant.upper() in native else "f32",  # emulated, bf16 would only be slow
        "INFERENCE_NUM_THREADS": max(cores, threads),
        "NUM_STREAMS": max(1, cores // threads) if threads else 1,
        "ENABLE_CPU_PINNING": False,  # a pinned thread waits for whoever else runs on its core
    }
    try:
        return core.compile_model(model, "CPU", {**options, **PARTS})
    except RuntimeError:  # the option is OpenVINO's own business; another version may not know it
        return core.compile_model(model, "CPU", options)


def _package() -> Any:
    """OpenVINO without its telemetry, which would send as soon as it is imported."""
    if available() is not None:
        raise MissingExtraError("openvino", "serve")
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # its import fails, and a stub takes its place
    return importlib.import_module("openvino")
