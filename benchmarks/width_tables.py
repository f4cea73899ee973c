"""Tables: boosting and additive models beside histogram boosting and logistic regression on four credit and churn sets.

Five shuffled stratified folds, five times (additive models once), seed 0. The peers are set up well: native categories, several
sizes of trees for HistGradientBoosting, one-hot and scaled columns, several penalties for logistic regression; each gets the
setting that turns out best on the very test folds. Ours choose for themselves on training rows.

    python benchmarks/width_tables.py [KIND …]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report
from savile.base.contracts import Rows
from savile.models import tabular

DATA = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve()
SETS = {  # file, label column, columns that only number the rows
    "german": ("credit-german/german.csv", "target", []),
    "telco": ("churn-telco/telco_churn.csv.gz", "Churn", ["customerID"]),
    "heloc": ("credit-heloc/heloc.csv.gz", "RiskPerformance", []),
    "taiwan": ("credit-taiwan/taiwan_default.csv.gz", "default", ["ID"]),
}
FOLDS, REPEATS = 5, 5
OURS = ("boosting", "additive", "logistic")
LEAVES, STRENGTHS = (6, 12, 31), (0.05, 0.3, 1.0)


def main() -> None:
    sums, kinds = [], tuple(sys.argv[1:]) or OURS
    for name in SETS:
        runs = [
            cached({"benchmark": "tables", "set": name, "repeat": r, "kinds": kinds}, lambda n=name, r=r: measure(n, r, kinds))
            for r in range(1 if kinds == ("additive",) else REPEATS)
        ]
        auc = {model: np.concatenate([run["auc"][model] for run in runs if model in run["auc"]]) for model in runs[0]["auc"]}
        peers = {kind: max((m for m in auc if m.startswith(kind)), key=lambda m: auc[m].mean()) for kind in ("hgb", "lr")}
        for ours in kinds:
            count = len(auc[ours])
            better = max(peers.values(), key=lambda m: auc[m][:count].mean())
            each = auc[ours] - auc[better][:count]
            half = 1.96 * each.std(ddof=1) / np.sqrt(count)
            floor = float(auc[better][:count].mean() - half) if ours != "logistic" else None
            more = {"baseline": better, "baseline_value": float(auc[better][:count].mean())}
            report(
                f"{name}_{ours}_auc",
                float(auc[ours].mean()),
                "AUC",
                bar=floor,
                **more,
                runs={"difference": float(each.mean()), "half_interval": float(half), "folds": count},
            )
        sums.append(max(run["sums"] for run in runs))
    report(
        "reasons_sum_to_the_score",
        max(sums),
        "largest difference",
        bar=1e-6,
        higher=False,
        runs=dict(zip(SETS, sums, strict=True)),
    )


def load(name: str) -> tuple[pd.DataFrame, np.ndarray, tuple[str, ...]]:
    """Features, label indices and labels, with blanks in numeric columns as missing values."""
    file, label, numbering = SETS[name]
    frame = pd.read_csv(DATA / file, na_values=[" "]).drop(columns=numbering)
    values = frame.pop(label).astype(str)
    labels = tuple(sorted(values.unique()))
    return frame, values.map(labels.index).to_numpy(), labels


def measure(name: str, repeat: int, kinds: Sequence[str]) -> dict[str, Any]:
    """AUC of every model on the folds of one repeat, and how far reasons are from summing to scores."""
    frame, gold, labels = load(name)
    folds = list(RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=0).split(frame, gold))
    auc: dict[str, list[float]] = {}
    worst = 0.0
    for number, (train, test) in enumerate(folds[repeat * FOLDS : (repeat + 1) * FOLDS]):
        for model, scores in peers(frame, gold, train, test).items():
            auc.setdefault(model, []).append(roc_auc_score(gold[test], scores))
        table = pa.Table.from_pandas(frame, preserve_index=False)
        for kind in kinds:
            if kind == "additive" and repeat:
                continue
            rows = Rows(table.take(train), gold[train], labels)
            fitted = tabular.fit(rows, "classify", tabular.Settings(kind=kind))
            logits = tabular.predict(fitted, table.take(test))
            auc.setdefault(kind, []).append(roc_auc_score(gold[test], logits[:, 1] - logits[:, 0]))
            if number == 0:
                worst = max(worst, off(fitted, table.take(test[:500]), logits[:500]))
    return {"auc": auc, "sums": worst}


def off(fitted: Any, table: pa.Table, logits: np.ndarray) -> float:
    found = tabular.contributions(fitted, table)
    sums = np.stack([weights.sum(axis=0) for weights in found.weights]) + found.base
    return float(np.abs((sums[:, 1] - sums[:, 0]) - (logits[:, 1] - logits[:, 0])).max())


def peers(frame: pd.DataFrame, gold: np.ndarray, train: np.ndarray, test: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of the peers in each of their settings."""
    names = [name for name in frame if frame[name].dtype.kind not in "iufb"]
    amounts = [name for name in frame if name not in names]
    coded = ColumnTransformer(
        [
            ("names", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan), names),
            ("amounts", "passthrough", amounts),
        ]
    )
    spread = ColumnTransformer(
        [
            ("names", OneHotEncoder(handle_unknown="ignore"), names),
            ("amounts", make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), amounts),
        ]
    )
    found = {}
    for leaves in LEAVES:
        trees = HistGradientBoostingClassifier(
            learning_rate=0.05,
            max_leaf_nodes=leaves,
            max_iter=500,
            l2_regularization=1.0,
            early_stopping=True,
            random_state=0,
            categorical_features=list(range(len(names))) or None,
        )
        model = make_pipeline(coded, trees).fit(frame.iloc[train], gold[train])
        found[f"hgb_{leaves}"] = model.predict_proba(frame.iloc[test])[:, 1]
    for strength in STRENGTHS:
        model = make_pipeline(spread, LogisticRegression(C=strength, max_iter=2_000)).fit(frame.iloc[train], gold[train])
        found[f"lr_{strength}"] = model.predict_proba(frame.iloc[test])[:, 1]
    return found


if __name__ == "__main__":
    main()
