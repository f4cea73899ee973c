"""What answers now, whole: a release with its engine, its queue and its figures, so that another can take its place at once.

Whoever has begun to ask one goes on asking that one, so no answer mixes two; the one before is kept until the next has come.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from savile.base import machine
from savile.base.records import Outputs, Release
from savile.models import Predictor
from savile.serving._batching import Batcher, Busy


class Standing:
    """One release that answers.

    Args:
        predictor: answers.
        release: what it answers for.
        proof: the replay of the golden inputs at the start.
        observe: told the texts of each batch and the seconds its oldest request waited.

    Attributes:
        answered: texts answered so far.
        abstained: those of them left to a person.
    """

    def __init__(
        self, predictor: Predictor, release: Release, proof: Mapping[str, Any], observe: Callable[[int, float], None]
    ) -> None:
        self.predictor, self.release, self.proof = predictor, release, proof
        self.digest = release.digest
        self.batcher = Batcher(predictor, machine.available_threads(), observe)
        self.endings = [f',"abstain":{flag},"release":"{self.digest}"}}' for flag in ("false", "true")]
        self.labels = [json.dumps(label, ensure_ascii=False) for label in predictor.labels]
        self.answered = self.abstained = 0

    def count(self, abstain: np.ndarray) -> None:
        """Count answers, bool (n,), True where they were left to a person."""
        self.answered += len(abstain)
        self.abstained += int(abstain.sum())

    def takes_the_place_of(self, other: Standing) -> str:
        """Why it cannot answer the questions that another answers; empty when it can."""
        ours, theirs = self.predictor.model, other.predictor.model
        for what in ("task", "labels", "columns"):
            if getattr(ours, what) != getattr(theirs, what):
                return f"it has other {what} than what served"
        return "" if self.proof["passed"] else str(self.proof["reason"])


class Place:
    """Where one release stands, and behind it the one before while the new one is on trial.

    Attributes:
        now: what answers.
        before: what answered before, while `now` is on trial.
        fell: the release that was taken back since somebody last looked, and why.
    """

    def __init__(self, first: Standing) -> None:
        self.now = first
        self.before: Standing | None = None
        self.fell: tuple[str, str] | None = None

    def take(self, new: Standing) -> None:
        """Let another answer from the next request on."""
        self.before, self.now = self.now, new

    def back(self, why: str) -> None:
        """Let the one before answer again."""
        assert self.before is not None
        self.fell = self.now.release.ref, why
        self.now, self.before = self.before, None

    async def ask(self, texts: Sequence[Any]) -> tuple[Standing, Outputs]:
        """What answered some texts, and its answers; when one on trial fails, the one before answers, from now on.

        Raises:
            Busy: too much is waiting already.
        """
        now = self.now
        try:
            outputs, start = await now.batcher.ask(texts)
        except Busy:
            raise
        except Exception as error:
            if self.before is None:
                raise
            if now is self.now:
                self.back(f"it failed: {type(error).__name__}: {error}")
            now = self.now
            outputs, start = await now.batcher.ask(texts)
        found = outputs.rows(slice(start, start + len(texts)))
        now.count(found.abstain)
        return now, found
