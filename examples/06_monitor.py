"""Monitor: what a running server tells today. There is no word `monitor` yet that watches for you.

`/readyz` says whether the model answered its golden questions as released, `/readyz/replay` asks again, and `/metrics` counts
requests, answers and what was left to a person, for a Prometheus of your own.

python examples/06_monitor.py [FILE]
"""

import json
import signal
import subprocess
import sys
from urllib.request import Request, urlopen

import savile
from savile.apps import support

file = sys.argv[1] if len(sys.argv) > 1 else support.sample("en")

result = savile.run(file, settings={"model.family": "linear"})
command = [sys.executable, "-m", "savile.cli", "serve", result.json["release"], "--port", "0", "--keys", "none", "--json"]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
    try:
        url = json.loads(server.stdout.readline())["url"]
        texts = json.dumps({"texts": list(support.questions("en"))}).encode()
        urlopen(Request(f"{url}/v1/classify", texts)).close()
        with urlopen(Request(f"{url}/readyz/replay", b"")) as again:
            print("golden questions:", json.load(again)["proof"])
        with urlopen(f"{url}/metrics") as figures:
            for line in figures.read().decode().splitlines():
                if line.startswith("savile_") and "_bucket" not in line and "_created" not in line:
                    print(line)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
