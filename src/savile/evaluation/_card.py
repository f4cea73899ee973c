"""The model card: Markdown with a YAML head, in the layout of the Hugging Face Hub (Mitchell et al. 2019)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from savile.base.records import Model
from savile.evaluation._words import METRICS, called, shown

_TASKS = {"classify": "text-classification", "multilabel": "text-classification", "score": "text-classification"}
_USES = {
    "score": "Made for texts or rows like those it was trained on; each gets a number and an interval that holds nine in ten.",
    "multilabel": "Made for texts like those it was trained on, and the labels above; a text gets as many as apply.",
}
_LIMITS = {
    "score": "Numbers far from those it was trained on are not to be expected, and the intervals are as wide for every row.",
    "multilabel": "What a text is about beside the labels above is not noticed.",
}


def model_card(body: Mapping[str, Any], model: Model) -> str:
    """The card of the model a report is about."""
    parts = [
        _head(body, model),
        f"# {body['name']}",
        "\n".join(body["summary"]),
        "## Model details",
        _listed(_details(body, model)),
        "## Uses",
        _uses(body, model),
        "## Bias, risks and limitations",
        _limits(body, model),
        "## Training details",
        _training(body, model),
        "## Evaluation",
        _evaluation(body),
        "## Environmental impact",
        _impact(body),
    ]
    return "\n\n".join(parts) + "\n"


def _head(body: Mapping[str, Any], model: Model) -> str:
    """The YAML head; every value is written as JSON, which YAML contains."""
    kind = _TASKS.get(model.task, model.task)
    figures = [
        {"type": name, "name": METRICS.get(name, name), "value": round(figure["value"], 4)}
        for name, figure in body["metrics"].items()
    ]
    dataset = {"name": body["name"], "type": body["name"], "split": "test"}
    result = {"task": {"type": kind}, "dataset": dataset, "metrics": figures}
    fields = {
        "library_name": "savile",
        "pipeline_tag": kind,
        "tags": ["savile", model.family] + ([model.method] if model.method else []),
        "metrics": list(body["metrics"]),
        "model-index": [{"name": body["name"], "results": [result]}],
    }
    if model.base:
        fields["base_model"] = model.base
    return "\n".join(["---", *(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items()), "---"])


def _details(body: Mapping[str, Any], model: Model) -> dict[str, str]:
    return {
        "Model": body["model"],
        "Family": model.family,
        "Base model": f"{model.base} ({model.base_digest[:12]})" if model.base else "none",
        "Method": model.method or "fitted as a whole",
        "Form": " on ".join(part for part in (body["form"], body["engine"]) if part),
        "Size on disk": f"{body['cost']['size_mb']:.1f} MB",
        "Labels": ", ".join(model.labels),
    }


def _uses(body: Mapping[str, Any], model: Model) -> str:
    usual = "Made for texts like those it was trained on, and for the labels above; every text gets one of them."
    said = _USES.get(model.task, usual)
    if body["threshold"]:
        said += f" Answers with a probability below {body['threshold']:.3f} are marked for a person."
    return said


def _limits(body: Mapping[str, Any], model: Model) -> str:
    weakest = body["worst_slice"]
    said = _LIMITS.get(model.task, "A text of a kind that none of the labels fits is answered all the same.")
    if weakest:
        metric = weakest["metric"]
        found, low, high = (shown(metric, weakest[key]) for key in ("estimate", "value_low", "value_high"))
        said += (
            f" Weakest where {weakest['column']} is {weakest['value']}: {METRICS.get(metric, metric)} {found} on "
            f"{weakest['n']} test rows ({low} to {high})."
        )
    return said


def _training(body: Mapping[str, Any], model: Model) -> str:
    rows = {"Data": f"{body['data']} (digest {body['data_digest'][:12]})"}
    rows |= {name.replace("_", " ").capitalize(): _plain(value) for name, value in model.settings.items()}
    policy = {"mask": "masked before training, and in every text it answers", "keep": "kept"}
    if model.mask:
        rows["Personal data"] = policy.get(str(model.mask.get("pii")), "see the mask policy")
    return _listed(rows)


def _evaluation(body: Mapping[str, Any]) -> str:
    names = ["this model", *(called(name, body) for name in body["baselines"])]
    beside = [body["metrics"], *body["baselines"].values()]
    lines = [_row(["metric", *names, "rows"]), _row(["---"] * (len(names) + 2))]
    for metric, figure in body["metrics"].items():
        cells = [_interval(metric, found[metric]) if metric in found else "–" for found in beside]
        lines.append(_row([METRICS.get(metric, metric), *cells, str(figure["n"])]))
    gate = "passed" if body["gate"]["passed"] else "not passed"
    return "\n".join(lines) + f"\n\nTest rows only, 95 % intervals. Gate {gate}; verdict: {body['verdict'].replace('_', ' ')}."


def _interval(metric: str, figure: Mapping[str, float]) -> str:
    return f"{shown(metric, figure['value'])} ({shown(metric, figure['low'])} to {shown(metric, figure['high'])})"


def _impact(body: Mapping[str, Any]) -> str:
    cost = body["cost"]
    seconds = "not noted" if cost["seconds"] is None else f"{cost['seconds']:.0f} s"
    energy = "not noted" if cost["kwh"] is None else f"{cost['kwh']:.3g} kWh (modelled)"
    return _listed({"Training time": seconds, "Energy": energy, "Hardware": str(body["machine"].get("processor", ""))})


def _listed(rows: Mapping[str, str]) -> str:
    return "\n".join(f"- **{_flat(name)}:** {_flat(value)}" for name, value in rows.items())


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(_flat(cell).replace("|", "\\|") for cell in cells) + " |"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _flat(text: str) -> str:
    """Text on one line, with nothing that Markdown renderers take for HTML."""
    return " ".join(text.split()).replace("<", "&lt;")
