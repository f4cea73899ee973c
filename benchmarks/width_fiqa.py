"""A sentiment between -1 and 1: the task `score` on FiQA's 675 posts, five shuffled folds, seed 0, against two ridges.

The ridges are scikit-learn's on TF-IDF (words 1-2, characters 2-5) and on embeddings of the frozen base, their penalty by
cross-validation inside the fold. Ours is `auto`; what it picked in each fold is printed. A post with several targets has the
mean of their scores.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve()
FOLDS, ALPHAS = 5, (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


def main() -> None:
    folds = [cached({"benchmark": "width_fiqa", "fold": fold}, lambda fold=fold: measure(fold)) for fold in range(FOLDS)]
    mean = {name: sum(fold[name] for fold in folds) / FOLDS for name in ("ours", "tfidf", "frozen", "coverage")}
    best = max(("tfidf", "frozen"), key=mean.__getitem__)
    more = {"baseline": f"ridge on {best}", "baseline_value": mean[best], "runs": [fold["ours"] for fold in folds]}
    report("fiqa_pearson", mean["ours"], "Pearson correlation", bar=mean[best], seeds=FOLDS, **more)
    report("fiqa_pearson_ridge_tfidf", mean["tfidf"], "Pearson correlation", seeds=FOLDS)
    report("fiqa_pearson_ridge_frozen", mean["frozen"], "Pearson correlation", seeds=FOLDS)
    report("fiqa_coverage90", mean["coverage"], "share inside the 90 % interval", seeds=FOLDS)
    print([fold["picked"] for fold in folds], file=sys.stderr)


def measure(fold: int) -> dict[str, Any]:
    """Pearson correlation of each on the fold's test rows."""
    import numpy as np
    import pandas as pd
    from sklearn.model_selection import KFold

    posts = json.loads((SAMPLES / "fin-fiqa" / "FiQA_post.json").read_text(encoding="utf-8")).values()
    texts = [post["sentence"] for post in posts]
    scores = np.array([np.mean([float(one["sentiment_score"]) for one in post["info"]]) for post in posts])
    inside, outside = list(KFold(FOLDS, shuffle=True, random_state=0).split(texts))[fold]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SAVILE_HOME"] = f"{folder}/home"
        paths = [Path(folder) / name for name in ("train.csv", "test.csv")]
        for rows, path in zip((inside, outside), paths, strict=True):
            pd.DataFrame({"text": [texts[i] for i in rows], "label": scores[rows]}).to_csv(path, index=False)
        found = _ours(*paths)
    train, test = [texts[i] for i in inside], [texts[i] for i in outside]
    return {
        **found,
        "tfidf": _correlation(_tfidf(train, scores[inside], test), scores[outside]),
        "frozen": _correlation(_frozen(train, scores[inside], test), scores[outside]),
    }


def _ours(train: Path, test: Path) -> dict[str, Any]:
    from savile import adaptation
    from savile.base.contracts import Predictions
    from savile.data import Options, prepare
    from savile.evaluation import regression
    from savile.models import Predictor

    data = prepare(train, Options(task="score", label="label", text="text", test=test, pii="keep"))
    model = adaptation.adapt(data)
    predict = Predictor(model, next(iter(model.forms)))
    figures = regression.measure(Predictions(data.targets("test"), predict(data.inputs(predict.reads, "test")), model.labels))
    return {"ours": figures["pearson"].value, "coverage": figures["coverage90"].value, "picked": model.facts["why"]}


def _tfidf(train: list[str], scores: Any, test: list[str]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline, make_union

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    ridge = make_pipeline(make_union(words, letters), Ridge())
    return GridSearchCV(ridge, {"ridge__alpha": ALPHAS}, cv=5).fit(train, scores).predict(test)


def _frozen(train: list[str], scores: Any, test: list[str]) -> Any:
    import torch
    from sklearn.linear_model import RidgeCV

    from savile.models import encoder
    from savile.models._rows import TokenRows, embed

    network = encoder.create("minilm", ("value",), cosine=False).eval()
    embedded = []
    for texts in (train, test):
        tokens = TokenRows(network.encode(texts), network.pad_id)
        pooled = embed(network, tokens, 0, torch.float32)[0]
        embedded.append(torch.nn.functional.normalize(pooled, dim=-1).numpy())
    return RidgeCV(ALPHAS).fit(embedded[0], scores).predict(embedded[1])


def _correlation(said: Any, gold: Any) -> float:
    import numpy as np

    return float(np.corrcoef(said, gold)[0, 1])


if __name__ == "__main__":
    main()
