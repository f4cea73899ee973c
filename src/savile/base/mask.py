"""Finds personal data by compiled patterns and checksums; puts pseudonyms in its place, the same wherever the value occurs.

A pseudonym such as ``[EMAIL-3f2a9c]`` is the start of an HMAC-SHA256 of the normalised value under a random 256-bit key that
never leaves ``$SAVILE_HOME/keys``; a policy carries only the key's id. So live text is masked exactly as the training text
was, and nobody without the key can test a guess. 24 bits are shown: of n values, about n * n / 33 million pairs share one.

Sources: Luhn's check digit (ISO/IEC 7812-1), card prefixes and lengths of the card schemes, GB 11643-1999 with ISO 7064
MOD 11-2, ITU-T E.164 country codes, and the usual national ways of writing telephone numbers.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from savile.base._durable import machine_errors
from savile.base.errors import InputError, MachineError

Policy = dict[str, Any]
KEY_FILE = "pseudonym.key"
KEY_BYTES = 32

# What every text without personal data fails at once: an @ between two signs of an address, or seven digits with at most three
# other signs between any two of them.
_SUSPECT = re.compile(r"[A-Za-z0-9_%+\-À-ɏ][@＠][A-Za-z0-9À-ɏ]|\d(?:[ \u00a0().\-/–‐]{0,3}\d){6}")
_NO_FRACTION = r"(?<!^[.,])(?<![\s\d+\-=(][.,])"  # digits after a decimal point are no identifier

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-À-ɏ])[A-Za-z0-9À-ɏ](?:[A-Za-z0-9._%+\-À-ɏ]{0,62}[A-Za-z0-9_%+\-À-ɏ])?[@＠]"
    r"(?:[A-Za-z0-9À-ɏ](?:[A-Za-z0-9\-À-ɏ]{0,61}[A-Za-z0-9À-ɏ])?[.．]){1,8}(?:[A-Za-z]{2,24}|xn--[A-Za-z0-9]{2,20})(?![A-Za-z0-9À-ɏ])"
)
_CARD = re.compile(
    rf"(?<![0-9A-Za-z]){_NO_FRACTION}(?<!\d-)(?:\d{{13,19}}|\d{{4}}([ \-])\d{{4}}\1\d{{4}}\1\d{{1,4}}(?:\1\d{{1,3}})?"
    r"|\d{4}([ \-])\d{6}\2\d{4,5}|\d{6}([ \-])\d{7,13})(?![0-9A-Za-z])(?![.\-]\d)"
)
_ANNOUNCED_CARD = re.compile(
    r"(?:\b(?i:cards?|cc|visa|mastercard|amex|debit|credit)\b(?:(?! (?i:order|ref|ticket|tracking))[^\d@]){0,24}?"
    r"|(?:银行卡|信用卡|储蓄卡|卡号)[号码是为：:，, ]{0,5})"
    r"(?<![0-9A-Za-z.,])(\d{12,19})(?![0-9A-Za-z])(?![.\-]\d)"
)
# Scheme prefixes with their lengths: Visa, Mastercard, American Express, Diners, Discover, JCB, UnionPay, Maestro, Mir.
_SCHEME = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11,16}|"
    r"(?:6011|64[4-9]\d|65\d\d)\d{12,15}|(?:2131|1800)\d{11}|35(?:2[89]|[3-8]\d)\d{12,15}|62\d{14,17}|(?:50|5[6-9]|6[0-9])\d{11,17}|220[0-4]\d{12}"
)
_CN_ID = re.compile(r"(?<![0-9A-Za-z])[1-9]\d{5}[ ]?(?:18|19|20)\d{6}[ ]?\d{3}[\dXxＸｘ](?![0-9A-Za-z])")
_CN_PROVINCES = re.compile(r"1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]|91")
_CN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)

_COUNTRY = (
    r"(?:1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"
    r"|2[1-689]\d|3[578]\d|42\d|5[09]\d|6[789]\d|80\d|8[578]\d|9[679]\d)"
)
_GAP = r"[ \u00a0.\-/–‐]"
_PHONE = re.compile(
    rf"""(?<![0-9A-Za-z#$€£¥_]){_NO_FRACTION}(?<!\d[\-/:])(?:
      (?P<international>(?:\+|00){_GAP}?{_COUNTRY}(?:{_GAP}{{0,2}}(?:\(\d{{1,5}}\)|\d+)){{1,6}})
    | (?P<american>(?:1{_GAP})?(?:\([2-9]\d\d\){_GAP}?|[2-9]\d\d(?P<us>[.\- ]))[2-9]\d\d(?(us)(?P=us)|[.\- ])\d{{4}})
    | (?P<mobile>(?:86{_GAP}?)?1(?:3\d|4[5-9]|5[0-35-9]|6[2567]|7[0-8]|8\d|9[0-35-9])(?P<cn>[ \-]?)\d{{4}}(?P=cn)\d{{4}})
    | (?P<trunk>(?<!\d[ ])(?:\(0[1-9]\d{{0,4}}\){_GAP}?|0[1-9]\d{{0,4}}{_GAP})\d{{2,9}}(?:{_GAP}\d{{2,6}}){{0,4}})
    | (?P<british>07\d{{9}})
    | (?P<chinese>0(?:10|2\d|[3-9]\d\d)[2-9]\d{{6,7}}(?<=\d{{11}}))
    )(?:[ ]?(?:x|ext\.?|extension)[ ]?\d{{1,5}})?(?![0-9A-Za-z_])(?!{_GAP}\d)(?![,:]\d)""",
    re.VERBOSE,
)
_DIGITS = {
    "international": (8, 17),
    "american": (10, 11),
    "mobile": (11, 13),
    "trunk": (10, 12),
    "british": (11, 11),
    "chinese": (11, 12),
}
# A number without any mark of a telephone number counts as one after a word that announces it, and nothing else in between.
_ANNOUNCED_PHONE = re.compile(
    r"(?:(?:\b(?i:phones?|tel(?:ephone)?|call(?:ed|ing)?|mobile|cell|fax|whatsapp|dial|reach|telefon|handy|rufnummer|ring|text"
    r"|(?:desk|home|office|work)(?=\s*:))\b"
    r"(?:(?!\b(?i:case|order|ticket|ref|invoice|account|acct|flight|confirm|booking|tracking|policy|code))[^\d@]){0,24}?)"
    r"|(?:电话|手机|热线|致电|拨打|联系方式|微信)[号码是为：:，, ]{0,5})"
    r"(?<![0-9A-Za-z#$€£¥])(\(?\d(?:[ .\-/()]{0,2}\d){6,12})(?![0-9A-Za-z%])(?![.,:/\- ]\d)"
)
_DAY, _MONTH, _YEAR = "(?:0?[1-9]|[12]\\d|3[01])", "(?:0?[1-9]|1[0-2])", "(?:19|20)\\d\\d"
_DATE = re.compile(
    rf"(?<!\d)(?:{_YEAR}[./\- ]{_MONTH}[./\- ]{_DAY}|{_DAY}[./\-]{_DAY}[./\-]{_YEAR}|^{_DAY}[./\-]{_DAY}[./\-]\d\d$)(?!\d)"
)


@dataclass(frozen=True)
class Span:
    """One piece of personal data: its kind and where it stands, as text offsets."""

    kind: str
    start: int
    end: int


def luhn(digits: str) -> bool:
    """Whether the last digit is Luhn's check digit of the others."""
    total = sum(int(digit) for digit in digits[-1::-2])
    return (total + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])) % 10 == 0


