"""What personal data looks like: compiled patterns, check digits and check sums for English, Chinese and finance identifiers.

Sources: Luhn's check digit (ISO/IEC 7812-1), card prefixes and lengths of the card schemes, GB 11643-1999 with ISO 7064
MOD 11-2, ITU-T E.164 country codes, and the usual national ways of writing telephone numbers. What stands in tables and has
a check sum of its own is in `_identifiers`; dates, addresses in networks and links are in `_moments`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from savile.base import _identifiers, _moments

# What every text without personal data fails at once: an @ between two signs of an address, or seven digits with at most three
# other signs between any two of them. Each way begins with a sign that few texts have, and looks back from there: a search that
# may begin at any letter takes twice as long.
SUSPECT = re.compile(r"[@＠](?<=[A-Za-z0-9_%+\-À-ɏ][@＠])[A-Za-z0-9À-ɏ]|\d(?:[ \u00a0().\-/–‐]{0,3}\d){6}")
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
_NAMED_PHONE = re.compile(
    r"(?<![0-9A-Za-z#$€£¥.,:/\-])(?<!\d[ ])(\(?\d(?:[ .\-/()]{0,2}\d){5,12})"
    r"(?=[ \-]{1,2}(?i:office|fax|mobile|cell|home|work|desk|phone)\b)"
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
        digits = digits_of(match.group())
        if _SCHEME.fullmatch(digits) and luhn(digits):
            yield Span("bank_card", *match.span())
    for match in _ANNOUNCED_CARD.finditer(text):
        if luhn(digits_of(match[1])):
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
    for pattern in (_ANNOUNCED_PHONE, _NAMED_PHONE):
        for match in pattern.finditer(text):
            if not _DATE.search(match[1]):
                yield Span("phone", *match.span(1))


def _plausible_phone(number: str, shape: str) -> bool:
    """As many digits as a number of that shape has, and no date among them."""
    digits = digits_of(number)
    least, most = _DIGITS[shape]
    if shape == "international":
        if digits.startswith("00"):
            least += 3  # leading zeros alone make no telephone number
        if digits.removeprefix("00").startswith("1"):
            return len(digits.removeprefix("00")) == 11
    fraction = number.count(".") == 1 and number.replace(".", "").isdigit()
    return least <= len(digits) <= most and not fraction and not _DATE.search(number)


def _others(module: Any, kind: str) -> Callable[[str], Iterable[Span]]:
    return lambda text: (Span(kind, start, end) for start, end in module.FIND[kind](text))


# In the order of precedence: where two overlap, the earlier kind wins.
FINDERS: dict[str, Callable[[str], Iterable[Span]]] = {
    "email": _emails,
    **{kind: _others(_moments, kind) for kind in ("url", "ip")},
    "cn_id": _chinese_ids,
    **{kind: _others(_identifiers, kind) for kind in _identifiers.FIND},
    "bank_card": _cards,
    "phone": _phones,
    "date": _others(_moments, "date"),
}
# Replaced unless a policy names others: what points at one person or one account. Dates, links and the codes of companies
# and securities are found when they are asked for.
USUAL = (
    *("email", "cn_id", "iban", "us_ssn", "uk_nino", "hk_id", "tw_id", "cn_plate", "cn_passport", "us_routing"),
    *("bank_card", "phone"),
)


def suspect(kinds: Iterable[str]) -> re.Pattern[str]:
    """What a text with something of these kinds cannot do without; one search tells most texts apart that have nothing."""
    more = {**_identifiers.HINTS, **_moments.HINTS}
    return re.compile("|".join([SUSPECT.pattern, *sorted({more[kind] for kind in kinds if kind in more})]))


def normal(kind: str, value: str) -> str:
    """One spelling of a value, so that spaces, dashes, case and the way of dialling do not make it another."""
    value = unicodedata.normalize("NFKC", value).casefold()
    if kind == "email":
        return value
    if kind == "phone":
        return _normal_phone(value)
    return re.sub(r"[^0-9x]" if kind in ("bank_card", "cn_id") else r"[\W_]", "", value)


def _normal_phone(number: str) -> str:
    """The digits without extension and, where it is sure to be one, without the country code of China or North America."""
    number = re.split(r"[ ]?(?:x|ext)", number.replace("(0)", ""))[0]
    digits, abroad = digits_of(number), number.startswith(("+", "00"))
    if abroad:
        digits = digits.removeprefix("00")
    if len(digits) == 13 and digits.startswith("861"):
        return digits[2:]
    if len(digits) == 11 and digits[0] == "1" and (abroad or not number[1].isdigit()):
        return digits[1:]
    return digits


def digits_of(text: str) -> str:
    """The digits of a text, full-width ones as ASCII."""
    return "".join(str(unicodedata.decimal(char)) for char in text if char.isdecimal())
