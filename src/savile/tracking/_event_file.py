"""TensorBoard's event files, written by hand: records with checksums around small protocol-buffer messages.

A record is its length (8 bytes, little endian), a masked CRC-32C of those bytes, the message, and a masked CRC-32C of it (the
TFRecord format). A message is ``Event{wall_time = 1, step = 2, file_version = 3, summary = 5}``, a summary is a list of
``Value{tag = 1, simple_value = 2, tensor = 8, metadata = 9}``. Sources: tensorflow/core/util/event.proto and
tensorflow/core/framework/summary.proto, the CRC of RFC 3720, appendix B.4.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

VERSION = "brain.Event:2"
CASTAGNOLI = 0x82F63B78  # the polynomial, bits reversed
MASK_DELTA = 0xA282EAD8
VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5  # wire types
STRING = 7  # DT_STRING of tensors


@dataclass(frozen=True)
class Event:
    """A number or a text under a tag, at a step."""

    step: int
    tag: str
    value: float | str


def records(events: Iterable[Event]) -> bytes:
    """A whole event file."""
    now = time.time()
    head = _double(1, now) + _bytes(3, VERSION.encode())
    return b"".join(
        map(_record, (head, *(_double(1, now) + _number(2, one.step) + _bytes(5, _summary(one)) for one in events)))
    )


def crc32c(data: bytes) -> int:
    """CRC-32C of some bytes."""
    table, crc = _table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _record(message: bytes) -> bytes:
    length = struct.pack("<Q", len(message))
    return length + _masked(length) + message + _masked(message)


def _masked(data: bytes) -> bytes:
    """The checksum, turned and moved, so that a checksum of data that hold checksums is no trap."""
    crc = crc32c(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + MASK_DELTA) & 0xFFFFFFFF)


def _summary(event: Event) -> bytes:
    tag = _bytes(1, event.tag.encode())
    if not isinstance(event.value, str):
        return _bytes(1, tag + _key(2, FLOAT) + struct.pack("<f", event.value))
    tensor = _number(1, STRING) + _bytes(2, _bytes(2, _number(1, 1))) + _bytes(8, event.value.encode())  # one text
    plugin = _bytes(1, _bytes(1, b"text"))
    return _bytes(1, tag + _bytes(8, tensor) + _bytes(9, plugin))


def _key(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _number(field: int, value: int) -> bytes:
    return _key(field, VARINT) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _key(field, DOUBLE) + struct.pack("<d", value)


def _bytes(field: int, value: bytes) -> bytes:
    return _key(field, BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Seven bits a byte, lowest first; the top bit says that more follow."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


@cache
def _table() -> tuple[int, ...]:
    found = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (CASTAGNOLI if value & 1 else 0)
        found.append(value)
    return tuple(found)
