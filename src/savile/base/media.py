"""Pictures and recordings in the cells of a table: the bytes of a file as a data URL (RFC 2397), ``data:image/png;base64,…``.

So a row holds all that an answer depends on, in a file as over HTTP: nothing that is served ever opens a path it was given.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from savile.base.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = ("image", "audio")
MOST_BYTES = 2 * 2**20  # of a file
# what a file begins with -> its kind and the name of its format
FORMATS = {
    b"\x89PNG\r\n\x1a\n": ("image", "png"),
    b"\xff\xd8\xff": ("image", "jpeg"),
    b"GIF8": ("image", "gif"),
    b"BM": ("image", "bmp"),
    b"RIFF": ("audio", "wav"),
}


def packed(content: bytes, kind: str) -> str:
    """The bytes of a file as the value of a cell.

    Raises:
        InputError: it is too large, or no file of that kind.
    """
    if len(content) > MOST_BYTES:
        received, do = f"{len(content) / 2**20:.1f} MB", "Make it smaller: models look at a few thousand points of it."
        raise InputError(f"an {kind} file of at most {MOST_BYTES >> 20} MB", received, do)
    form = next((name for start, (of, name) in FORMATS.items() if content.startswith(start) and of == kind), None)
    if form is None:
        wanted = " or ".join(name for of, name in FORMATS.values() if of == kind)
        raise InputError(f"an {kind} file ({wanted})", f"{len(content):,} bytes of something else", "Convert it.")
    return f"data:{kind}/{form};base64,{base64.b64encode(content).decode()}"


def unpacked(value: str, kind: str) -> bytes:
    """The bytes in a cell.

    Raises:
        InputError: there are none, or they are of another kind.
    """
    head, comma, body = value.partition(",")
    wanted = f"an {kind} as data:{kind}/…;base64,…"
    if not comma or not head.startswith(f"data:{kind}/") or not head.endswith(";base64"):
        raise InputError(wanted, repr(value[:40]), "Send the bytes of the file in base64; a path is never opened.")
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise InputError(wanted, f"base64 that cannot be read: {error}", "Encode the bytes of the file again.") from None


def kind_of(column: pa.ChunkedArray | pa.Array) -> str | None:
    """``image`` or ``audio`` when the values of a column are such, else None."""
    import pyarrow as pa

    if not pa.types.is_string(column.type):
        return None
    first = next((one.as_py() for one in column if one.is_valid), "")
    return next((kind for kind in KINDS if first.startswith(f"data:{kind}/")), None)
