"""Small files to govern, made on the spot."""

import csv
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

SAMPLES = Path(os.environ.get("SAVILE_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture
def home(savile_home):
    """A home of its own, so that nothing is remembered from elsewhere."""
    return savile_home


@pytest.fixture
def write(tmp_path):
    """Write columns as a csv file and give its path."""

    def to_file(columns, name="tickets.csv"):
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        return path

    return to_file


@pytest.fixture
def sample():
    """The path of a public data set, or a skip where there is none."""

    def path(name):
        found = SAMPLES / name
        if not found.exists():
            pytest.skip(f"no {name} in {SAMPLES}; set SAVILE_DATA")
        return found

    return path


@pytest.fixture(scope="session")
def sentences():
    """Make so many texts that share no run of characters to speak of."""

    def texts(count, seed=0, words=8):
        rng = np.random.default_rng(seed)
        letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
        return [" ".join("".join(rng.choice(letters, size=rng.integers(3, 9))) for _ in range(words)) for _ in range(count)]

    return texts


@pytest.fixture
def language_model():
    """Serve what a function of a prompt gives as a choice of OpenAI's chat interface; give the address, and what was asked."""
    servers = []

    def serve(choice):
        seen = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                prompt = body["messages"][0]["content"]
                seen.append((prompt, body))
                answer = json.dumps({"choices": [choice(prompt)]}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v1", seen

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()
