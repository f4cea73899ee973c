"""Finds out how a text file is encoded, by evidence, and says which; what fits two encodings is refused, never guessed.

A byte order mark decides at once. Bytes that are valid UTF-8 from beginning to end are UTF-8: other text hardly ever is. Else
every candidate decodes the lines with other than ASCII letters, and the shares of characters that its languages use often are
compared: read in a wrong encoding, text turns into rare characters and symbols.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from savile.base.errors import DataError

CHUNK = 1 << 20
EVIDENCE = 1 << 18  # bytes of lines with other than ASCII letters that are looked at
PLAUSIBLE, MARGIN = 0.6, 0.15
DELIMITERS = ",;\t|{"  # what a table in text cannot do without
MOSTLY_ASCII = 0.8  # share of ASCII letters and signs among the bytes that is too high for characters of two bytes
MOSTLY_UTF8 = 0.9  # share of such lines from which a file is UTF-8 with broken bytes
BOMS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SIGNATURES = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
    b"SQLite": "an SQLite database",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip file under another name",
    b"BZh": "a bzip2 file under another name",
    b"\xfd7zXZ": "an xz file under another name",
}
# The most frequent characters of each language, as frequency lists of written text have them.
CHINESE = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定"
    "天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见"
    "被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何"
    "电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路"
    "记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运款单货件包服客退快递送店买卖价质差评餐味付卡号查询账户订商钱费谢请收银额"
)
TRADITIONAL = (
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家種事成方多經麼去法學如都同現當沒動面起看定"
    "天分還進好小部其些主樣理心她本前開但因只從想實日軍者意無力它與長把機十民第公此已工使情明性知全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見"
    "款單貨件包服客退快遞送店買賣價質差評餐味付卡號查詢帳戶訂商錢費謝請收銀額電數安少報才結"
)
JAPANESE = "".join(map(chr, range(0x3041, 0x3094))) + "".join(map(chr, range(0x30A1, 0x30F7))) + "、。ー「」"
KOREAN = (
    "이다는에의을를가고로하한지사도기서리자어은인시나아라대스그만해정보일수있것들으과여전부장적제상동게면주원공구화무국요니합습까오안성연신조선생중우소위"
    "경영문마세물내발명학용고객배송환불"
)
CYRILLIC = "оеаинтсрвлкмдпуяыьгз"
# The letters outside ASCII of each language that a code page is for.
WESTERN = (
    "äöüßÄÖÜ",
    "éèêëàâùûüçîïôœÉÈÊÀÂÇÎÔŒ",
    "áéíóúñüÁÉÍÓÚÑ",
    "ãõáéíóúâêôàçÃÁÉÍÓÚÂÊÔÀÇ",
    "àèéìòùÀÈÉÌÒÙ",
    "åäöæøéÅÄÖÆØÉ",
    "ëïéèöüáíóú",
    "ðþáéíóúýæöÐÞÁÉÍÓÚÝÆÖ",
)
CENTRAL = (
    "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ",
    "áčďéěíňóřšťúůýžľĺŕôäÁČĎÉĚÍŇÓŘŠŤÚŮÝŽĽÔ",
    "áéíóöőúüűÁÉÍÓÖŐÚÜŰ",
    "ăâîşţĂÂÎŞŢ",
    "čćđšžČĆĐŠŽ",
    "äöüßÄÖÜ",
)
TYPOGRAPHIC = "‘’“”„‚–—…€£¥§°«»¿¡·•©®™²³½ºª\xa0"
SIGNS_IN_A_ROW = f"[{re.escape(TYPOGRAPHIC)}]{{3}}"
FULL_WIDTH = "，。！？、；：（）《》【】“”‘’…—～·「」　￥％０１２３４５６７８９"


@dataclass(frozen=True)
class Encoding:
    """How a file is encoded.

    Attributes:
        codec: name of the codec.
        why: the evidence, in words; empty for plain UTF-8.
        garbled: lines that hold UTF-8 read as Windows-1252 and written again, or replacement characters; numbers from 1.
    """

    codec: str
    why: str = ""
    garbled: tuple[int, ...] = ()


def decide(file: IO[bytes], name: str) -> Encoding:
    """The encoding of a file, read once from its beginning to its end.

    Raises:
        DataError: it is empty, not text, or fits no encoding or more than one.
    """
    head = file.read(CHUNK)
    if not head.strip():
        raise DataError("rows of data", f"{name}, which is empty", "Give a file with a header line and rows.")
    for mark, codec in BOMS.items():
        if head.startswith(mark):
            return Encoding(codec, "" if codec == "utf-8-sig" else f"{codec.upper()}, by its byte order mark")
    for signature, what in SIGNATURES.items():
        if head.startswith(signature):
            raise DataError("a text file", f"{name}, which is {what}", "Give the file its right ending, or export it as CSV.")
    if b"\0" in head:
        return _wide(head, name)
    lines = _Lines(name)
    for chunk in _chunks(head, file):
        lines.add(chunk)
    lines.end()
    if lines.utf8:
        return Encoding("utf-8", garbled=_garbled(lines.evidence))
    if lines.broken_share < 1.0 - MOSTLY_UTF8:
        line = lines.first_broken
        do = "Mend that line, or name the encoding with --set data.read.encoding=NAME."
        raise DataError("a text file in one encoding", f"{name}, UTF-8 but for line {line}", do)
    return _best([line for _, line in lines.evidence], name)


def _chunks(head: bytes, file: IO[bytes]) -> Iterator[bytes]:
    while head:
        yield head
        head = file.read(CHUNK)


class _Lines:
    """Sees every chunk once: whether all is UTF-8, and some lines with other than ASCII bytes, with their numbers."""

    def __init__(self, name: str) -> None:
        self.name, self.utf8, self.evidence, self.seen = name, True, list[tuple[int, bytes]](), 0
        self.first_broken = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._line, self._rest, self._broken = 1, b"", 0

    def add(self, chunk: bytes) -> None:
        if b"\0" in chunk:
            at = self._line + (self._rest + chunk).count(b"\n", 0, len(self._rest) + chunk.index(b"\0"))
            raise DataError("a text file", f"{self.name} with binary content in line {at}", "Export the data as CSV in UTF-8.")
        if self.utf8:
            try:
                self._decoder.decode(chunk)
            except UnicodeDecodeError:
                self.utf8 = False
        data = self._rest + chunk
        if data.isascii() and len(data) < 4 * CHUNK:
            cut = data.rfind(b"\n") + 1
            self._line, self._rest = self._line + data.count(b"\n", 0, cut), data[cut:]
            return
        whole = data.split(b"\n")
        self._rest = whole.pop()
        for line in whole:
            self._look(line)
            self._line += 1

    def end(self) -> None:
        self._look(self._rest)
        try:
            self._decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            self.utf8 = False

    @property
    def broken_share(self) -> float:
        return self._broken / max(len(self.evidence), 1)

    def _look(self, line: bytes) -> None:
        if line.isascii() or (self.seen > EVIDENCE and (self.utf8 or self.first_broken)):
            return
        self.seen += len(line)
        self.evidence.append((self._line, line))
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            self._broken += 1
            self.first_broken = self.first_broken or self._line


def _wide(head: bytes, name: str) -> Encoding:
    """UTF-16 without a mark: the right way round it has line ends and delimiters, else U+0A00, no letter."""
    ascii_bytes = len(re.findall(rb"[\t\n\r -~]", head)) / len(head)
    for codec in ("utf-16-le", "utf-16-be") if ascii_bytes < MOSTLY_ASCII else ():
        try:
            text = head[: len(head) & ~1].decode(codec)
        except UnicodeDecodeError:
            continue
        if "\n" in text and set(text) & set(DELIMITERS) and not set(text) & {"\0", "\u0a00"}:
            return Encoding(codec, f"{codec.upper()}, by its line ends")
    line = head.count(b"\n", 0, head.index(b"\0")) + 1
    raise DataError("a text file", f"{name} with binary content in line {line}", "Export the data as CSV in UTF-8.")


def _best(lines: list[bytes], name: str) -> Encoding:
    """The candidate whose characters are the usual ones; refused when two that differ come near each other."""
    data, scored = b"\n".join(lines), []
    for codec, (label, score) in CANDIDATES.items():
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            continue
        scored.append((score(text), codec, label, text))
    scored.sort(key=lambda one: -one[0])
    # Two that read the same text are no doubt.
    others = [one for one in scored[1:] if one[3] != scored[0][3] and one[0] > scored[0][0] - MARGIN]
    if not scored or scored[0][0] < PLAUSIBLE or others:
        near = [one[1] for one in (scored[:1] + others if others else scored[:3])]
        received = f"{name}, which is not UTF-8 and might be {' or '.join(near)}" if near else f"{name} in an unknown encoding"
        do = f"Name it, for example --set data.read.encoding={near[0] if near else 'cp1252'}, or save the file as UTF-8."
        raise DataError("a text file in an encoding that can be told", received, do)
    share, codec, label, text = scored[0]
    count = sum(not letter.isascii() for letter in text)
    return Encoding(codec, f"{label}: {share:.0%} of {count:,} letters outside ASCII are usual ones, and it is not UTF-8")


def _garbled(evidence: list[tuple[int, bytes]]) -> tuple[int, ...]:
    """Lines that are UTF-8 twice, or have lost characters."""
    found = []
    for number, line in evidence:
        text = line.decode("utf-8", "replace")
        if "\ufffd" in text or _twice(text):
            found.append(number)
    return tuple(found)


def _twice(text: str) -> bool:
    """Whether some run of letters outside ASCII is UTF-8 again when written in Windows-1252; real text hardly ever is."""
    for run in re.findall(r"[^\x00-\x7f]{2,}", text):
        for codec in ("cp1252", "latin-1"):
            try:
                if len(run.encode(codec).decode("utf-8")) < len(run):
                    return True
            except (UnicodeEncodeError, UnicodeDecodeError):
                continue
    return False


def _usual(frequent: str, common: Callable[[str], bool]) -> Callable[[str], float]:
    """Half for letters that the language knows, half for the most frequent ones, of which text holds at least a quarter."""
    top = frozenset(frequent)

    def score(text: str) -> float:
        letters = [letter for letter in text if not letter.isascii() and letter not in FULL_WIDTH]
        if not letters:
            return 0.0
        known = sum(map(common, letters)) / len(letters)
        return 0.5 * known + 0.5 * min(1.0, sum(letter in top for letter in letters) / len(letters) / 0.25)

    return score


def _lead(codec: str, first: int, last: int) -> Callable[[str], bool]:
    """Whether a character is among the everyday ones of a national standard, which come first in it."""

    def common(letter: str) -> bool:
        try:
            return first <= letter.encode(codec)[0] <= last
        except UnicodeEncodeError:
            return False

    return common


def _latin(languages: Sequence[str]) -> Callable[[str], float]:
    """Letters of one language a line, in words with ASCII letters, and typographic signs."""
    words = [re.compile(f"(?<=[A-Za-z])[{letters}]+|[{letters}]+(?=[A-Za-z])|\\b[àáéíóÀÉ]\\b") for letters in languages]

    def score(text: str) -> float:
        fitting, other = 0, 0
        for line in text.split("\n"):
            odd = sum(not letter.isascii() for letter in line)
            signs = sum(letter in TYPOGRAPHIC for letter in line) if not re.search(SIGNS_IN_A_ROW, line) else 0
            fitting += min(odd, signs + max(sum(map(len, word.findall(line))) for word in words))
            other += odd
        return fitting / other if other else 0.0

    return score


def _central(text: str) -> float:
    """Windows-1250 only where its languages fit better than the Western ones: most letters lie at the same places."""
    own = _latin(CENTRAL)(text)
    try:
        western = _latin(WESTERN)(text.encode("cp1250").decode("cp1252"))
    except UnicodeDecodeError:
        western = 0.0
    return own if own > western + 0.05 else 0.0


def _cyrillic(text: str) -> float:
    """Frequent small letters in words of Cyrillic letters alone; in the wrong code page they would be capitals."""
    other = sum(not letter.isascii() and letter not in TYPOGRAPHIC for letter in text)
    words = re.findall(r"(?<![A-Za-z])[Ѐ-ӿ][а-ӿ]*(?![A-Za-zЀ-ӿ])", text)
    return min(1.0, sum(letter.lower() in CYRILLIC for word in words for letter in word) / other / 0.7) if other else 0.0


CANDIDATES: dict[str, tuple[str, Callable[[str], float]]] = {
    "gb18030": ("GB18030, Chinese", _usual(CHINESE, _lead("gb2312", 0xB0, 0xD7))),
    "big5": ("Big5, Chinese", _usual(TRADITIONAL, _lead("big5", 0xA4, 0xC6))),
    "shift_jis": ("Shift JIS, Japanese", _usual(JAPANESE, _lead("shift_jis", 0x82, 0x97))),
    "euc_kr": ("EUC-KR, Korean", _usual(KOREAN, _lead("euc_kr", 0xB0, 0xC8))),
    "cp1252": ("Windows-1252, Western European", _latin(WESTERN)),
    "cp1250": ("Windows-1250, Central European", _central),
    "cp1251": ("Windows-1251, Cyrillic", _cyrillic),
    "koi8_r": ("KOI8-R, Cyrillic", _cyrillic),
}
