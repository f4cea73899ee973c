"""What is done to a base before a candidate is tried on it: reading a company's documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from savile.base.errors import InputError

DOCUMENTS, READING = "documents", "reading"


def asked(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of `savile.adaptation.adapt` as those for here, and the rest."""
    own = {name: settings[name] for name in (DOCUMENTS, READING) if name in settings}
    return own, {name: value for name, value in settings.items() if name not in own}


def base(named: str, own: Mapping[str, Any]) -> str:
    """The base to adapt: the one that is named, or what it becomes by reading.

    Raises:
        InputError: a way of reading and nothing to read, or nothing that reads.
    """
    if DOCUMENTS not in own:
        if own:
            raise InputError(f"adapt.settings.{DOCUMENTS}, to be read", READING, "Name a file or a folder.")
        return named
    from savile.adaptation._pretrain import pretrained, settings_of
    from savile.base import catalogue

    if named.startswith("model@") or named in catalogue.names("families"):
        received = f"{named}, which has none"
        raise InputError("a base that reads documents", received, "Name a base, such as minilm, or leave documents out.")
    return pretrained(named, own[DOCUMENTS], settings_of(own.get(READING, {})))