def chinese_id(number: str) -> bool:
    """Whether 18 characters are a Chinese identity number: province, a day that existed, check character."""
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    rest = sum(weight * int(digit) for weight, digit in zip(_CN_WEIGHTS, number, strict=False)) % 11
    return bool(_CN_PROVINCES.match(number)) and born <= date.today() and number[17].upper() == "10X98765432"[rest]


def _emails(text: str) -> Iterable[Span]:
    return (Span("email", *match.span()) for match in _EMAIL.finditer(text))


def _cards(text: str) -> Iterable[Span]:
    for match in _CARD.finditer(text):
        digits = _digits(match.group())
        if _SCHEME.fullmatch(digits) and luhn(digits):
            yield Span("bank_card", *match.span())
    for match in _ANNOUNCED_CARD.finditer(text):
        if luhn(_digits(match[1])):
            yield Span("bank_card", *match.span(1))


def _chinese_ids(text: str) -> Iterable[Span]:
    for match in _CN_ID.finditer(text):
        if chinese_id(unicodedata.normalize("NFKC", match.group()).replace(" ", "")):
            yield Span("cn_id", *match.span())


def _phones(text: str) -> Iterable[Span]:
    for match in _PHONE.finditer(text):
        shape = next(name for name in _DIGITS if match[name])
        if _plausible_phone(match[shape], shape):
            yield Span("phone", *match.span())
    for match in _ANNOUNCED_PHONE.finditer(text):
        if not _DATE.search(match[1]):
            yield Span("phone", *match.span(1))


def _plausible_phone(number: str, shape: str) -> bool:
    """As many digits as a number of that shape has, and no date among them."""
    digits = _digits(number)
    least, most = _DIGITS[shape]
    if shape == "international":
        if digits.startswith("00"):
            least += 3  # leading zeros alone make no telephone number
        if digits.removeprefix("00").startswith("1"):
            return len(digits.removeprefix("00")) == 11
    fraction = number.count(".") == 1 and number.replace(".", "").isdigit()
    return least <= len(digits) <= most and not fraction and not _DATE.search(number)


# In the order of precedence: where two overlap, the earlier kind wins.
_FINDERS: dict[str, Callable[[str], Iterable[Span]]] = {
    "email": _emails,
    "cn_id": _chinese_ids,
    "bank_card": _cards,
    "phone": _phones,
}
KINDS = tuple(_FINDERS)


