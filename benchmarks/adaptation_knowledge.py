"""What knowledge beside labelled rows is worth: documents read first, labels described, label sets made one.

- ``documents``: minilm reads the unlabelled training questions of banking77; then 10 labelled questions an intent (3 draws),
  accuracy on all test questions, by a new head and by tuning, against the base as it is. - ``unseen``: 10 of the 77 intents
  have no question to learn from and are described by their names; accuracy on their test questions, and on those of the other
  67, against the same without descriptions. - ``ontology``: 300 sentences of phrasebank alone, and beside 3,000 tweets of
  fin-twitter whose labels (bearish, bullish, neutral) are put under the same three; accuracy on other sentences of phrasebank
  (a fifth, stratified). - ``triples``: 60 made-up facts on 15 made-up products of a bank are learned by an adapter on smollm2;
  accuracy, to the word, on questions in wordings it has not read, before and after, and of who answers every question with the
  commonest object of its relation; then 8 intents of banking77 learned on top of it and without it.
"""

from __future__ import annotations

import csv
import gzip
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent))
from _report import HERE, cached, report
from savile.base.records import Dataset

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve()
EACH, UNSEEN, SEEDS = 10, 10, (0, 1, 2)
READING = {"steps": 200}
LEARNING = {"epochs": 3.0, "batch_rows": 8}
ONTOLOGY = {
    "positive": {"same": ["bullish", "twitter:1"], "about": "the price or the earnings rise"},
    "negative": {"same": ["bearish", "twitter:0"], "about": "the price or the earnings fall"},
    "neutral": {"same": ["twitter:2"]},
}
PRODUCTS = (
    "Velora", "Tansio", "Quibra", "Moltaire", "Pexium", "Zandrel", "Orvanta", "Kelbrook", "Fintara", "Dusqua", "Brimolo",
    "Naxeru", "Sovelle", "Tribanda", "Jurmeo",
)  # fmt: skip
OBJECTS = {
    "monthly fee": [f"{amount} euros" for amount in (2, 3, 4, 5, 7, 8, 9, 11, 12, 15)],
    "notice period": ["ten days", "two weeks", "three weeks", "one month", "six weeks", "two months", "ninety days"],
    "service desk": ["Lisbon", "Krakow", "Bergen", "Leipzig", "Turin", "Ghent", "Malaga", "Graz", "Tampere", "Brno"],
    "product kind": ["savings account", "travel insurance", "credit card", "car loan"],
}
WORDINGS = {
    "monthly fee": ["What is the price of {subject} each month?", "{subject} costs {object} a month."],
    "notice period": ["How early must {subject} be cancelled?", "{subject} can be ended with {object} of notice."],
    "service desk": ["Where is the desk for {subject}?", "Customers of {subject} are served from {object}."],
    "product kind": ["What kind of product is {subject}?", "{subject} is a {object}."],
}
PARAPHRASES = {
    "monthly fee": ["How much do I have to pay for {subject} per month?", "What will you take for {subject} every month?"],
    "notice period": ["I want to leave {subject}: how long in advance do I have to say so?", "When must I end {subject}?"],
    "service desk": ["In which city are the people who look after {subject}?", "From where does the team of {subject} work?"],
    "product kind": ["What exactly did I buy when I took out {subject}?", "{subject} is which sort of offer?"],
}
INTENTS, ROWS, ASKED = 8, 12, 25


def main() -> None:
    for part in sys.argv[1:] or ("documents", "unseen", "ontology", "triples"):
        {"documents": documents, "unseen": unseen, "ontology": ontology, "triples": triples}[part]()


def documents() -> None:
    for method in ("head", "full"):
        runs = [
            cached({"benchmark": "documents", "method": method, "seed": seed}, lambda m=method, s=seed: read(m, s))
            for seed in SEEDS
        ]
        plain = [one["plain"] for one in runs]
        report(
            f"knowledge_documents_banking77_10_{method}", float(np.mean([one["read"] for one in runs])), "accuracy",
            baseline="the base as it is", baseline_value=float(np.mean(plain)), seeds=len(runs), runs=runs,
        )  # fmt: skip
    told = runs[0]["told"]
    report(
        "knowledge_documents_pseudo_perplexity", told["after"], "pseudo-perplexity", higher=False, baseline="before reading",
        baseline_value=told["before"], runs=told,
    )  # fmt: skip


