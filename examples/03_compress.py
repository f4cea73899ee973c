"""Compress: the same model in smaller and faster forms, and which of them answers alike and fastest.

python examples/03_compress.py [FILE]
"""

import sys

import savile
from savile.apps import support

file = sys.argv[1] if len(sys.argv) > 1 else support.sample("en")

model = savile.adapt(savile.govern(file), model="minilm", method="head")
small = savile.compress(model)
print(f"{model.ref} had {', '.join(model.forms)}; {small.ref} has {', '.join(small.forms)}")
print("served as", small.facts["served"])
