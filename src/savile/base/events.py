"""Events: how rooms speak. A room calls `emit` once; the listener decides whether it becomes a progress line or a JSON line.

Rooms never print. With no listener an event costs one loop over an empty tuple.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Event:
    """Something that happened: `kind` is a short noun phrase, `facts` are JSON-able values."""

    kind: str
    facts: dict[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], None]
_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("savile_listeners", default=())


def emit(kind: str, **facts: Any) -> None:
    """Tell every listener that something happened.

    Long work emits ``emit("progress", stage="train", done=120, total=600, loss=0.31)``; people-facing remarks are
    ``emit("note", text="…")``, and what a user should worry about is ``emit("warning", text="…")``.
    """
    listeners = _listeners.get()
    if listeners:
        event = Event(kind, facts)
        for listener in listeners:
            listener(event)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send events to `listener` while the block runs, beside the listeners already there."""
    token = _listeners.set((*_listeners.get(), listener))
    try:
        yield
    finally:
        _listeners.reset(token)
