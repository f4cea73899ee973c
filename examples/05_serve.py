"""Serve: a server of its own process answers over HTTP, to who has a key, until it is told to stop.

python examples/05_serve.py [FILE]
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
key = savile.serve(new_key="example")["key"]
command = [sys.executable, "-m", "savile.cli", "serve", result.json["release"], "--port", "0", "--json"]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
    try:
        ready = json.loads(server.stdout.readline())
        question = json.dumps({"texts": ["where is my parcel?", "I was charged twice"]}).encode()
        asked = Request(f"{ready['url']}/v1/classify", question, {"authorization": f"Bearer {key}"})
        with urlopen(asked) as answer:
            for one in json.load(answer)["answers"]:
                print(f"{one['label']} {one['probability']:.2f}", "(to a person)" if one["abstain"] else "")
    finally:
        server.send_signal(signal.SIGTERM)
print("stopped with exit code", server.wait())
savile.serve(revoke_key="example")
