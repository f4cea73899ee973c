"""Govern: a file becomes data that may be learnt from, and a page shows what is wrong with it.

python examples/01_govern.py [FILE]
"""

import sys

import savile
from savile.apps import support

file = sys.argv[1] if len(sys.argv) > 1 else support.sample("en")

data = savile.govern(file)
print(f"{data.ref}: {data.table.num_rows} rows, {len(data.labels)} labels, columns {dict(data.roles)}")
print("parts:", {name: len(rows) for name, rows in data.parts.items()})
for finding in data.findings:
    print(f"{finding.severity}: {finding.evidence}")
