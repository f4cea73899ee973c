"""The front of a service: requests go through unchanged, wait in order, and are measured."""

import http.server
import socket
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from savile.base.errors import MachineError

pytest.importorskip("uvicorn", reason="the extra serve is not installed: pip install 'savile[serve]'")
from savile.scheduling._front import LARGEST, Front

BUSY_S = 0.1


class Echo(http.server.BaseHTTPRequestHandler):
    """Says what it was asked, in pieces of unknown length."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        time.sleep(BUSY_S)
        body = self.rfile.read(int(self.headers["content-length"]))
        said = f"{self.command} {self.path} {self.headers['x-key']} {len(body)}".encode()
        self.send_response(201)
        self.send_header("x-replica", str(self.server.server_port))
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(said), said))

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def servers():
    made = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) for _ in range(2)]
    for one in made:
        threading.Thread(target=one.serve_forever, daemon=True).start()
    yield made
    for one in made:
        one.shutdown()
        one.server_close()


@pytest.fixture
def front():
    made = Front(0, 1, time.monotonic)
    yield made
    made.close()


def ask(front, body=b"hello"):
    request = urllib.request.Request(f"{front.url}/v1/x?a=1&b=%20", body, {"x-key": "k"}, method="POST")
    with urllib.request.urlopen(request, timeout=20) as said:
        return said.status, said.headers["x-replica"], said.read().decode()


def test_what_is_asked_and_answered_goes_through_unchanged(front, servers):
    front.add("127.0.0.1", servers[0].server_port)
    status, replica, text = ask(front, b"x" * 300_000)
    assert (status, replica) == (201, str(servers[0].server_port))
    assert text == "POST /v1/x?a=1&b=%20 k 300000"


def test_requests_wait_for_a_replica_and_one_that_is_removed_is_asked_no_more(front, servers):
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, front) for _ in range(6)]
        time.sleep(0.5)
        assert front.load().waiting == 6
        front.add("127.0.0.1", servers[0].server_port)
        front.add("127.0.0.1", servers[1].server_port)
        by = {one.result()[1] for one in asked}
        assert by == {str(one.server_port) for one in servers}
        front.remove("127.0.0.1", servers[0].server_port)
        assert {pool.submit(ask, front).result()[1] for _ in range(4)} == {str(servers[1].server_port)}
    load = front.load()
    assert load.waiting == 0
    assert load.busy_s == pytest.approx(BUSY_S, rel=0.8)
    assert load.rate > 0
    waits = front.rows()[:, 1]
    assert len(waits) == 10
    assert (waits[:6] > 0.3).all()
    assert waits[6:].max() < 0.3


def test_a_replica_that_is_dead_is_passed_over(front, servers, monkeypatch):
    monkeypatch.setattr("savile.scheduling._front.PATIENCE_S", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        front.add("127.0.0.1", free.getsockname()[1])
        with pytest.raises(urllib.error.HTTPError, match="503"):
            ask(front)
        front.add("127.0.0.1", free.getsockname()[1])
        front.add("127.0.0.1", servers[0].server_port)
        assert {ask(front)[1] for _ in range(3)} == {str(servers[0].server_port)}


def test_a_replica_that_does_not_speak_http_and_a_request_too_large_are_said(front):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        front.add("127.0.0.1", mute.getsockname()[1])
        threading.Thread(target=lambda: mute.accept()[0].close(), daemon=True).start()
        with pytest.raises(urllib.error.HTTPError, match="502"):
            ask(front)
    with pytest.raises((urllib.error.HTTPError, urllib.error.URLError, ConnectionError), match=r"413|reset|[Bb]roken"):
        ask(front, b"x" * (LARGEST + 1))


def test_a_port_that_is_taken_is_said(front):
    with pytest.raises(MachineError, match="taken"):
        Front(int(front.url.rpartition(":")[2]), 1, time.monotonic)
