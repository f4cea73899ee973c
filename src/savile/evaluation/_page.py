"""The report page: the verdict in words at the top, then everything it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from savile.base.page import Bar, Page, Point
from savile.base.records import Model
from savile.evaluation._measure import lower_is_better
from savile.evaluation._words import METRICS, called, check_name, percent, shown

TONES = {"better": "good", "not_proven": "unsure", "worse": "bad", "refused": "bad"}
_COSTS = {
    "seconds": "seconds of training",
    "peak_rss_mb": "peak memory, MB",
    "trainable_share": "share of the weights trained",
    "kwh": "energy, kWh (modelled)",
    "size_mb": "size on disk, MB",
}
FOLD = 12  # tables with more rows than this open on demand
TOP = 15


def report_page(body: Mapping[str, Any], model: Model) -> str:
    """The page of a report's body, as HTML."""
    page = Page(f"{body['name']}: what was measured")
    verdict, *rest = body["summary"]
    page.text(verdict, TONES[body["verdict"]]).text(" ".join(rest))
    page.figures(_tiles(body))
    for section in (
        _baselines,
        _written,
        _business,
        _calibration,
        _reasons,
        _confusion,
        _classes,
        _slices,
        _fairness,
        _gate,
        _parity,
    ):
        section(page, body)
    _training(page, model)
    _lineage(page, body, model)
    return page.html()