def policy(keys: Path | None, pii: str = "mask", kinds: Iterable[str] = KINDS) -> Policy:
    """What is done about personal data, JSON-able; makes the key at the first use.

    Args:
        keys: folder of the pseudonym key, the store's `keys`; None for the key of a single process, never written.
        pii: ``mask`` or ``keep``.
        kinds: what to look for.

    Raises:
        InputError: when `pii` or a kind is unknown.
    """
    kinds = list(kinds)
    if pii not in ("mask", "keep"):
        raise InputError("pii: mask or keep", repr(pii), "Use mask, which replaces personal data before anything is stored.")
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise InputError(f"kinds of personal data among {', '.join(KINDS)}", repr(unknown[0]), "Use one of those kinds.")
    if pii == "keep":
        return {"pii": "keep", "kinds": kinds}
    return {"pii": "mask", "kinds": kinds, "key": key_id(_PROCESS_KEY if keys is None else _current_key(keys))}


def key_id(key: bytes) -> str:
    """The name of a key, which tells nothing about it."""
    return hashlib.sha256(b"savile pseudonym key" + key).hexdigest()[:12]


class Masker:
    """Replaces personal data in texts as a policy says; masking twice changes nothing.

    Args:
        policy: what `policy` gave; an empty one masks nothing.
        keys: folder of the pseudonym key; None for the one of `$SAVILE_HOME`.

    Raises:
        MachineError: when the policy's key is not in the folder.
    """

    def __init__(self, policy: Mapping[str, Any], keys: Path | None = None) -> None:
        self.policy = dict(policy)
        self._finders = [_FINDERS[kind] for kind in KINDS if kind in self.policy.get("kinds", KINDS)]
        self._key = _key(self.policy["key"], keys) if self.policy.get("pii") == "mask" else b""

    def __call__(self, text: str) -> str:
        """The text with every piece of personal data replaced."""
        # Again until nothing is found: what is left of two entangled numbers may look like a third.
        while self._key and (spans := self.find(text)):
            pieces, end = [], 0
            for span in spans:
                pieces += [text[end : span.start], self._pseudonym(span.kind, text[span.start : span.end])]
                end = span.end
            text = "".join(pieces) + text[end:]
        return text

    def many(self, texts: Iterable[str]) -> list[str]:
        """Each text masked."""
        suspect = _SUSPECT.search
        return [self(text) if suspect(text) else text for text in texts]

    def find(self, text: str) -> list[Span]:
        """The personal data in a text, in order and without overlap."""
        if not _SUSPECT.search(text):
            return []
        found, taken = [], bytearray(len(text))
        for finder in self._finders:
            for span in finder(text):
                if not any(taken[span.start : span.end]):
                    taken[span.start : span.end] = b"\1" * (span.end - span.start)
                    found.append(span)
        return sorted(found, key=lambda span: span.start)

    def _pseudonym(self, kind: str, value: str) -> str:
        code = hmac.new(self._key, f"{kind}:{_normal(kind, value)}".encode(), hashlib.sha256).hexdigest()
        return f"[{kind.upper()}-{code[:6]}]"


def _normal(kind: str, value: str) -> str:
    """One spelling of a value, so that spaces, dashes, case and the way of dialling do not make it another."""
    value = unicodedata.normalize("NFKC", value).casefold()
    if kind == "email":
        return value
    if kind == "phone":
        return _normal_phone(value)
    return re.sub(r"[^0-9x]", "", value)


def _normal_phone(number: str) -> str:
    """The digits without extension and, where it is sure to be one, without the country code of China or North America."""
    number = re.split(r"[ ]?(?:x|ext)", number.replace("(0)", ""))[0]
    digits, abroad = _digits(number), number.startswith(("+", "00"))
    if abroad:
        digits = digits.removeprefix("00")
    if len(digits) == 13 and digits.startswith("861"):
        return digits[2:]
    if len(digits) == 11 and digits[0] == "1" and (abroad or not number[1].isdigit()):
        return digits[1:]
    return digits


def _digits(text: str) -> str:
    """The digits of a text, full-width ones as ASCII."""
    return "".join(str(unicodedata.decimal(char)) for char in text if char.isdecimal())


_PROCESS_KEY = os.urandom(KEY_BYTES)


def _current_key(keys: Path) -> bytes:
    """The key new policies use, made at the first call: 256 random bits, readable by the owner only."""
    with machine_errors(keys.parent):
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = keys / KEY_FILE
        if not path.exists():
            # Written aside (mode 0600) and linked into place: of two processes one wins, and both read a whole key.
            descriptor, part = tempfile.mkstemp(dir=keys)
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.urandom(KEY_BYTES))
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(part, path)
            Path(part).unlink()
        return path.read_bytes()


def _key(name: str, keys: Path | None) -> bytes:
    """The key of that id."""
    if name == key_id(_PROCESS_KEY):
        return _PROCESS_KEY
    keys = keys or Path(os.environ.get("SAVILE_HOME") or ".savile") / "keys"
    for path in sorted(keys.glob("*.key")):
        key = path.read_bytes()
        if key_id(key) == name:
            return key
    raise MachineError(
        f"the pseudonym key {name}",
        f"no such key in {keys}",
        "Copy the file ending in .key from the keys folder of the machine where the data was governed.",
    )
