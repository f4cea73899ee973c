"""Identifiers of people, accounts, vehicles, companies and securities, told by their form and their check sum.

Sources: ISO 13616 (IBAN), ISO 17442 (LEI), ISO 6166 (ISIN), ISO 9362 (BIC), ISO 7064, the ABA routing number's weights, GB
32100-2015 (unified social credit code), GA 36 (licence plates), check digits of Hong Kong and Taiwan identity cards.
Identifiers without a check sum of their own count only in their usual spelling or after a word that announces them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

Places = Iterator[tuple[int, int]]

# country -> length of its account numbers, where the registry fixes one
_IBAN_LENGTHS = {
    code: int(length)
    for length, codes in {
        "15": "NO", "16": "BE", "18": "DK FI FO GL NL SD", "19": "MK SI FK", "20": "AT BA EE KZ LT LU XK MN",
        "21": "CH CR HR LI LV",
        "22": "BG BH DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG DJ YE",
        "25": "PT LY ST", "26": "IS TR", "27": "BI FR GR IT MC MR SM", "28": "AL AZ BY CY DO GT HU LB NI PL SV",
        "29": "BR EG PS QA UA",
        "30": "JO KW MU", "31": "MT SC", "32": "LC", "33": "RU",
    }.items()
    for code in codes.split()
}  # fmt: skip
_IBAN = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{2}\d{2}(?:[ \-]?[0-9A-Za-z]{4}){2,7}(?:[ \-]?[0-9A-Za-z]{1,4})?(?![0-9A-Za-z])")
_SSN = re.compile(r"(?<![\dA-Za-z\-])(?!000|666|9)\d{3}([\- ])(?!00)\d{2}\1(?!0000)\d{4}(?![\dA-Za-z\-])")
_ANNOUNCED_SSN = re.compile(
    r"\b(?i:ssn|social security)\b[^\d@]{0,24}?((?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4})(?![\dA-Za-z\-])"
)
_NINO = re.compile(
    r"(?<![0-9A-Za-z])(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
    r"([ ]?)\d{2}\1\d{2}\1\d{2}\1[A-D](?![0-9A-Za-z])"
)
_HK = re.compile(r"(?<![0-9A-Za-z])([A-Z]{1,2}\d{6})[ ]?[(（]([0-9A])[)）]")
_TW = re.compile(
    r"(?:\b(?i:id)\b|(?i:identity|national id)|身[分份][证證]|統一編號)[^\dA-Z]{0,12}?([A-Z][1289]\d{8})(?![0-9A-Za-z])"
)
_TW_LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
_PLATE = re.compile(
    r"(?<![0-9A-Za-z])[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z][·•・.\- ]?"
    r"(?:[DF][A-HJ-NP-Z0-9]\d{4}|\d{5}[A-HJK]|(?=[A-HJ-NP-Z0-9]*\d)[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学警港澳])(?![0-9A-Za-z])"
)
_CN_PASSPORT = re.compile(
    r"(?:护照|(?i:passport))[^\dA-Za-z]{0,12}?(?:(?i:no\.?|number)[^\dA-Za-z]{0,6})?([EeGgDdSsPpHh][A-Za-z]?\d{7,8})(?![0-9A-Za-z])"
)
_CREDIT = re.compile(r"(?<![0-9A-Za-z])[0-9A-HJ-NPQRTUWXY]{2}\d{6}[0-9A-HJ-NPQRTUWXY]{10}(?![0-9A-Za-z])")
_CREDIT_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_LEI = re.compile(
    r"(?<![0-9A-Za-z])[0-9A-Z]{4}00[0-9A-Z]{12}\d{2}(?![0-9A-Za-z])|(?<![0-9A-Za-z])[0-9]{4}[0-9A-Z]{14}\d{2}(?![0-9A-Za-z])"
)
_ISIN = re.compile(r"(?<![0-9A-Za-z])[A-Z]{2}[0-9A-Z]{9}\d(?![0-9A-Za-z])")
_BIC = re.compile(
    r"\b(?i:swift|bic)\b[^A-Za-z0-9]{0,3}(?:(?i:code|is|no)[^A-Za-z0-9]{1,3}){0,2}([A-Z]{6}[0-9A-Z]{2}(?:[0-9A-Z]{3})?)(?![0-9A-Za-z])"
)
_ROUTING = re.compile(r"\b(?i:routing|aba|rtn)\b(?:(?!\b(?i:account|card)\b)[^\d@]){0,24}?(\d{9})(?![0-9A-Za-z\-])")


def iban(text: str) -> bool:
    """Whether letters and digits are an account number: its country's length, and remainder 1 by 97."""
    text = re.sub(r"[ \-]", "", text).upper()
    known = _IBAN_LENGTHS.get(text[:2])
    return known == len(text) and _mod_97(text[4:] + text[:4]) == 1