def _tiles(body: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    metric = body["metric"]
    figure, business, size = body["metrics"][metric], body["business"], body["cost"]["size_mb"]
    between = f"{shown(metric, figure['low'])} to {shown(metric, figure['high'])}, {figure['n']:,} rows"
    tiles = [(METRICS.get(metric, metric).capitalize(), shown(metric, figure["value"]), between)]
    if business:
        right = business["accuracy_when_automated"]
        said = f"{percent(right)} of them right" if right is not None else ""
        tiles.append(("Without a person", percent(business["automated_share"]), said))
        if business["value"] is not None:
            tiles.append(("Worth an item", f"{business['value']:+.2f}", ""))
    return [*tiles, ("Size on disk", f"{size:.1f} MB", body["form"])]


def _baselines(page: Page, body: Mapping[str, Any]) -> None:
    page.heading("Beside the baselines")
    beside = {"this model": body["metrics"], **{called(n, body): found for n, found in body["baselines"].items()}}
    for less, title in ((False, "Higher is better"), (True, "Lower is better")):
        chosen = [metric for metric in body["metrics"] if lower_is_better(metric) == less]
        groups = {METRICS.get(m, m): [_bar(name, found[m]) for name, found in beside.items() if m in found] for m in chosen}
        if groups:
            page.forest(f"{title}, with 95 % intervals", groups)
    if body["differences"]:
        rows = [
            [
                METRICS.get(metric, metric),
                called(name, body),
                figure["value"],
                f"{figure['low']:+.4f} to {figure['high']:+.4f}",
            ]
            for name, found in body["differences"].items()
            for metric, figure in found.items()
        ]
        head = ["metric", "against", "this model minus it", "95 % interval"]
        page.table(head, rows, "The differences, paired on the same rows", folded=True)


def _bar(name: str, figure: Mapping[str, float]) -> Bar:
    return Bar(name, figure["value"], figure["low"], figure["high"])


def _written(page: Page, body: Mapping[str, Any]) -> None:
    pairs = body["tables"].get("written")
    if pairs:
        page.heading("What it writes")
        page.table(["given", "written"], [[pair["given"], pair["written"]] for pair in pairs], "Some answers to test rows")


def _business(page: Page, body: Mapping[str, Any]) -> None:
    curve = body["tables"].get("abstain_curve")
    if not curve:
        return
    page.heading("How much needs no person")
    page.text("Answers the model is less sure of go to a person. The fewer it keeps, the more of those are right.")
    answered = [point for point in curve if point["accuracy_when_automated"] is not None]
    accuracy = [Point(point["automated_share"], point["accuracy_when_automated"]) for point in reversed(answered)]
    axes = ("share answered without a person", "share of those right")
    own = {"this model": body["business"]["automated_share"]}
    page.line("Accuracy against automation", {"accuracy": accuracy}, axes, own)
    if body["business"]["value"] is None:
        page.text("Give evaluate.value {right, wrong, person} to see what an item is worth.", "note")
        return
    worth = [Point(point["automated_share"], point["value"]) for point in reversed(curve)]
    best = body["business"]["break_even"]
    surer = [point["automated_share"] for point in curve if best is not None and point["threshold"] >= best]
    marks = own | ({f"break-even probability {best:.2f}": surer[0]} if surer else {})
    page.line("Worth of an item against automation", {"value": worth}, (axes[0], "value of an item"), marks)


def _calibration(page: Page, body: Mapping[str, Any]) -> None:
    bins = body["tables"].get("reliability")
    if not bins:
        return
    page.heading("Does a probability mean what it says")
    page.text("Of what is said with a probability of 0.8, eight in ten should be so: points on the dashed line.")
    points = [Point(entry["confidence"], entry["accuracy"], entry["low"], entry["high"]) for entry in bins]
    page.line("Share right against probability", {"share right": points}, ("probability", "share right"), None, True)
    rows = [[entry["confidence"], entry["accuracy"], entry["low"], entry["high"], entry["n"]] for entry in bins]
    page.table(["mean probability", "share right", "low", "high", "rows"], rows, "The bins", folded=True)


def _confusion(page: Page, body: Mapping[str, Any]) -> None:
    counts = body["tables"].get("confusion")
    if not counts:
        return
    labels = body["tables"]["labels"]
    page.heading("What is taken for what")
    pairs = [(n, i, j) for i, row in enumerate(counts) for j, n in enumerate(row) if i != j and n]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    rows = [[labels[i], labels[j], n, percent(n / sum(counts[i]))] for n, i, j in pairs[:TOP]]
    page.table(["label", "answered as", "rows", "of the label"], rows, f"The most frequent of {len(pairs):,} confused pairs")
    page.matrix("All labels", labels, counts, ("label", "answer"))


def _classes(page: Page, body: Mapping[str, Any]) -> None:
    classes = body["tables"].get("per_class")
    if classes:
        page.heading("Label by label")
        rows = [[one["label"], one["precision"], one["recall"], one["f1"], one["n"]] for one in sorted(classes, key=_weakness)]
        head = ["label", "precision", "recall", "F1", "rows"]
        if len(rows) > FOLD:
            page.table(head, rows[:FOLD], f"The {FOLD} weakest")
        page.table(head, rows, f"All {len(rows)} labels, weakest first", folded=len(rows) > FOLD)


def _weakness(entry: Mapping[str, Any]) -> tuple[float, str]:
    return entry["f1"], entry["label"]


def _slices(page: Page, body: Mapping[str, Any]) -> None:
    slices = body["tables"].get("slices")
    if not slices:
        return
    page.heading("Where it is weakest")
    page.text("Slices of at least 30 test rows, the weakest first.")
    named = [(f"{one['column']}: {one['value']}", one) for one in slices]
    measured = METRICS.get(slices[0]["metric"], slices[0]["metric"])
    page.bars(
        f"{measured.capitalize()} by slice",
        [Bar(name, one["estimate"], one["value_low"], one["value_high"]) for name, one in named[:TOP]],
    )
    rows = [[name, one["estimate"], one["value_low"], one["value_high"], one["n"]] for name, one in named]
    page.table(["slice", measured, "low", "high", "rows"], rows, f"All {len(rows)} slices", folded=len(rows) > TOP)


def _fairness(page: Page, body: Mapping[str, Any]) -> None:
    for table in body["tables"].get("fairness") or ():
        page.heading(f"Are groups treated alike: {table['column']}")
        page.text("How often each group gets the good answer, and how often those of it who should get it do.")
        page.bars("Good answers by group", [_bar(one["group"], one["rate"]) for one in table["groups"]])
        rows = [
            [
                one["group"],
                one["n"],
                one["rate"]["value"],
                one["base_rate"],
                "–" if one["recall"] is None else f"{one['recall']['value']:.3f}",
            ]
            for one in table["groups"]
        ]
        page.table(["group", "rows", "good answers", "good labels", "of those, good answers"], rows)
        figures = [
            [METRICS.get(name, name), figure["value"], figure["low"], figure["high"]]
            for name, figure in table["figures"].items()
        ]
        page.table(["figure", "measured", "low", "high"], figures)


def _reasons(page: Page, body: Mapping[str, Any]) -> None:
    reasons = body["tables"].get("reasons")
    if not reasons:
        return
    page.heading("What decides")
    page.text(reasons["said"])
    page.bars(
        "Mean weight in an answer", [Bar(one["what"], one["weight"], one["weight"], one["weight"]) for one in reasons["most"]]
    )
    for example in reasons["examples"]:
        rows = [[one["what"], one["value"], f"{one['weight']:+.3f}"] for one in example["reasons"]]
        head = ["column or words", "value", "speaks for the answer"]
        page.table(head, rows, f"Why a test row is answered {example['answer']}", folded=True)


def _gate(page: Page, body: Mapping[str, Any]) -> None:
    page.heading("The gate")
    checks = body["gate"]["checks"]
    if not checks:
        page.text("No bar was set. evaluate.floor, evaluate.must_beat and evaluate.gates set one.", "note")
        return
    rows = [[check_name(check, body), check["value"], _bar_of(check), check["passed"]] for check in checks]
    page.table(["check", "measured", "bar", "passed"], rows)


def _bar_of(check: Mapping[str, Any]) -> str:
    if check["name"].startswith("beat "):
        return f"interval above 0: {check['low']:+.4f} to {check['high']:+.4f}"
    if check["name"] == "parity":
        return f"at most {percent(check['bar'])} of answers changed, on close calls only"
    return f"at {'most' if check['side'] == 'max' else 'least'} {check['bar']:g}"


def _parity(page: Page, body: Mapping[str, Any]) -> None:
    if not body["parity"]:
        return
    page.heading("Proof that the model you serve is the model you tested")
    page.text("The same texts, answered by the form that serves and by the trained form in full precision.")
    head = ["form", "texts", "answers changed", "allowed", "changed on clear cases", "largest logit difference", "passed"]
    rows = [
        [form, one["n"], one["flips"], percent(one["allowed"]), one["wide_flips"], one["max_abs_logit_diff"], one["passed"]]
        for form, one in body["parity"].items()
    ]
    page.table(head, rows)
    for form, one in body["parity"].items():
        if not one["passed"]:
            page.text(f"{form}: {one['reason']}.", "bad")


def _training(page: Page, model: Model) -> None:
    history = model.facts.get("history") or ()
    names = {"loss": "training loss", "valid_loss": "validation loss"}
    curves = {
        shown: [Point(float(entry["step"]), float(entry[key])) for entry in history if entry.get(key) is not None]
        for key, shown in names.items()
    }
    curves = {shown: points for shown, points in curves.items() if len(points) > 1}
    if curves:
        page.heading("How it learned").line("Loss against step", curves, ("step", "loss"))


def _lineage(page: Page, body: Mapping[str, Any], model: Model) -> None:
    page.heading("Where it comes from")
    rows: list[list[Any]] = [
        ["data", body["data"]],
        ["data digest", body["data_digest"]],
        ["model", body["model"]],
        *([f"digest of {name}", found] for name, found in body.get("digests", {}).items()),
        ["family and method", " ".join(part for part in (model.family, model.method) if part)],
    ]
    rows += [["base model", model.base], ["base digest", model.base_digest]] if model.base else []
    rows += [["form and engine", " on ".join(part for part in (body["form"], body["engine"]) if part)]]
    rows += [[f"baseline {name}", ref] for name, ref in body["baseline_models"].items()]
    page.table(["what", "which"], rows, "Lineage")
    page.table(["machine", "is"], [[name, _said(value)] for name, value in body["machine"].items()], "Measured on")
    told = [[_COSTS[name], value] for name, value in body["cost"].items() if value is not None]
    page.table(["what", "how much"], told, "What it took")


def _said(fact: Any) -> str:
    """A fact of the machine in a cell: lists and versions side by side."""
    if isinstance(fact, dict):
        return ", ".join(f"{name} {value}" for name, value in fact.items())
    return ", ".join(map(str, fact)) if isinstance(fact, list) else str(fact)
