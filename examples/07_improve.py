"""Improve: people label what the model was least sure of, the rows go back into the file, and both models meet again.

There is no word `improve` yet that proposes this by itself; these are the steps it will take. Here the labels of the sample
play the people. Whether it helped is for the test rows to say: with few of them the intervals overlap, and that is told, too.

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
first, new, test = rows[0::5] + rows[1::5], rows[2::5] + rows[3::5], rows[4::5]
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
unsure = predict([row["text"] for row in new]).confidence.argsort()[:60]
corrected = [new[i] for i in unsure]  # a person reads these sixty, and says what they are

after = savile.run(written("messages_corrected.jsonl", first + corrected), test=held, settings=KEYWORDS)
for name, result in (("before", before), ("after", after)):
    figure = result.json["metrics"]["accuracy"]
    print(
        f"{name}: accuracy {figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f}) on the same {figure['n']} rows"
    )
