"""A report in the user's words: the sentences of the verdict screen, of the page's top and of the model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from savile.evaluation._gate import PROVING_ROWS, gain

BASELINES = {"linear": "the keyword model (TF-IDF)", "base": "the untuned base model", "against": "the other model"}
METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "auc": "AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "calibration error",
    "micro_f1": "micro F1",
    "exact_match": "exact match",
    "perplexity": "perplexity",
    "token_f1": "F1 of words",
    "span_f1": "F1 of spans",
    "span_precision": "precision of spans",
    "span_recall": "recall of spans",
    "span_ece": "calibration error",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R squared",
    "pearson": "correlation (Pearson)",
    "coverage90": "share inside the 90 % interval",
    "ndcg_10": "NDCG at 10",
    "recall_1": "found first",
    "recall_10": "found among the first ten",
    "mrr": "mean reciprocal rank",
    "spearman": "correlation (Spearman)",
    "automated_share": "answered without a person",
    "automated_accuracy": "accuracy without a person",
    "four_fifths": "four-fifths ratio",
    "demographic_parity_difference": "difference in good answers",
    "equal_opportunity_difference": "difference in good answers where due",
}
CHECKS = {"floor": "the floor", "parity": "served as tested"}
SHARES = (
    "accuracy",
    "macro_f1",
    "weighted_f1",
    "auc",
    "micro_f1",
    "exact_match",
    "token_f1",
    "span_f1",
    "span_precision",
    "span_recall",
    "coverage90",
    "automated_share",
    "automated_accuracy",
)


def called(name: str, body: Mapping[str, Any]) -> str:
    """A baseline in words; that of a table is no keyword model."""
    return "a plain regression" if name == "linear" and body.get("reads") == "table" else BASELINES.get(name, name)


def summary(body: Mapping[str, Any]) -> list[str]:
    """What a report says, verdict first, one sentence or two a line."""
    lines = [_verdict(body), _written(body), _automation(body), _worth(body), _price(body)]
    return [line for line in lines if line] + ["Your data never left this machine."]


def percent(share: float, digits: int = 1) -> str:
    """``0.938`` -> ``93.8 %``."""
    return f"{100 * share:.{digits}f} %"


def shown(metric: str, value: float) -> str:
    """A figure as a percentage where it is a share, else as a number."""
    return percent(value) if metric in SHARES else f"{value:.3f}"


def check_name(check: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    """A gate's check in words."""
    name = str(check["name"])
    if name.startswith("beat "):
        return f"better than {called(name.removeprefix('beat '), body)}"
    return CHECKS.get(name) or METRICS.get(name, name)


def _verdict(body: Mapping[str, Any]) -> str:
    if body["verdict"] == "refused":
        failed = [check for check in body["gate"]["checks"] if not check["passed"]]
        said = "; ".join(_failure(check, body) for check in failed)
        return f"Refused: {len(failed)} of {len(body['gate']['checks'])} checks failed: {said}."
    metric = body["metric"]
    figure = f"{METRICS.get(metric, metric)} {_figure(body, metric)}"
    gains = {name: gain(found[metric], metric) for name, found in body["differences"].items() if metric in found}
    if not gains:
        return f"Not proven: {figure}, with no baseline to compare it with."
    few = body["metrics"][metric]["n"]
    caution = f" The test has {few} rows; a proof takes {PROVING_ROWS}." if few < PROVING_ROWS else ""
    if body["verdict"] == "worse":
        lost = {name: won for name, won in gains.items() if won["high"] < 0}
        return f"Worse than {_against(body, lost, -1)}; {figure}.{caution}"
    opening = "Better than" if body["verdict"] == "better" else "Not proven better than"
    return f"{opening} {_against(body, gains)}; {figure}.{caution}"


def _against(body: Mapping[str, Any], gains: Mapping[str, Mapping[str, float]], sign: int = 1) -> str:
    """``the keyword model (TF-IDF) by 2.6 points (1.9 to 3.3) and …``; `sign` -1 says by how much it is worse."""
    return " and ".join(f"{called(name, body)} by {_by(won, body['metric'], sign)}" for name, won in gains.items())


def _by(won: Mapping[str, float], metric: str, sign: int = 1) -> str:
    factor, digits, unit = (100 * sign, 1, " points") if metric in SHARES else (sign, 3, "")
    value, low, high = (f"{factor * won[key]:.{digits}f}" for key in ("value", *("low", "high")[::sign]))
    return f"{value}{unit} ({low} to {high})"


def _figure(body: Mapping[str, Any], metric: str) -> str:
    figure = body["metrics"][metric]
    return f"{shown(metric, figure['value'])} ({shown(metric, figure['low'])} to {shown(metric, figure['high'])})"


def _failure(check: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    name = check_name(check, body)
    if check["name"] == "parity":
        return f"{name} ({check['reason']})"
    if check["name"].startswith("beat "):
        return f"{name} (by {_by(check, check['metric'])})"
    side = "at most" if check.get("side") == "max" else "at least"
    metric = check["metric"]
    value, bar = (percent(check[key]) if check.get("share") else shown(metric, check[key]) for key in ("value", "bar"))
    return f"{name} ({METRICS.get(metric, metric)} {value}, wanted {side} {bar})"


def _written(body: Mapping[str, Any]) -> str:
    """Of answers in words, how near those that were written come to those given; nothing of other answers."""
    figures, others = body["metrics"], body["baselines"].get("base", {})
    if not body["tables"].get("written"):
        return ""
    rows, names = figures["exact_match"]["n"], ("exact_match", "token_f1")
    same, shared = (_figure(body, name) for name in names)
    before = [shown(name, others[name]["value"]) for name in names if name in others]
    beside = f"; of the untuned base model, {' and '.join(before)}" if before else ""
    return f"Of {rows} answers it wrote, {same} are as given, with an F1 of words of {shared}{beside}."


def _automation(body: Mapping[str, Any]) -> str:
    business = body.get("business")
    if not business:
        return ""
    share, right = business["automated_share"], business["accuracy_when_automated"]
    if right is None:
        return "Hands every item to a person: no answer is sure enough."
    if share == 1:
        return f"Answers every item without a person, {percent(right)} of them right."
    return f"Answers {percent(share)} without a person, {percent(right)} of them right."


def _worth(body: Mapping[str, Any]) -> str:
    business = body.get("business")
    if not business or business["value"] is None:
        return ""
    return f"Worth {business['value']:+.2f} an item, against {business['person_value']:+.2f} when a person answers each."


def _price(body: Mapping[str, Any]) -> str:
    cost = body["cost"]
    parts = [f"Takes {cost['size_mb']:.1f} MB on disk as {body['form']}"]
    if cost["seconds"] is not None:
        parts.append(f"trained in {_duration(cost['seconds'])}")
    if cost["kwh"] is not None:
        parts.append(f"with about {cost['kwh']:.3g} kWh (modelled)")
    return ", ".join(parts) + "."


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