def lei(text: str) -> bool:
    """Whether 20 signs are the identifier of a legal entity."""
    return len(text) == 20 and _mod_97(text) == 1


def isin(text: str) -> bool:
    """Whether 12 signs are the number of a security: Luhn's check digit once letters are two digits."""
    digits = "".join(str(int(sign, 36)) for sign in text)
    total = sum(int(digit) for digit in digits[-1::-2])
    return (total + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])) % 10 == 0


def routing(digits: str) -> bool:
    """Whether nine digits are an American routing number: weights 3, 7, 1."""
    starts = int(digits[:2])
    known = starts <= 12 or 21 <= starts <= 32 or 61 <= starts <= 72 or starts == 80
    return known and sum(weight * int(digit) for weight, digit in zip((3, 7, 1) * 3, digits, strict=True)) % 10 == 0


def credit_code(text: str) -> bool:
    """Whether 18 signs are a Chinese unified social credit code: weights 3^i, modulo 31 (GB 32100-2015)."""
    total = sum(_CREDIT_SIGNS.index(sign) * pow(3, place, 31) for place, sign in enumerate(text[:17]))
    return _CREDIT_SIGNS[(31 - total % 31) % 31] == text[17]


def hong_kong(letters: str, check: str) -> bool:
    """Whether letters and six digits of a Hong Kong identity card agree with its check sign."""
    spelled = letters.rjust(8)
    values = [36 if sign == " " else int(sign, 36) for sign in spelled]
    total = sum(weight * value for weight, value in zip(range(9, 1, -1), values, strict=True))
    return (total + int(check, 16)) % 11 == 0


def taiwan(text: str) -> bool:
    """Whether a letter and nine digits are a Taiwanese identity number."""
    first = _TW_LETTERS.index(text[0]) + 10
    digits = [first // 10, first % 10, *map(int, text[1:])]
    return sum(weight * digit for weight, digit in zip((1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1), digits, strict=True)) % 10 == 0


def _mod_97(text: str) -> int:
    return int("".join(str(int(sign, 36)) for sign in text)) % 97


def _checked(pattern: re.Pattern[str], holds: Callable[[str], bool], group: int = 0) -> Callable[[str], Places]:
    return lambda text: (match.span(group) for match in pattern.finditer(text) if holds(match[group]))


def _ibans(text: str) -> Places:
    """Account numbers; a word behind one, written like a group of it, is none of it."""
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match.group()[:2].upper(), 0)
        end, signs = match.start(), 0
        while signs < length and end < match.end():
            signs += text[end] not in " -"
            end += 1
        if signs == length and iban(text[match.start() : end]) and not text[end : end + 1].isalnum():
            yield match.start(), end


def _ssns(text: str) -> Places:
    yield from (match.span() for match in _SSN.finditer(text))
    yield from (match.span(1) for match in _ANNOUNCED_SSN.finditer(text))


def _any(_: str) -> bool:
    return True


FIND: dict[str, Callable[[str], Places]] = {
    "iban": _ibans,
    "cn_credit_code": _checked(_CREDIT, credit_code),
    "lei": _checked(_LEI, lei),
    "us_ssn": _ssns,
    "uk_nino": _checked(_NINO, _any),
    "hk_id": lambda text: (match.span() for match in _HK.finditer(text) if hong_kong(match[1], match[2])),
    "tw_id": _checked(_TW, taiwan, 1),
    "cn_plate": _checked(_PLATE, _any),
    "cn_passport": _checked(_CN_PASSPORT, _any, 1),
    "isin": _checked(_ISIN, isin),
    "bic": _checked(_BIC, _any, 1),
    "us_routing": _checked(_ROUTING, routing, 1),
}
# beside seven digits that stand close together
HINTS = {
    "uk_nino": r"\d(?:(?<=[A-Z]{2}\d)|(?<=[A-Z]{2}[ ]\d))\d[ ]?\d{2}[ ]?\d{2}[ ]?[A-D]",
    "cn_plate": r"[\u4e00-\u9fff][A-HJ-NP-Z][·•・.\- ]?[A-HJ-NP-Z0-9]{5}",
    "iban": r"\d(?<=[A-Za-z]{2}\d)\d[ \-]?[A-Za-z]{4}",
    "isin": r"[A-Z]{2}[0-9A-Z]{9}\d",
    "lei": r"[0-9A-Z]{18}\d\d",
    "cn_credit_code": r"[0-9A-Y]{18}",
    "bic": r"(?i:swift|bic)",
}
