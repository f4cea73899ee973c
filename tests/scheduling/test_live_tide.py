"""The tide, live: replicas of a service come and go behind its front while requests are answered, and training gives way."""

import http.server
import os
import socket
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from test_live import Steps

from savile.base.work import Job, Node, Pod
from savile.scheduling import RayBackend, policy, replay, run

pytest.importorskip("ray", reason="the extra ray is not installed: pip install 'savile[ray]'")
pytest.importorskip("uvicorn", reason="the extra serve is not installed: pip install 'savile[serve]'")
pytestmark = pytest.mark.slow
ANSWER_S = 0.1


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers after a while with what it was sent, and the number of its replica."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        time.sleep(ANSWER_S)
        said = body + self.server.rank
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        """Say nothing."""


class Server:
    """A replica: a server in the worker itself."""

    def __init__(self, port, breaks=False):
        self.port, self.breaks = port, breaks

    def __call__(self, turn):
        if self.breaks:
            raise ValueError("no such release")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        server.rank = f" from {turn.rank}".encode()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (turn.folder / "address").write_text(f"127.0.0.1:{server.server_port}")
        while not turn.stop():
            time.sleep(0.02)
        time.sleep(2 * ANSWER_S)  # what was begun is answered
        server.shutdown()


@pytest.fixture(scope="module", autouse=True)
def cluster():
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="disabled")
    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.cloudpickle.register_pickle_by_value(sys.modules["test_live"])
    custom = dict.fromkeys(("node:a", "region:here"), 1e6)
    ray.init(num_cpus=4, resources=custom, include_dashboard=False, object_store_memory=100 * 2**20, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Asking(threading.Thread):
    """Asks at given rates, [(seconds, rate), …], from the first answer on; keeps (text, answer or why not, when it came)."""

    def __init__(self, port, phases):
        super().__init__(daemon=True)
        self.url, self.phases, self.answers = f"http://127.0.0.1:{port}/predict", phases, []

    def ask(self, text):
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url, text.encode(), method="POST"), timeout=30) as said:
                answer = said.read().decode()
        except OSError as error:
            answer = f"failed: {error}"
        self.answers.append((text, answer, time.monotonic()))

    def run(self):
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", int(self.url.split(":")[2].split("/")[0])), 0.2).close()
                break
            except OSError:
                time.sleep(0.1)
        with ThreadPoolExecutor(32) as pool:
            for seconds, rate in self.phases:
                until, due = time.monotonic() + seconds, time.monotonic()
                while due < until:
                    pool.submit(self.ask, f"at {due:.3f}")
                    due += 1 / rate
                    time.sleep(max(0.0, due - time.monotonic()))


def test_replicas_follow_the_load_and_training_gives_way(tmp_path, port):
    web = Job("web", Pod(1000, 256), 0.0, 32.0, pods=1, most=3, kind="serve", slo_ms=200.0)
    train = Job("train", Pod(2000, 256), 0.5, 20.0, kind="train")
    nodes = [Node("a", "here", 4000, 4096)]
    backend = RayBackend([(web, Server(port)), (train, Steps(400, 0.02))], nodes, tmp_path, load_s=0.5)
    asking = Asking(port, [(4.0, 2.0), (8.0, 15.0), (4.0, 1.0)])
    asking.start()
    chosen = policy("tide", short_s=1.0, long_s=2.0, keep_s=2.0)
    found = run(chosen, backend)
    asking.join()
    assert len(asking.answers) > 100
    assert not [said for text, said, _ in asking.answers if not said.startswith(text)], (
        "no request failed, whatever came and went"
    )
    assert len({said.rpartition(" ")[2] for _, said, _ in asking.answers}) > 1
    sizes = [(s.start, len(s.places)) for s in found.kernel.ledger.spells if found.kernel.jobs[s.job].id == "web"]
    assert max(size for _, size in sizes) == 3
    assert sizes[-1][1] < 3, "it fell again"
    assert {how for _, how in found.kernel.ended.values()} == {"finished"}
    assert found.kernel.preempted >= 1, "training gave way"
    assert backend.results["train"] == 400, "and went on where it was"
    assert found.figures["requests"] == len(asking.answers)
    text = found.log.text()
    assert replay(text, chosen, backend.kernel()).text() == text


def test_a_replica_that_never_comes_up_fails_the_service(tmp_path, port):
    web = Job("web", Pod(1000, 256), 0.0, 60.0, pods=1, most=2, kind="serve", slo_ms=200.0)
    found = run("tide", RayBackend([(web, Server(port, breaks=True))], [Node("a", "here", 4000, 4096)], tmp_path))
    assert [how for _, how in found.kernel.ended.values()] == ["failed"]
