"""Nothing is trained: a language model is asked for one of the labels as it is, which is where tuning starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from savile.base.errors import InputError

if TYPE_CHECKING:
    import torch

    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """How it is asked.

    Attributes:
        list_labels: whether the labels are named before the text.
    """

    list_labels: bool = True


HEAD: Literal["cosine", "linear"] = "cosine"
FIT: dict[str, Any] = {}
FIT_SMALL: dict[str, Any] = {}
TRAINS = False


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze everything.

    Raises:
        InputError: the network does not answer in words.
    """
    if not getattr(network, "speaks", False):
        do = "Use a language model, such as smollm2, and one label a text."
        raise InputError("a base that answers in words", f"{network.base.name}, which does not", do)
    network.requires_grad_(False)
    if settings.list_labels:
        network.list_labels()  # type: ignore[operator]


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """Nothing learns."""
    return []


def merge(network: TextEncoder) -> None:
    """Nothing to fold in."""
