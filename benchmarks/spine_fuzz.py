"""3,000 malformed requests to a real server: by hand, by random changes of good ones, JSON of any shape; then schemathesis.

What counts is how many are answered with a status of 500 or more, and whether the server answers a good request afterwards. Of
the requests that schemathesis makes from the server's own OpenAPI, what counts is every answer that is not as the schema says.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests"), str(HERE.parent / "tests" / "serving")]
by_schema, malformed, small_line, test_http = map(import_module, ("by_schema", "malformed", "small_line", "test_http"))
report = import_module("_report").report

REQUESTS, SHAPES, EXAMPLES = 3_000, 800, 500


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        os.environ["SAVILE_HOME"] = str(home)
        (Path(folder) / "base").mkdir()
        data, _, model = small_line.line(Path(folder) / "base")
        release = small_line.released(data, model)
        codes: Counter[int] = Counter()
        with test_http.served(home, release) as (_, address):
            sent = [*malformed.handmade(), *(malformed.request(body) for body in shapes())]
            sent += malformed.mutated(0, REQUESTS - len(sent))
            for request in sent:
                code = test_http.exchange(address, request)
                codes[code] += 1
                if code >= 500:
                    print(code, request[:300], file=sys.stderr)
            checked = list(by_schema.calls(f"http://{address}", EXAMPLES))
            alive, _ = test_http.call(address, "POST", body={"text": "a"})
    print(dict(codes), file=sys.stderr)
    assert alive == 200
    for label, seen, wrong in checked:
        print(label, dict(seen), *wrong[:5], sep="\n  ", file=sys.stderr)
    report(
        f"malformed_requests_status_500_of_{len(sent)}", sum(codes[code] for code in codes if code >= 500), "answers", 0, False
    )
    asked = sum(sum(seen.values()) for _, seen, _ in checked)
    report(f"schemathesis_answers_not_as_the_schema_says_of_{asked}", sum(len(w) for *_, w in checked), "answers", 0, False)


def shapes() -> Iterator[bytes]:
    """JSON of any shape, most of it with the keys that are meant."""
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters(codec=None)),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=12,
    )
    keys = st.sampled_from(["text", "texts"]) | st.text(max_size=6)
    drawn: list[Any] = []

    @settings(max_examples=SHAPES, database=None, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(keys, anything, max_size=2) | anything)
    def draw(value: Any) -> None:
        drawn.append(value)

    draw()
    for value in drawn:
        yield json.dumps(value).encode()


if __name__ == "__main__":
    main()
