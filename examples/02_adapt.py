"""Adapt: the keyword model, and a new head on a frozen base; both with probabilities that mean what they say.

python examples/02_adapt.py [FILE]
"""

import sys

import savile
from savile.apps import support

file = sys.argv[1] if len(sys.argv) > 1 else support.sample("en")

data = savile.govern(file)
for model in (savile.adapt(data, model="linear"), savile.adapt(data, model="minilm", method="head")):
    temperature = next(iter(model.calibrations.values())).temperature
    print(f"{model.ref}: family {model.family}, method {model.method}, temperature {temperature:.2f}")
