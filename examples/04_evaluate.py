"""Evaluate: every figure with its interval, the baselines on the same rows, and a gate.

python examples/04_evaluate.py [FILE]
"""

import sys

import savile
from savile.apps import support

file = sys.argv[1] if len(sys.argv) > 1 else support.sample("en")

data = savile.govern(file)
small = savile.compress(savile.adapt(data, model="minilm", method="head"))
report = savile.evaluate(small, data, settings={"evaluate.floor": 0.5, "evaluate.must_beat": "linear"})
for name in ("accuracy", "macro_f1", "ece"):
    figure = report.body["metrics"][name]
    print(f"{name}: {figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f}), {figure['n']} rows")
for check in report.body["gate"]["checks"]:
    print(f"{check['name']}: {check['value']:.3f} against {check['bar']:.3f}, {'passed' if check['passed'] else 'not passed'}")
print("verdict:", report.body["verdict"], "page:", report.body["pages"][0])
