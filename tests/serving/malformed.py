"""Requests that are wrong in every way one can think of, and random changes of good ones; raw bytes, as a socket sends them."""

import json
import random

GOOD = json.dumps({"text": "my card was stolen"}).encode()


def request(body=GOOD, method="POST", path="/v1/classify", headers=()):
    """One whole HTTP/1.1 request, with its length."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


VALUES = (
    *(b"", b"{", b"}", b"[", b"null", b"true", b"0", b'"text"', b"[]", b"{}", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf{}", b"NaN"),
    *(b"1" * 5000, b"-" + b"9" * 400, b"1e999", b"[" * 20_000, b'{"a":' * 20_000),
    b'{"text":' + b"[" * 5000 + b"]" * 5000 + b"}",
    *(b'{"text": null}', b'{"text": 1}', b'{"text": ["a"]}', b'{"text": {"text": "a"}}', b'{"text": "a", "texts": ["b"]}'),
    *(b'{"texts": []}', b'{"texts": "a"}', b'{"texts": [1]}', b'{"texts": [null]}', b'{"texts": [["a"]]}', b'{"texts": {}}'),
    *(b'{"text": "\\ud800"}', b'{"texts": ["a", "\\udfff x"]}', b'{"text": "\\u0000"}', b'{"text": "\\uffff"}'),
    *(b'{"text": "a"', b'{"text": "a"}x', b"{'text': 'a'}", b'{"text": "\xff"}', b'{"Text": "a"}', b'{"text": "a", "x": 1}'),
    *(json.dumps({"texts": ["a"] * n}).encode() for n in (257, 5000)),
    *(json.dumps({"text": letter * 20_001}).encode() for letter in "a退"),
    *(
        json.dumps({"text": text}, ensure_ascii=False).encode()
        for text in ("", "a" * 20_000, "🙂" * 3000, "\u202e\u0301" * 500)
    ),
    *(GOOD.decode().encode(code) for code in ("utf-16", "utf-32", "utf-7", "utf-16-le")),
    b'{"text": "' + b"x" * (4 << 20) + b'"}',
)
METHODS = ("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "POST", "CONNECT", "get", "FOO", "")
PATHS = (
    *("/", "//", "/v1/classify/", "/v1/classify?text=a", "/v1/%63lassify", "/%00", "/%ff%fe", "/../../etc/passwd", "no-slash"),
    *(
        "/v1/" + "x" * 9000,
        "*",
        "http://other/v1/classify",
        "/openapi.json",
        "/docs",
        "/metrics",
        "/readyz/replay",
        "/v1/models",
    ),
)
HEADERS = (
    *("Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length: x", "Transfer-Encoding: chunked"),
    *("Transfer-Encoding: gzip", "Content-Encoding: gzip", "Content-Type: text/html", "Content-Type: \xff", "X: \xff\xfe"),
    *("Authorization: Bearer", "Authorization: \xff", "Authorization: Bearer " + "x" * 5000, "Host: ", "Upgrade: websocket"),
    *("Connection: upgrade", "Range: bytes=0-1", "Accept: nothing/*", "Cookie: " + "a=b;" * 500, "Forwarded: for=\x01"),
    *("X" * 9000 + ": 1", ": empty", "no colon", "Expect: 100-continue"),
)
PIECES = (b"\x00", b'"', b"{", b"[", b"\\ud800", b"\xff", b"1e999", b"\\", b"\r\n", b"null")


def handmade():
    """One request for each value, method, path and header."""
    yield from (request(body) for body in VALUES)
    yield from (request(b"" if method in ("GET", "HEAD") else GOOD, method, path) for method in METHODS for path in PATHS)
    yield from (request(headers=[header]) for header in HEADERS)
    yield from (request()[:cut] for cut in (1, 20, 40, 80, len(request()) - 3))
    yield b"POST /v1/classify HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"
    yield b"POST /v1/classify HTTP/9.9\r\n\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256))


def mutated(seed, count):
    """Good requests with random bytes flipped, dropped, doubled or put in."""
    rng = random.Random(seed)
    bodies = [GOOD, json.dumps({"texts": ["where is my order", "退款什么时候到账？"]}).encode()]
    for _ in range(count):
        whole = rng.random() < 0.3
        sent = bytearray(request(rng.choice(bodies)) if whole else rng.choice(bodies))
        for _ in range(rng.randint(1, 6)):
            place = rng.randrange(len(sent))
            change = rng.choice(("flip", "drop", "double", "put"))
            if change == "flip":
                sent[place] ^= 1 << rng.randrange(8)
            elif change == "drop":
                del sent[place : place + rng.randint(1, 8)]
            elif change == "double":
                sent[place:place] = sent[place : place + rng.randint(1, 16)]
            else:
                sent[place:place] = rng.choice(
                    (b"\x00", b'"', b"{", b"[", b"\\ud800", b"\xff", b"1e999", b"\\", b"\r\n", b"null")
                )
        yield bytes(sent) if whole else request(bytes(sent))
