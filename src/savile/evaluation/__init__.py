"""Evaluate: measure a model on the test part, once, and hold it against its bars.

In comes a `Model`, a `Dataset` and the bars; out goes a stored `Report` with every figure and its 95 % interval, the baselines
on the same rows, the gate, the verdict, a page and a model card. Nothing is fitted here: temperature and threshold are the
model's. One file is one metric: ``measure(predictions, costs)`` gives `Value`s by name, and tables beside them. Four more
names are optional: ``compare(ours, theirs)`` gives paired differences, ``tasks`` says which tasks it is for,
``lower_is_better`` which figures are better when less, and ``in_units`` which count in the label's own units. Add a file and
it is measured, reported and open to gates. The file `parity` also holds the proof that the model you serve is the model you
tested.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from savile.base import answers, events
from savile.base.records import Dataset, Model, Report, canonical, digest
from savile.evaluation import _measure
from savile.evaluation import parity as proof
from savile.evaluation._card import model_card
from savile.evaluation._gate import check_slices, gate, verdict
from savile.evaluation._harm import Bars, harmless
from savile.evaluation._page import report_page
from savile.evaluation._why import reasons
from savile.evaluation._words import summary

__all__ = ["Bars", "check", "digest_of", "evaluate", "gate", "harmless"]


def evaluate(
    model: Model,
    data: Dataset,
    form: str | None = None,
    engine: str | None = None,
    settings: Mapping[str, Any] | None = None,
    baselines: Mapping[str, Model] | None = None,
) -> Report:
    """Measure one form of a model on the test part, gate it, and store the report with its page and model card.

    Args:
        model: a stored model.
        data: the data set whose test part is read.
        form: which form answers; default: the trained one. Another form is proven against the trained one, too.
        engine: what runs the form; default: the model's own family, in fp32.
        settings: ``metric``, ``floor``, ``must_beat``, ``gates`` (see `gate`); ``value`` of an item answered ``right``,
            ``wrong`` or by a ``person``; ``slices``, the columns to slice by; ``good``, the label that is good for whoever a
            row is about, which has the slices held against each other for fairness; ``budget``, what an update may ``lose``
            on each earlier stage of the data and has to ``gain`` on the newest, beside the baseline ``against``, or, where
            several models were made one, beside the ``own`` model of each stage.
        baselines: name (``linear``, ``base``) -> a model that answers the same rows in its trained form; ``against`` is one
            that answers as it serves.

    Raises:
        InputError: when a setting, column, label, form or baseline does not exist.
    """
    from savile.models import Predictor

    settings, trained = _measure.checked(settings), _measure.trained_form(model)
    form, baselines = form or trained, baselines or {}
    test = _measure.TestPart(data, model.labels, _measure.sliced_by(settings), settings.get("good"))
    predict = Predictor(model, form, engine)
    ours, theirs = test.answers(predict), {}
    for done, (name, baseline) in enumerate(baselines.items(), 1):
        events.emit("progress", stage="evaluate", done=done, total=len(baselines) + 1)
        rival = _measure.served(baseline) if name == _measure.AGAINST else (_measure.trained_form(baseline), None)
        theirs[name] = test.answers(Predictor(baseline, *rival))
    proofs = None
    if form != trained:
        golden = answers.take(test.inputs(predict.reads), proof.golden_rows(len(test.gold)))
        proofs = proof.parity({form: predict}, golden, Predictor(model, trained))
    body = _measure.origin(model, data, form, engine, baselines) | _measure.figures(model.task, ours, theirs, settings)
    if why := reasons(predict, test.inputs(predict.reads)):
        body["tables"]["reasons"] = why
    if settings.get("budget") is not None:
        body["kept"] = _measure.kept(data, ours, theirs, settings["budget"].get("own", {}), body["metric"])
    body |= {"threshold": predict.calibration.threshold, "parity": proofs}
    body["gate"] = gate(body, settings)
    body["verdict"] = verdict(body)
    events.emit("progress", stage="evaluate", done=len(baselines) + 1, total=len(baselines) + 1)
    return _stored(body, model, settings)


def check(data: Dataset, settings: Mapping[str, Any]) -> None:
    """Refuse, before anything is trained, bars on slices that the test part does not have or has too few rows of.

    Raises:
        UnknownNameError: such a bar; the message carries the nearest slice there is.
    """
    settings = _measure.checked(settings)
    slices = _measure.TestPart(data, data.labels, _measure.sliced_by(settings)).slices
    check_slices(_measure.slice_rows(slices, settings.get("gates") or ()), settings)


def digest_of(model: Model, form: str | None = None) -> str:
    """SHA-256 of everything a model's answers depend on, in a form; default: the one that serves."""
    return _measure.fingerprint(model, form or _measure.served(model)[0])


def _stored(body: dict[str, Any], model: Model, settings: Mapping[str, Any]) -> Report:
    """Write the pages, save the report, and tell the audit log what the gate said."""
    from savile.base.store import Store

    store = Store.open()
    body["summary"] = summary(body)
    folder = f"report-{digest(canonical(body))[:12]}"
    written = {"report.html": report_page(body, model), "model_card.md": model_card(body, model)}
    body["pages"] = [str(store.page(f"{folder}/{name}", text)) for name, text in written.items()]
    parents = tuple(ref for ref in (body["model"], body["data"], *body["baseline_models"].values()) if ref)
    report: Report = store.save(Report(body, settings, parents))
    store.audit.append("gate", report.ref, passed=body["gate"]["passed"], verdict=body["verdict"], model=body["model"])
    return report
