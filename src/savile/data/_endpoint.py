"""Any endpoint that speaks OpenAI's chat completions: a hosted one, or a server on this machine.

Texts are masked before they are sent, each different one is asked about once, and what cannot be answered is left open rather
than guessed. The key is read from an environment variable and never kept.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from savile.base.errors import InputError, MachineError

TRIES, PAUSE = 3, 0.5  # times a request is made, and seconds before the second time
TOP = 20  # most likely tokens that are asked for


@dataclass(frozen=True)
class Endpoint:
    """Where to ask.

    Attributes:
        url: up to and without ``/chat/completions``, such as ``http://127.0.0.1:8000/v1``.
        model: name of the model there.
        key: environment variable that holds the API key; empty where none is needed.
        seconds: that one answer may take.
        together: requests at the same time.
        tokens: of an answer, at most.
    """

    url: str
    model: str = "default"
    key: str = ""
    seconds: float = 60.0
    together: int = 4
    tokens: int = 64

    def check(self) -> None:
        """Raise an `InputError` where the address or the key cannot be used."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError("the address of an endpoint", repr(self.url), "Write it like http://127.0.0.1:8000/v1.")
        if self.key and not os.environ.get(self.key):
            raise InputError(f"the API key in the environment variable {self.key}", "nothing there", "Set it, and try again.")

    def ask(self, prompts: Sequence[str], likely: bool = False) -> list[Mapping[str, Any]]:
        """The first choice of the answer to each prompt, in order.

        Args:
            prompts: what to ask.
            likely: whether the most likely first tokens and their log probabilities are wanted.

        Raises:
            InputError: the address or key cannot be used, or the endpoint refuses them.
            MachineError: it does not answer.
        """
        self.check()
        with ThreadPoolExecutor(max(1, self.together)) as pool:
            return list(pool.map(lambda prompt: self._one(prompt, likely), prompts))

    def _one(self, prompt: str, likely: bool) -> Mapping[str, Any]:
        message = {"role": "user", "content": prompt}
        body = {"model": self.model, "messages": [message], "temperature": 0, "max_tokens": self.tokens}
        if likely:
            body |= {"max_tokens": 1, "logprobs": True, "top_logprobs": TOP}
        headers = {"content-type": "application/json"}
        if self.key:
            headers["authorization"] = f"Bearer {os.environ[self.key]}"
        request = urllib.request.Request(f"{self.url.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers)
        problem = ""
        for attempt in range(TRIES):
            try:
                with urllib.request.urlopen(request, timeout=self.seconds) as answer:
                    choice: Mapping[str, Any] = json.load(answer)["choices"][0]
                    return choice
            except urllib.error.HTTPError as error:
                problem = f"status {error.code}"
                if error.code in (400, 401, 403, 404, 422):
                    do = "Check url, model and key of the step."
                    raise InputError(f"an answer from {self.url}", problem, do) from None
            except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
                problem = f"{type(error).__name__}: {error}"
            time.sleep(PAUSE * 2**attempt)
        raise MachineError(f"an answer from {self.url}", problem, "Start it, or name another endpoint.") from None


def said(choice: Mapping[str, Any]) -> str:
    """The text of an answer, without what a thinking model thought."""
    content = str((choice.get("message") or {}).get("content") or "")
    return content.rpartition("</think>")[2].strip()


def question(text: str, labels: Sequence[str], about: str = "") -> str:
    """The prompt that asks for one label of a text."""
    listed = "\n".join(f"- {label}" for label in labels)
    task = about or "Which one label fits the text best?"
    return f"{task}\nLabels:\n{listed}\nText: {text}\nAnswer with the label alone."


def chosen(answer: str, labels: Sequence[str]) -> int:
    """The number of the label that an answer names; -1 where it names none, or several."""
    plain = {label.casefold(): number for number, label in enumerate(labels)}
    short = answer.strip().strip("\"'`.。*- ").casefold()
    if short in plain:
        return plain[short]
    named = {number for label, number in plain.items() if label in answer.casefold()}
    longest = {n for n in named if not any(n != m and labels[n].casefold() in labels[m].casefold() for m in named)}
    return longest.pop() if len(longest) == 1 else -1
