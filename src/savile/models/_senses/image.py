"""Pictures through a small convolutional network of 32 by 32 points; PNG is read here, other formats by Pillow."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from savile.base.errors import InputError, MissingExtraError
from savile.models._senses import _png

if TYPE_CHECKING:
    from torch import nn

KIND = "image"
SIDE = 32
SHAPE = (3, SIDE, SIDE)


def read(content: bytes) -> np.ndarray:
    """The bytes of a file -> colours about 0, float32 (3, 32, 32).

    Raises:
        InputError: it is no picture that can be read.
        MissingExtraError: it is one that Pillow reads, which is not installed.
    """
    import torch

    try:
        pixels = _png.read(content) if content.startswith(b"\x89PNG") else None
        pixels = _by_pillow(content) if pixels is None else pixels
    except (ValueError, OSError, StopIteration) as error:
        raise InputError("a picture", f"a damaged one: {error}", "Save it again.") from None
    colours = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None] / 255
    small = torch.nn.functional.interpolate(colours, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
    found: np.ndarray = ((small[0] - 0.5) / 0.25).numpy()
    return found


def network(width: int) -> nn.Module:
    """Pictures (n, 3, 32, 32) -> tokens (n, 64, width), one for each square of four by four points."""
    from torch import nn

    from savile.models._senses._turned import Turned

    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.GroupNorm(4, 32), nn.GELU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.GroupNorm(4, 64), nn.GELU(),
        nn.Conv2d(64, width, 3, stride=2, padding=1), nn.Flatten(2), Turned(),
    )  # fmt: skip


def _by_pillow(content: bytes) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("pillow", "media") from None
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB"))