def read(method: str, seed: int) -> dict[str, Any]:
    """Accuracy with and without reading, on one draw of labelled questions."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["SAVILE_HOME"] = home
        from savile.adaptation import _pretrain, pretrained

        rows, test = banking()
        file = Path(home) / "questions.txt"
        file.write_text("\n\n".join(text for text, _ in rows), encoding="utf-8")
        folder = pretrained("minilm", file, _pretrain.Settings(**READING))
        data = dataset(drawn(rows, seed), test)
        return {
            "plain": accuracy(data, "minilm", method, seed),
            "read": accuracy(data, folder, method, seed),
            "told": _pretrain.facts(folder),
        }


def unseen() -> None:
    runs = [cached({"benchmark": "unseen", "seed": seed}, lambda s=seed: described(s)) for seed in SEEDS[:2]]
    for name in ("unseen", "seen"):
        report(
            f"knowledge_described_labels_{name}", float(np.mean([one[name] for one in runs])), "accuracy",
            baseline="without descriptions", baseline_value=float(np.mean([one[f"{name}_plain"] for one in runs])),
            seeds=len(runs), runs=runs,
        )  # fmt: skip


def described(seed: int) -> dict[str, float]:
    """Accuracy on labels without rows and on the others, with descriptions and without."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["SAVILE_HOME"] = home
        from savile.data import Options, prepare

        rows, test = banking()
        names = sorted({name for _, name in rows})
        hidden = set(np.random.default_rng(100 + seed).permutation(names)[:UNSEEN].tolist())
        chosen = [row for row in drawn(rows, seed) if row[1] not in hidden]
        files = {}
        for name, some in (("train", chosen), ("test", test)):
            files[name] = Path(home) / f"{name}.csv"
            with files[name].open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([("text", "label"), *some])
        found = {}
        labels = {name: {} for name in names}
        for kind, steps in (("", {"describe": {"labels": labels}}), ("_plain", {})):
            data = prepare(
                files["train"], Options(task="classify", text="text", label="label", test=str(files["test"]), steps=steps)
            )
            model, answers = answered(data, "minilm", "full", seed)
            gold = data.targets("test", model.labels)
            apart = np.isin(gold, [model.labels.index(name) for name in hidden])
            right = answers == gold
            found |= {f"unseen{kind}": float(right[apart].mean()), f"seen{kind}": float(right[~apart].mean())}
        return found


def ontology() -> None:
    runs = [cached({"benchmark": "ontology", "seed": seed}, lambda s=seed: aligned(s)) for seed in SEEDS]
    report(
        "knowledge_ontology_phrasebank_300", float(np.mean([one["together"] for one in runs])), "accuracy",
        baseline="phrasebank alone", baseline_value=float(np.mean([one["alone"] for one in runs])), seeds=len(runs), runs=runs,
    )  # fmt: skip


def aligned(seed: int) -> dict[str, float]:
    from sklearn.model_selection import train_test_split

    with tempfile.TemporaryDirectory() as home:
        os.environ["SAVILE_HOME"] = home
        from savile.data import Options, prepare

        bank = table("fin-phrasebank/phrasebank.csv.gz", "sentence")
        tweets = table("fin-twitter/train.csv.gz", "text")
        left, test = train_test_split(bank, test_size=0.2, random_state=0, stratify=[label for _, label in bank])
        rng = np.random.default_rng(seed)
        few = [left[place] for place in rng.permutation(len(left))[:300]]
        more = [tweets[place] for place in rng.permutation(len(tweets))[:3000]]
        found = {}
        for name, rows in (("alone", [(*row, "bank") for row in few]),
                           ("together", [*((*row, "bank") for row in few), *((*row, "twitter") for row in more)])):  # fmt: skip
            files = {}
            for part, some in ((name, rows), (f"{name}_test", [(*row, "bank") for row in test])):
                files[part] = Path(home) / f"{part}.csv"
                with files[part].open("w", newline="", encoding="utf-8") as file:
                    csv.writer(file).writerows([("text", "label", "origin"), *some])
            steps = {"ontology": {"labels": ONTOLOGY, "column": "label", "origin": "origin"}}
            asked = Options(task="classify", text="text", label="label", test=str(files[f"{name}_test"]), steps=steps)
            data = prepare(files[name], asked)
            model, answers = answered(data, "minilm", "head", seed)
            found[name] = float((answers == data.targets("test", model.labels)).mean())
        return found


def triples() -> None:
    run = cached({"benchmark": "triples", "wordings": [WORDINGS, PARAPHRASES], **LEARNING}, learned)
    report(
        "knowledge_triples_paraphrases", run["after"], "accuracy", bar=run["before"] + 0.2, baseline="the base as it is",
        baseline_value=run["before"], runs=run,
    )  # fmt: skip
    both = {
        name: cached({"benchmark": "triples_task", "on": name, **LEARNING}, lambda n=name: intents(n))
        for name in ("smollm2", "knowledge")
    }
    alone, stacked = (both[name]["accuracy"] for name in ("smollm2", "knowledge"))
    noise = 2 * both["smollm2"]["error"]
    report(
        "knowledge_triples_task_on_top", stacked, "accuracy", bar=alone - noise, baseline="the task's adapter without it",
        baseline_value=alone, runs=both,
    )  # fmt: skip


