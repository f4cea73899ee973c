"""Dates, links and addresses in networks, as they stand in texts in English and Chinese.

A year alone is a date after a word that dates, or before a noun that it dates; a weekday by itself is one, too. A link begins
with its scheme or with ``www.``, or is a name under a well-known domain that belongs to no e-mail address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator

Places = Iterator[tuple[int, int]]

_MONTHS = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_DAYS = r"(?i:(?:mon|tues|wednes|thurs|fri|satur|sun)day)"
_D, _M, _Y = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])", r"(?:19|20)\d\d"
_CLOCK = r"(?:[ T](?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:[ ]?(?:Z|UTC|[ap]m|[+\-]\d\d:?\d\d))?)"
_DATE = re.compile(
    rf"(?<![\w./\-])(?:(?:{_Y}([./\-]){_M}\1{_D}|{_D}([./\-]){_D}\2(?:{_Y}|\d\d)){_CLOCK}?"
    rf"|{_D}(?:st|nd|rd|th)?(?:[ ]of)?[ \-]{_MONTHS}(?:,?[ \-]{_Y})?{_CLOCK}?"
    rf"|{_MONTHS}[ ]{_D}(?:st|nd|rd|th)?(?:,?[ ]{_Y})?{_CLOCK}?|{_MONTHS}[ ]{_Y}"
    rf"|{_DAYS})(?![\w/\-]|\.\d)"
    rf"|{_Y}年(?:{_M}月(?:{_D}[日号])?)?|{_M}月{_D}[日号]"
)
_YEAR = re.compile(
    rf"(?:\b(?i:in|of|since|until|till|from|by|after|before|during|around|circa|year|summer|winter|spring|autumn|fall|an?|the|©|early"
    rf"|late|mid|between|through)[ \-])({_Y})(?![\w/\-%]|[.,:]\d|[ ]?(?:%|x\d))"
)
_YEAR_PAIR = re.compile(rf"(?<=\()({_Y})(?=\))")
_DOMAINS = r"(?:com|org|net|edu|gov|info|biz|io|co|me|app|dev|ai|cn|uk|de|fr|eu|us|jp|in|ca|au|ru|hk|tw)"
_URL = re.compile(
    r"(?<![A-Za-z0-9@._\-])(?:(?i:https?|ftp)://[^\s<>\"'，。；、）】》]+|(?i:www)\.[A-Za-z0-9\-]+\.[^\s<>\"'，。；、）】》]+"
    rf"|(?:[a-z0-9](?:[a-z0-9\-]{{0,61}}[a-z0-9])?\.){{1,4}}{_DOMAINS}(?:/[^\s<>\"'，。；、）】》]*)?(?![A-Za-z0-9@\-]|\.[A-Za-z0-9]))"
)
_TAIL = ".,;:!?)]}'\""
_IP4 = re.compile(r"(?<![\w.\-/])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w\-]|\.\d)")
_IP6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")


def _dates(text: str) -> Places:
    yield from (match.span() for match in _DATE.finditer(text))
    yield from (match.span(1) for match in _YEAR.finditer(text))
    yield from (match.span(1) for match in _YEAR_PAIR.finditer(text))


def _urls(text: str) -> Places:
    """Links without the punctuation that ends the sentence they stand in."""
    for match in _URL.finditer(text):
        start, end = match.span()
        while text[end - 1] in _TAIL:
            end -= 1
        yield start, end


def _ips(text: str) -> Places:
    yield from (match.span() for match in _IP4.finditer(text) if not _version(text, match.start()))
    for match in _IP6.finditer(text):
        try:
            found = ipaddress.IPv6Address(match.group())
        except ValueError:
            continue
        if int(found) > 1 and sum(map(str.isalnum, match.group())) > 3:
            yield match.span()


def _version(text: str, start: int) -> bool:
    """Whether four numbers with points between them are called a version."""
    return bool(re.search(r"(?i:version|release|v\.?)[ ]?$", text[max(0, start - 9) : start]))


FIND: dict[str, Callable[[str], Places]] = {"url": _urls, "ip": _ips, "date": _dates}
HINTS = {
    "url": r"://|(?i:www)\.|[a-z0-9]\.[a-z]{2}",
    "ip": r"\d\.\d{1,3}\.\d|[0-9A-Fa-f]:[0-9A-Fa-f:]",
    "date": rf"(?:19|20)\d\d|\d[./\-]\d|{_DAYS}|{_MONTHS}|\d[月]",
}
