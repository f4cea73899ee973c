"""Compress: make a trained model smaller and faster, and measure which form serves best with the same answers.

In comes a `Model` and the `Dataset` it learned from; out goes a stored `Model` with more forms, each with a temperature and a
threshold of its own. Every form is held against the trained one on validation and calibration rows, never on the test part,
and timed on each engine of this machine; ``facts["served"]`` says which form and engine serve, and why, and ``facts["forms"]``
what was measured of each. One file is one technique: ``apply(model, calibration)`` gives the model with new forms, and
``Settings``, a frozen dataclass, is optional. Engines belong to `savile.serving`. To add a technique, add a file;
`savile.testing.check_technique` holds it against the contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from savile.base import answers, catalogue, events, machine
from savile.base.errors import InputError, RefusalError, UnknownNameError
from savile.base.recipe import fill
from savile.base.records import Dataset, Model, canonical, digest
from savile.base.store import Store

__all__ = ["compress"]

EDITION = 5  # of this room: raised when the same call would come out otherwise
LIMITS = ("max_size_mb", "max_drop")


def compress(
    model: Model, data: Dataset | None = None, technique: str = "export", settings: Mapping[str, Any] | None = None
) -> Model:
    """Give a model forms that serve, and choose among them; the same call on the same machine returns what is stored already.

    Args:
        model: a stored model.
        data: rows to calibrate and check with; default: what the model was trained on. Its test part is not read.
        technique: a technique of the catalogue.
        settings: settings of the technique by name; ``max_size_mb``, bytes on disk of the form that serves, in millions, its
            tokenizer included; ``max_drop``, the share of right answers it may lose against the trained form.

    Raises:
        UnknownNameError: no such technique or setting.
        RecipeError: a setting is of another type.
        InputError: the technique cannot work on this model, or nothing says what data to use.
        RefusalError: no form is as small as asked and answers as trained.
    """
    from savile.compression import _measure

    plugin, store = catalogue.get("techniques", technique), Store.open()
    if answers.in_words(model.task):
        do = "Serve it as it was trained; for other programs, merge it with savile.models.Writer."
        raise InputError("a model that answers by label, number, span or vector", f"one of the task {model.task}", do)
    chosen, limits = _split(plugin, settings or {})
    data = data or _own_data(model, store)
    conditions = [machine.cpu_flags(), machine.available_threads(), machine.packages()]
    own = asdict(chosen) if chosen else {}
    key = digest(canonical(["compress", EDITION, model.ref, data.digest, technique, own, limits, conditions]))
    known = store.recall(key)
    if known is not None:
        events.emit("note", text=f"Nothing has changed since {known} was compressed.")
        found: Model = store.load(known)
        return found
    trained = catalogue.get("families", model.family).FORM
    applied = plugin.apply(model, data.texts("train"), *([chosen] if chosen else []))
    with store.scratch() as folder:
        changed = _on_disk(applied, folder)
        checked = _measure.Checked.of(changed, data, trained)
        speed = _measure.trained_tokens_per_second(changed, trained, checked.speed)
        tried = _tried(changed, [form for form in changed.forms if form not in model.forms], checked, limits)
        changed = _decided(changed, tried, trained, speed, limits)
        changed = replace(changed, settings={**model.settings, "compress": {"technique": technique, **limits}})
        stored: Model = store.save(replace(changed, parents=tuple(ref for ref in (model.ref, data.ref) if ref)))
    store.audit.append("compress", stored.ref, model=model.ref, technique=technique, served=stored.facts["served"])
    store.remember(key, stored.ref)
    return stored


def _split(plugin: Any, settings: Mapping[str, Any]) -> tuple[Any, dict[str, float]]:
    """The technique's own settings, None when it has none, and the limits."""
    own = {field.name for field in fields(plugin.Settings)} if hasattr(plugin, "Settings") else set()
    for name in settings:
        if name not in own | set(LIMITS):
            raise UnknownNameError("setting of compress", name, own | set(LIMITS))
    given = {name: value for name, value in settings.items() if name in own}
    limits = {name: float(settings[name]) for name in LIMITS if settings.get(name) is not None}
    return (fill(plugin.Settings, given, "compress.settings") if own else None), limits


def _own_data(model: Model, store: Store) -> Dataset:
    for ref in model.parents:
        if ref.startswith("data@"):
            found: Dataset = store.load(ref)
            return found
    raise InputError("data to calibrate with", "a model that does not name its own", "Name the data.")


def _on_disk(model: Model, folder: Path) -> Model:
    """The model with every file as a file: engines load from disk."""
    forms: dict[str, dict[str, Path | bytes]] = {}
    for form, files in model.forms.items():
        forms[form] = dict(files)
        for name, content in files.items():
            if isinstance(content, bytes):
                path = folder / form / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                forms[form][name] = path
    return replace(model, forms=forms)


def _tried(model: Model, forms: Sequence[str], checked: Any, limits: Mapping[str, float]) -> list[Any]:
    """Every new form on every engine that reads it."""
    from savile.compression import _measure

    pairs = [(form, engine) for form in forms for engine in _measure.engines(form)]
    found = []
    for done, (form, engine) in enumerate(pairs, 1):
        found.append(_measure.candidate(model, form, engine, checked, limits))
        events.emit("progress", stage="measure forms", done=done, total=len(pairs))
    return found


def _decided(model: Model, tried: Sequence[Any], trained: str, speed: float, limits: Mapping[str, float]) -> Model:
    """The model with the calibration and the figures of each form's best engine, and the one that serves.

    Raises:
        RefusalError: nothing is as small as asked and answers as trained.
    """
    ranked = sorted(tried, key=lambda one: one.rank)
    forms: dict[str, Any] = {trained: {"engine": None, "tokens_per_second": round(speed), "flips": 0, "agreement": 1.0}}
    calibrations = dict(model.calibrations)
    for one in ranked:
        if one.form not in forms:
            forms[one.form] = {**one.facts, "excluded": one.reason}
            calibrations[one.form] = one.calibration
    for form, found in forms.items():
        if found.get("excluded"):
            events.emit("warning", text=f"{form} may not serve: {found['excluded']}.")
    best = ranked[0] if ranked and not ranked[0].reason else None
    if best is None and "max_size_mb" in limits:
        reasons = "; ".join(f"{one.form} on {one.engine}: {one.reason}" for one in ranked) or "no form was made"
        do = "Raise compress.max_size_mb or compress.max_drop."
        raise RefusalError(f"a form of at most {limits['max_size_mb']:g} MB that answers as trained", reasons, do)
    if best is None:
        served = {"form": trained, "engine": None, "why": "No compressed form answers as trained, so the trained one serves."}
    else:
        ratio = best.facts["tokens_per_second"] / speed
        speed_text = f"{best.facts['tokens_per_second']:,} tokens a second and core, {ratio:.1f} times the trained form"
        flips = f"{best.facts['flips']} of {best.facts['rows']} answers changed"
        doubt = "" if best.facts["moved"] < 1.0 else "; it moves some answers so far that the proof may fail on other texts"
        why = f"{best.form} on {best.engine} is the fastest form that answers as trained: {speed_text}, with {flips}{doubt}."
        served = {"form": best.form, "engine": best.engine, "why": why}
    events.emit("note", text=served["why"])
    return replace(model, calibrations=calibrations, facts={**model.facts, "served": served, "forms": forms})
