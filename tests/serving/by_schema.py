"""Requests that schemathesis makes from the OpenAPI of a server, good and bad ones, and their answers held against it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup

PHASES = (Phase.explicit, Phase.generate)


def calls(url: str, examples: int) -> Iterator[tuple[str, Counter[int], list[str]]]:
    """Each operation, the status codes it answered with, and what schemathesis found wrong with its answers.

    Held against: no status of 500 or more but a documented 503, status codes, content types and bodies as the schema says, bad
    data refused and good data accepted, methods that are not meant refused.

    Args:
        url: where the server listens, without keys.
        examples: requests of good data, and as many of bad data, to each operation.
    """
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    for found in schema.get_all_operations():
        operation = found.ok()
        codes: Counter[int] = Counter()
        wrong: list[str] = []
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            _ask(operation.as_strategy(generation_mode=mode), examples, codes, wrong)
        yield operation.label, codes, wrong


def _ask(strategy, examples, codes, wrong):
    @settings(
        max_examples=examples,
        database=None,
        derandomize=True,
        deadline=None,
        phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def ask(case):
        response = case.call(timeout=60)
        codes[response.status_code] += 1
        try:
            case.validate_response(response)
        except FailureGroup as failures:
            wrong.extend(f"{case.method} {case.path} {response.status_code}: {one}" for one in failures.exceptions)

    with suppress(Unsatisfiable):  # where nothing can be given, nothing can be wrong
        ask()