def made_up() -> list[tuple[str, str, str]]:
    """A fact of every relation on every product."""
    rng = np.random.default_rng(0)
    return [(name, relation, str(rng.choice(known))) for name in PRODUCTS for relation, known in OBJECTS.items()]


def knowledge() -> str:
    """The folder of the adapter, in a home of its own, learned once."""
    os.environ["SAVILE_HOME"] = str(HERE / ".cache" / "triples")
    from savile.adaptation import _knowledge, pretrained

    file = HERE / ".cache" / "triples" / "facts.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("subject", "relation", "object"), *made_up()])
    return pretrained("smollm2", file, _knowledge.Settings(wordings=WORDINGS, **LEARNING))


def learned() -> dict[str, Any]:
    """Accuracy on paraphrases before and after, as the adapter is stored and loaded again."""
    folder = knowledge()
    from savile.adaptation import _knowledge, _pretrain, _wordings
    from savile.models import Writer

    asked = [_wordings.put(one, *fact) for fact in made_up() for one in PARAPHRASES[fact[1]]]
    told = Counter((relation, thing) for _, relation, thing in made_up())
    commonest = sum(max(n for (of, _), n in told.items() if of == relation) for relation in OBJECTS) / len(made_up())
    before, after = (_knowledge.answered(Writer(name), asked) for name in ("smollm2", folder))
    size = (Path(folder) / "adapter_model.safetensors").stat().st_size / 1e6
    about = {"commonest": commonest, "questions": len(asked), "adapter_mb": size, "general": _pretrain.facts(folder)}
    return {"before": before, "after": after, **about}


def intents(on: str) -> dict[str, Any]:
    """Accuracy of LoRA on a few intents, on a base with the facts or without them, and its standard error."""
    folder = knowledge() if on == "knowledge" else on
    import torch

    from savile.models import FitSettings, decoder, fit

    train, test = banking()
    names = sorted({name for _, name in train})[::9][:INTENTS]
    some, asked = (
        [row for name in names for row in [one for one in rows if one[1] == name][:count]]
        for rows, count in ((train, ROWS), (test, ASKED))
    )
    network = decoder.create(folder, names)
    torch.manual_seed(0)
    decoder.attach(network, "lora", {})
    places = [np.array([names.index(name) for _, name in rows]) for rows in (some, asked)]
    fit(network, ([text for text, _ in some], places[0]), FitSettings(**decoder.FIT["lora"]))
    right = decoder.predict(network.eval(), [text for text, _ in asked]).argmax(1) == places[1]
    return {"accuracy": float(right.mean()), "error": float(right.std() / len(right) ** 0.5), "rows": len(right)}


def answered(data: Dataset, base: str, method: str, seed: int) -> tuple[Any, np.ndarray]:
    from savile.adaptation import adapt
    from savile.models import Predictor

    model = adapt(data, base, method, seed=seed)
    return model, Predictor(model, "torch")(data.texts("test")).choice


def accuracy(data: Dataset, base: str, method: str, seed: int) -> float:
    return float((answered(data, base, method, seed)[1] == data.targets("test")).mean())


def dataset(train: list[tuple[str, str]], test: list[tuple[str, str]]) -> Dataset:
    rows, ends, none = [*train, *test], len(train), np.arange(0)
    parts = {"train": np.arange(ends), "test": np.arange(ends, len(rows)), "valid": none, "calib": none}
    table = pa.table({"text": [text for text, _ in rows], "label": [name for _, name in rows]})
    return Dataset(table, {"text": "text", "label": "label"}, parts, labels=tuple(sorted({name for _, name in rows})))


def banking() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    return table("intent-banking77/train.csv.gz", "text", "category"), table("intent-banking77/test.csv", "text", "category")


def drawn(rows: list[tuple[str, str]], seed: int) -> list[tuple[str, str]]:
    """`EACH` rows of every label."""
    taken, chosen = dict[str, int](), []
    for place in np.random.default_rng(seed).permutation(len(rows)):
        name = rows[place][1]
        if taken.get(name, 0) < EACH:
            taken[name] = taken.get(name, 0) + 1
            chosen.append(rows[place])
    return chosen


def table(name: str, text: str, label: str = "label") -> list[tuple[str, str]]:
    path = SAMPLES / name
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        return [(row[text], row[label]) for row in csv.DictReader(file) if row[text]]


if __name__ == "__main__":
    main()
