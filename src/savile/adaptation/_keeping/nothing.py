"""Nothing is kept: the new rows alone are learnt, and what they do not show is forgotten; what other ways are measured by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from savile.adaptation._keeping._past import Past, Taught


@dataclass(frozen=True)
class Settings:
    """Nothing to set."""


def begin(network: Any, past: Past, new: Taught, settings: Settings) -> Taught:
    """The new rows."""
    return new
