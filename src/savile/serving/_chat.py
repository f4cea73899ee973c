"""Conversations over HTTP, asked for and answered as by OpenAI's route of the same name, so that clients made for it work here.

What is written is what was tested: the likeliest token behind the other, up to as many as the model learned to write.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response

from savile.base import answers
from savile.base.outputs import Replies
from savile.models import _answers
from savile.serving import _schema
from savile.serving._asked import Problem, checked
from savile.serving._schema import MAX_TURNS

if TYPE_CHECKING:
    from savile.serving._http import Service

KEYS = ("messages", "model", "max_tokens", "max_completion_tokens", "temperature", "n", "stream", "user", "seed")
ONLY: Mapping[str, tuple[Any, ...]] = {"temperature": (None, 0), "n": (None, 1), "stream": (None, False)}
WHY = {
    "temperature": "temperature is 0 or left out: the likeliest tokens are written, as was tested.",
    "n": "n is 1 or left out: one answer is the likeliest.",
    "stream": "stream is false or left out: an answer comes whole.",
}
SHAPE = '{"messages": [{"role": "user", "content": "…"}], "max_tokens": 64}'


@dataclass(frozen=True)
class Asked:
    """What a client wants: an answer to a prompt, of at most so many tokens; None: as many as the model writes."""

    prompt: str
    most: int | None


def mount(api: FastAPI, service: Service, body: Callable[[Request], Awaitable[bytes]]) -> None:
    """Add the route."""
    given: Any = {"openapi_extra": {"requestBody": _schema.CHAT}, "responses": _schema.CHATTED}

    @api.post("/v1/chat/completions", **given)
    async def completions(request: Request) -> Response:
        """The answer to a conversation."""
        wanted = asked(await body(request), service.now.predictor.answerer.instruction)
        service.refuse_unready()
        now, outputs = await service.place.ask([wanted.prompt])
        service.metrics.answered(outputs.abstain)
        said = completion(now.predictor, outputs.logits, wanted)
        about = {"id": f"chatcmpl-{now.digest[:12]}-{time.time_ns():x}", "object": "chat.completion"}
        whole = {**about, "created": int(time.time()), "model": now.digest, **said}
        return Response(json.dumps(whole, ensure_ascii=False), media_type="application/json")


def completion(predictor: Any, replies: Replies, wanted: Asked) -> dict[str, Any]:
    """The choices and the usage; the first tokens of the likeliest answer are the likeliest answer of so many tokens."""
    network, written = predictor.answerer, replies.tokens.tolist()
    cut = written[: wanted.most]
    ended = bool(cut) and cut[-1] == network.prompt.end
    message = {"role": "assistant", "content": _answers.spelt(network, cut)}
    read = len(network.prompt.before) + len(_answers.asked(network, predictor.masked([wanted.prompt]))[0])
    usage = {"prompt_tokens": read, "completion_tokens": len(cut), "total_tokens": read + len(cut)}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop" if ended else "length"}
    return {"choices": [choice], "usage": usage}


def asked(body: bytes, instruction: str) -> Asked:
    """What a request wants.

    Args:
        body: JSON.
        instruction: what the model was adapted to be told, and the one system message it may be given.

    Raises:
        Problem: it is no JSON, of another shape, asks for what is not done here, or a text is too long or no Unicode.
    """
    try:
        question = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem(400, "json", f"The body must be JSON: {SHAPE}.") from None
    if not isinstance(question, dict) or "messages" not in question:
        raise Problem(422, "shape", f"Send {SHAPE}.")
    unknown = sorted(question.keys() - set(KEYS))
    if unknown:
        raise Problem(422, "unsupported", f"Leave {', '.join(unknown)} out; keys are {', '.join(KEYS)}.")
    for name, allowed in ONLY.items():
        value = question.get(name)
        if not any(value is one or (type(value) in (int, float) and type(one) is int and value == one) for one in allowed):
            raise Problem(422, name, WHY[name])
    sizes = [question[name] for name in ("max_tokens", "max_completion_tokens") if question.get(name) is not None]
    if any(type(size) is not int or size < 1 for size in sizes):
        raise Problem(422, "max_tokens", "max_tokens is a whole number from 1 on.")
    return Asked(_prompt(question["messages"], instruction), min(sizes, default=None))


def _prompt(messages: Any, instruction: str) -> str:
    """The messages as one prompt, as rows of conversations are read, see `savile.base.answers.conversation`."""
    if not isinstance(messages, list) or not 0 < len(messages) <= MAX_TURNS:
        raise Problem(422, "messages", f"messages is a list of 1 to {MAX_TURNS} messages.")
    if not all(isinstance(one, dict) and {"role", "content"} <= one.keys() <= {"role", "content", "name"} for one in messages):
        raise Problem(422, "messages", 'A message is {"role": "user", "content": "…"}.')
    said = [(one["role"], _text(one["content"])) for one in messages]
    checked([text for _, text in said])
    if said[0][0] == "system":
        if said[0][1].strip() != instruction:
            raise Problem(422, "system", f"This model was adapted to be told {instruction!r}. Leave the system message out.")
        said = said[1:]
    alternate = [("user", "assistant")[place % 2] for place in range(len(said))]
    if len(said) % 2 == 0 or [role for role, _ in said] != alternate:
        raise Problem(422, "roles", "Messages are of user and assistant by turns, from user to user.")
    return answers.conversation(said)


def _text(content: Any) -> str:
    """A content that is a text, or parts that are."""
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        content = "\n".join(str(part.get("text", "")) for part in content)
    if not isinstance(content, str):
        raise Problem(422, "content", "The content of a message is a text.")
    return content
