"""Improve: people label what the model was least sure of, and their rows become an update, or are refused with the reason.

The update answers for the rows of before as well: it may lose no more of them than its budget allows. Here the labels of the
sample play the people.

python examples/07_improve.py
"""

import json
from pathlib import Path

import savile
from savile.apps import support
from savile.base.store import Store
from savile.models import Predictor

KEYWORDS = {"model.family": "linear"}
rows = [json.loads(line) for line in support.sample("en").read_text(encoding="utf-8").splitlines()]
first, new, test = rows[0::5], rows[1::5] + rows[2::5] + rows[3::5], rows[4::5]
folder = Path("improve")
folder.mkdir(exist_ok=True)


def written(name: str, chosen: list) -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in chosen), encoding="utf-8")
    return path


held = written("test.jsonl", test)
before = savile.run(written("messages.jsonl", first), test=held, settings=KEYWORDS)

store = Store.open()
release = store.load(before.json["release"])
predict = Predictor(store.load(release.model), release.form, release.engine or None)
unsure = predict([row["text"] for row in new]).confidence.argsort()[:120]
corrected = [new[i] for i in unsure]  # a person reads these hundred and twenty, and says what they are

after = savile.improve(written("corrections.jsonl", corrected), model=release, forget=0.05)
print(*after.summary, sep="\n")
