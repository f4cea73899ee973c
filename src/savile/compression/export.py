"""Export: the trained network as graphs for fast engines, OpenVINO in bf16 and ONNX in fp32 and static int8."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base import catalogue, events
from savile.base.errors import InputError, UnknownNameError
from savile.base.records import Calibration, Model

if TYPE_CHECKING:
    import torch

FORMS = ("openvino-bf16", "onnx-fp32", "onnx-int8")


@dataclass(frozen=True)
class Settings:
    """What is made.

    Attributes:
        forms: among ``openvino-bf16``, ``onnx-fp32`` and ``onnx-int8``.
        calibration_rows: training texts that set the ranges of int8.
        keep_error: matrix products whose result int8 would change by more than this share of its size, token by
            token, stay in fp32: those that read what a few huge activations share with many small ones.
    """

    forms: tuple[str, ...] = FORMS
    calibration_rows: int = 512
    keep_error: float = 0.025


def apply(model: Model, calibration: Sequence[str], settings: Settings | None = None) -> Model:
    """The model with one more form for each that `settings` names; each carries its tokenizer, cut-off included.

    Args:
        model: a trained model of a family with a torch network.
        calibration: training texts.
        settings: what is made.

    Raises:
        InputError: the family has no torch network to export.
        UnknownNameError: no such form.
    """
    settings = settings or Settings()
    for form in settings.forms:
        if form not in FORMS:
            raise UnknownNameError("form to export", form, FORMS)
    family = catalogue.get("families", model.family)
    if family.trains != "loop":
        do = "Serve it as it is: its one form is small and quick already."
        raise InputError("a model with a torch network", f"the family {model.family}", do)
    network = family.load(model, family.FORM)
    catalogue.get("methods", network.method).merge(network)
    events.emit("progress", stage="export", done=0, total=len(settings.forms))
    onnx = to_onnx(network)
    trained = model.calibrations.get(family.FORM, Calibration())
    tokenizer = {"tokenizer.json": network.tokenizer.to_str().encode()}
    for done, form in enumerate(settings.forms, 1):
        model = model.with_form(form, {**_graph(form, onnx, network, calibration, settings), **tokenizer}, trained)
        events.emit("progress", stage="export", done=done, total=len(settings.forms))
    return model


def to_onnx(network: Any) -> bytes:
    """A network -> ONNX graph: ``ids`` and ``mask``, int64 (n, s), to ``logits``, float32 (n, outputs), any n and s."""
    import torch

    example = torch.ones(2, 8, dtype=torch.int64)
    rows = torch.export.Dim("batch", min=1, max=1 << 16)
    length = torch.export.Dim("length", min=2, max=network.max_length)
    with _quiet(), torch.inference_mode():
        program = torch.onnx.export(
            _exportable(network),
            (example, example.clone()),
            dynamo=True,
            dynamic_shapes=({0: rows, 1: length}, {0: rows, 1: length}),
            input_names=["ids", "mask"],
            output_names=["logits"],
            verbose=False,
        )
    assert program is not None
    graph = io.BytesIO()
    program.save(graph)  # type: ignore[arg-type]
    return graph.getvalue()


def _graph(form: str, onnx: bytes, network: Any, texts: Sequence[str], settings: Settings) -> Mapping[str, Path | bytes]:
    if form == "openvino-bf16":
        files: Mapping[str, Path | bytes] = catalogue.get("engines", "openvino").convert(onnx, "bf16")
        return files
    if form == "onnx-fp32":
        return {"model.onnx": onnx}
    from savile.compression._int8 import quantised

    chosen = np.linspace(0, len(texts) - 1, min(len(texts), settings.calibration_rows)).astype(np.int64)
    return {"model.onnx": quantised(onnx, network.encode([texts[i] for i in chosen]), settings.keep_error)}


def _exportable(network: Any) -> torch.nn.Module:
    """The network with explicit attention at every length: a graph cannot choose by length."""
    import torch

    class Exported(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.head = network.trunk, network.head
            self.trunk.config._attn_implementation = "eager"

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            hidden = self.trunk(input_ids=ids, attention_mask=mask).last_hidden_state
            logits: torch.Tensor = self.head(network.pool(hidden, mask))
            return logits

    return Exported().eval()


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's own remarks are about itself."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
