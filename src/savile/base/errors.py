"""The error tree. Every error a user can cause says what was wanted, what came and what to do next.

    SavileError                     exit  code
    ├── InputError                    2   input             the caller's data, names or settings are wrong
    │   ├── DataError                 2   data              a file or table cannot be used
    │   ├── RecipeError               2   recipe            a recipe key or value is wrong
    │   └── UnknownNameError          2   unknown_name      no such plug-in, record or column; carries the nearest match
    ├── RefusalError                  3   refused           Savile could go on and will not
    │   ├── GateError                 3   gate              a release gate is not passed
    │   ├── ParityError               3   parity            a compressed form does not answer like the trained one
    │   └── ViolationError            3   violation         a decision breaks capacity, residency or a gang
    └── MachineError                  4   machine           disk, port, memory, permissions
        ├── MissingExtraError         4   missing_extra     an optional package is not installed
        ├── MissingBaseError          4   missing_base      a base model is not on this machine
        └── CorruptError              4   corrupt           a stored file does not match its digest

Anything else that escapes is a bug and exits 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any, ClassVar


class SavileError(Exception):
    """Base of all errors Savile raises on purpose.

    Args:
        wanted: what the code needed, as a noun phrase.
        received: what it got instead.
        do: the next step that mends it, as an imperative.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, wanted: str, received: str, do: str) -> None:
        self.wanted, self.received, self.do = wanted, received, do
        super().__init__(f"wanted {wanted}; received {received}. {do}")

    def __reduce__(self) -> tuple[Callable[..., SavileError], tuple[type[SavileError], str, dict[str, Any]]]:
        return _again, (type(self), str(self), dict(vars(self)))  # how it comes out of another process whole

    def as_dict(self) -> dict[str, str]:
        """The fields of the JSON error object printed on stdout."""
        return {"code": self.code, "wanted": self.wanted, "received": self.received, "do": self.do}


def _again(kind: type[SavileError], message: str, said: dict[str, Any]) -> SavileError:
    """An error of another process."""
    error = kind.__new__(kind, message)
    error.args = (message,)
    vars(error).update(said)
    return error


class InputError(SavileError):
    """The caller's data, names or settings are wrong."""

    code, exit_code = "input", 2


class DataError(InputError):
    """A file or table cannot be used."""

    code = "data"


class RecipeError(InputError):
    """A recipe key or value is wrong."""

    code = "recipe"


class UnknownNameError(InputError):
    """No such plug-in, record or column; the message carries the nearest match.

    Args:
        what: the kind of thing that was named, such as ``"method"``.
        name: the name that was not found.
        known: the names that exist.
        do: overrides the suggested next step.
    """

    code = "unknown_name"

    def __init__(self, what: str, name: str, known: Iterable[str], do: str = "") -> None:
        self.name, self.known = name, sorted(known)
        self.nearest = nearest(name, self.known)
        listing = ", ".join(self.known[:20]) + (", …" if len(self.known) > 20 else "")
        guess = f"Did you mean {self.nearest!r}?" if self.nearest else "Use one of those."
        super().__init__(f"a {what} among {listing or '(none exist yet)'}", f"{name!r}", do or guess)


class RefusalError(SavileError):
    """Savile could go on and will not."""

    code, exit_code = "refused", 3


class GateError(RefusalError):
    """A release gate is not passed."""

    code = "gate"


class ParityError(RefusalError):
    """A compressed form does not answer like the trained one."""

    code = "parity"


class ViolationError(RefusalError):
    """A decision breaks capacity, residency or a gang, or is about a job that is not there."""

    code = "violation"


class MachineError(SavileError):
    """Disk, port, memory or permissions stand in the way."""

    code, exit_code = "machine", 4


class MissingExtraError(MachineError):
    """An optional package is not installed."""

    code = "missing_extra"

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"the package {package}", "no such package", f"Install it with: pip install 'savile[{extra}]'")


class MissingBaseError(MachineError):
    """A base model is not on this machine."""

    code = "missing_base"


class CorruptError(MachineError):
    """A stored file does not match its digest."""

    code = "corrupt"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name a typo most likely meant, or None when nothing is close."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None
