"""PNG files of eight bits a value that are not interlaced, read with the standard library (PNG specification, W3C 2003)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type -> values a pixel
MOST_PIXELS = 1 << 24


def read(content: bytes) -> np.ndarray | None:
    """The pixels, uint8 (height, width, 3); None for a variant that is not read here.

    Raises:
        ValueError: the file is damaged.
    """
    chunks = list(_chunks(content))
    if not chunks or chunks[0][0] != b"IHDR":
        raise ValueError("no header")
    width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1][:13])
    if bits != 8 or interlaced or colour not in CHANNELS or not 0 < width * height <= MOST_PIXELS:
        return None
    channels, size = CHANNELS[colour], height * (width * CHANNELS[colour] + 1)
    flat = zlib.decompressobj().decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"), size)
    if len(flat) < size:
        raise ValueError("pixels are missing")
    pixels = _unfiltered(np.frombuffer(flat, np.uint8).reshape(height, -1), channels).reshape(height, width, channels)
    if colour == 3:
        palette = np.frombuffer(next(body for kind, body in chunks if kind == b"PLTE"), np.uint8).reshape(-1, 3)
        coloured: np.ndarray = palette[np.minimum(pixels[..., 0], len(palette) - 1)]
        return coloured
    return pixels[..., :3] if channels > 2 else np.repeat(pixels[..., :1], 3, axis=2)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of each chunk, held against its checksum."""
    at = 8
    while at + 12 <= len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        body = content[at + 8 : at + 8 + length]
        if zlib.crc32(kind + body) != int.from_bytes(content[at + 8 + length : at + 12 + length], "big"):
            raise ValueError(f"a damaged part {kind.decode('ascii', 'replace')}")
        yield kind, body
        at += 12 + length


def _unfiltered(lines: np.ndarray, channels: int) -> np.ndarray:
    """Lines with their filter in front -> values: each was written as what it differs by from its neighbours."""
    above = np.zeros(lines.shape[1] - 1, np.uint8)
    found = np.empty((len(lines), len(above)), np.uint8)
    for row, line in enumerate(lines):
        how, values = int(line[0]), line[1:]
        if how == 2:
            values = values + above
        elif how:
            values = _across(how, values.astype(np.int64).tolist(), above.astype(np.int64).tolist(), channels)
        found[row] = above = values
    return found


def _across(how: int, values: list[int], above: list[int], channels: int) -> np.ndarray:
    """A line that was written with the filter left (1), average (3) or Paeth (4)."""
    for at in range(len(values)):
        left = values[at - channels] if at >= channels else 0
        if how == 1:
            guess = left
        elif how == 3:
            guess = (left + above[at]) // 2
        else:
            corner = above[at - channels] if at >= channels else 0
            straight = left + above[at] - corner
            guess = min((left, above[at], corner), key=lambda one: abs(straight - one))  # of equal ones the first
        values[at] = (values[at] + guess) & 255
    return np.array(values, np.uint8)
