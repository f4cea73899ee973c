"""The bundle: everything an answer depends on, held against the digests it was released with, and proven on golden inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from savile.base import answers, catalogue
from savile.base.errors import CorruptError, ParityError
from savile.base.outputs import Replies, Span, Tokens
from savile.base.records import Calibration, Dataset, Model, Outputs, Release, canonical, digest
from savile.base.store import Store
from savile.models import Predictor
from savile.models._bases import sha256

GOLDEN = 64
WRITTEN = 8  # golden inputs that are answered in words: each takes as long as hundreds of labels


def digests(model: Model, form: str) -> dict[str, str]:
    """name -> SHA-256 of everything an answer depends on."""
    files = {f"{form}/{name}": sha256(Path(str(path))) for name, path in model.forms[form].items()}
    said = {
        "calibration": model.calibrations.get(form, Calibration()).as_dict(),
        "labels": list(model.labels),
        "mask": dict(model.mask),
        "task": model.task,
        "base": model.base_digest,
    }
    if model.columns:
        said["columns"] = dict(model.columns)
    return files | {name: digest(canonical(value)) for name, value in said.items()}


def golden(predictor: Predictor, data: Dataset) -> dict[str, Any]:
    """Test inputs spread over the test part, masked, with the answers expected; none of them a close call."""
    proof = catalogue.get("metrics", "parity")
    inputs = predictor.masked(data.inputs(predictor.reads, "test"))
    if answers.in_words(predictor.model.task):
        inputs = answers.take(inputs, np.unique(np.linspace(0, len(inputs) - 1, WRITTEN).astype(np.int64)))
    outputs = predictor(inputs)
    clear = np.flatnonzero(proof.margins(outputs) >= proof.CLOSE)
    rows = clear if len(clear) else np.arange(len(outputs.logits))
    chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), GOLDEN)).astype(np.int64)] if len(rows) else rows
    asked = answers.take(inputs, chosen)
    expected = {
        "texts": list(asked) if predictor.reads == "text" else asked.to_pylist(),  # type: ignore[union-attr]
        "answers": said(predictor, outputs.rows(chosen), asked),
        "logits": _listed(outputs.logits[chosen]),
    }
    return {**expected, "sha256": digest(canonical(expected))}


def _listed(logits: Any) -> Any:
    """Logits, or what was written, as JSON."""
    if isinstance(logits, Replies):
        return {"tokens": [one.tokens.tolist() for one in _each(logits)], "written": logits.texts.tolist()}
    if not isinstance(logits, Tokens):
        return [[round(float(value), 4) for value in row] for row in logits]
    flat = [[round(float(value), 4) for value in row] for row in logits.flat]
    return {"flat": flat, "bounds": logits.bounds.tolist(), "places": logits.places.tolist()}


def _unlisted(listed: Any) -> Any:
    """Logits of their JSON."""
    if "tokens" in listed:
        return Replies.of(listed["tokens"], listed["written"])
    if not isinstance(listed, Mapping):
        return np.array(listed, dtype=np.float32)
    flat, bounds, places = (listed[name] for name in ("flat", "bounds", "places"))
    return Tokens(np.array(flat, dtype=np.float32), np.array(bounds), np.array(places).reshape(-1, 2))


def _each(replies: Replies) -> list[Replies]:
    return [replies[row : row + 1] for row in range(len(replies))]


def said(predictor: Predictor, outputs: Outputs, texts: Any = ()) -> list[dict[str, Any]]:
    """Each answer as a client reads it, but for the release; `texts` are those asked, where spans are answered."""
    names, found = predictor.labels, []
    if isinstance(outputs.logits, Replies):
        return [{"answer": text, "abstain": False} for text in outputs.choice.tolist()]
    if outputs.choice.dtype == object:
        return [
            {
                "spans": [_span(span, names, text) for span in spans],
                "probability": round(float(sure), 6),
                "abstain": bool(abstain),
            }
            for spans, sure, abstain, text in zip(outputs.choice, outputs.confidence, outputs.abstain, texts, strict=True)
        ]
    if catalogue.get("metrics", "parity").is_vector(outputs):
        alike = catalogue.get("tasks", "embed").alike(outputs.logits)
        return [{"similarity": round(float(one), 6), "abstain": False} for one in alike]
    for row in range(len(outputs.logits)):
        if outputs.low is not None and outputs.high is not None:
            number, low, high = (round(float(values[row]), 6) for values in (outputs.choice, outputs.low, outputs.high))
            one: dict[str, Any] = {"value": number, "low": low, "high": high}
        else:
            sure = round(float(outputs.confidence[row]), 6)
            one = {"label": names[outputs.choice[row]], "probability": sure} if outputs.choice.ndim == 1 else {}
            if not one:
                given = np.flatnonzero(outputs.choice[row])
                each = [{"label": names[i], "probability": round(float(outputs.probabilities[row, i]), 6)} for i in given]
                one = {"labels": each, "probability": sure}
        found.append({**one, "abstain": bool(outputs.abstain[row])})
    return found


def _span(span: Span, names: Sequence[str], text: str) -> dict[str, Any]:
    place = {"start": span.start, "end": span.end, "label": names[span.label], "text": text[span.start : span.end]}
    return {**place, "probability": round(span.probability, 6)}


def opened(release: Release) -> Predictor:
    """What answers for a release, one core a call, so that as many calls as there are cores run side by side.

    Raises:
        CorruptError: something in the bundle is not what was released.
    """
    model: Model = Store.open().load(release.model)
    check(model, release)
    return Predictor(model, release.form, release.engine or None, threads=1)


def check(model: Model, release: Release) -> None:
    """Hold every part of the bundle against its digest.

    Raises:
        CorruptError: something is not what was released.
    """
    found = digests(model, release.form)
    changed = sorted(name for name in {*found, *release.bundle} if found.get(name) != release.bundle.get(name))
    if changed:
        do = "Put the files back from a backup, or compress, evaluate and release again."
        raise CorruptError(f"the bundle of {release.ref} as released", f"another content of {', '.join(changed)}", do)


def replay(predictor: Predictor, release: Release) -> dict[str, Any]:
    """Answer the golden inputs again: the proof of parity, with ``passed`` and ``reason``."""
    expected: Mapping[str, Any] = release.golden
    if not expected.get("texts"):
        return {"passed": True, "reason": "", "n": 0}
    before = predictor.decide(_unlisted(expected["logits"]))
    parity = catalogue.get("metrics", "parity").parity
    found: dict[str, Any] = parity({release.form: predictor}, expected["texts"], lambda _: before)[release.form]
    return found


def refuse(release: Release, found: Mapping[str, Any]) -> None:
    """Raise when a replay did not pass.

    Raises:
        ParityError: the form does not answer here as it did when it was released.
    """
    if not found["passed"]:
        do = "Compress, evaluate and release on this machine, or serve where it was released."
        raise ParityError(f"the answers {release.ref} was released with", str(found["reason"]), do)
