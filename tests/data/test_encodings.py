"""Text comes in as it was written in any common encoding, or is refused; never as other letters."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from savile import data
from savile.base.errors import DataError, InputError
from savile.base.events import listening
from savile.data import Reading, sources

GERMAN = "Wo ist mein Päckchen? Es heißt, es wäre längst schön verpackt."
FRENCH = "Où est mon colis ? Il a été expédié à l'adresse de ma sœur."
SPANISH = "¿Dónde está mi paquete? Mañana será demasiado tarde, señor."
POLISH = "Gdzie jest moja paczka? Proszę o szybką odpowiedź, dziękuję. Złożyłem reklamację."
CZECH = "Kde je můj balíček? Chtěl bych vrátit zboží, děkuji za rychlou odpověď."
RUSSIAN = "Где моя посылка? Прошу вернуть деньги за заказ, спасибо."
CHINESE = "我的包裹在哪里？请尽快退款，谢谢您的帮助。"
TRADITIONAL = "我的包裹在哪裡？請盡快退款，謝謝您的幫助。"
JAPANESE = "荷物はどこですか。早く返金してください、ありがとうございます。"
KOREAN = "제 소포는 어디에 있습니까? 빨리 환불해 주세요. 감사합니다."
TEXTS = {
    "cp1252": (GERMAN, FRENCH, SPANISH),
    "latin-1": (GERMAN, SPANISH),
    "cp1250": (POLISH, CZECH),
    "cp1251": (RUSSIAN,),
    "koi8-r": (RUSSIAN,),
    "gb18030": (CHINESE,),
    "gbk": (CHINESE,),
    "big5": (TRADITIONAL,),
    "shift_jis": (JAPANESE,),
    "euc_kr": (KOREAN,),
}
EVERY = (GERMAN, FRENCH, SPANISH, POLISH, CZECH, RUSSIAN, CHINESE, TRADITIONAL, JAPANESE, KOREAN)
CASES = [(codec, text) for codec, texts in TEXTS.items() for text in texts]
CASES += [
    (codec, text)
    for codec in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030")
    for text in (EVERY if codec != "gb18030" else ())
]


def written(folder, text, codec, rows=12):
    path = folder / "t.csv"
    lines = ["text,label", *(f'"{text} {i}",{"ab"[i % 2]}' for i in range(rows))]
    path.write_bytes(("\n".join(lines) + "\n").encode(codec))
    return path


@pytest.mark.parametrize(("codec", "text"), CASES)
def test_every_encoding_gives_the_same_table(tmp_path, codec, text):
    table = sources.read(written(tmp_path, text, codec)).table
    assert table.column("text").to_pylist() == [f"{text} {i}" for i in range(12)]
    assert table.column_names == ["text", "label"]


def test_what_was_found_out_is_said(tmp_path):
    path, said = written(tmp_path, CHINESE, "gb18030"), []
    with listening(said.append):
        found = sources.read(path)
    (told,) = [event.facts["text"] for event in said]
    assert "t.csv is read as GB18030, Chinese" in told
    assert [finding.rule for finding in found.findings] == ["encoding"]


def test_plain_utf8_needs_no_word(tmp_path):
    assert sources.read(written(tmp_path, CHINESE, "utf-8")).findings == ()


def test_a_name_given_wins(tmp_path):
    path = written(tmp_path, GERMAN, "cp1252")
    table = sources.read(path, Reading(encoding="cp1250")).table
    assert table.column("text")[0].as_py().startswith("Wo ist mein Päckchen")
    with pytest.raises(InputError, match="known encoding"):
        sources.read(path, Reading(encoding="klingon"))
    with pytest.raises(DataError, match="not utf-8 soon after line"):
        sources.read(path, Reading(encoding="utf-8"))


def test_what_fits_two_encodings_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"text,label\n" + b"\xe4\xf6\xfc\xdf\xe4\xf6,a\n\xf6\xe4\xfc\xe4\xdf\xf6,b\n" * 5)
    with pytest.raises(DataError, match=r"might be .*data\.read\.encoding="):
        sources.read(path)


def test_utf8_with_a_broken_line_is_refused_with_its_number(tmp_path):
    path = written(tmp_path, GERMAN, "utf-8", rows=40)
    lines = path.read_bytes().split(b"\n")
    lines[20] = "Wo ist mein Päckchen,a".encode("cp1252")
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(DataError, match="UTF-8 but for line 21"):
        sources.read(path)


@pytest.mark.parametrize("text", [GERMAN, CHINESE, RUSSIAN])
def test_letters_garbled_before_they_came_are_told_of(tmp_path, text):
    twice = text.encode().decode("latin-1")
    (found,) = sources.read(written(tmp_path, twice, "utf-8")).findings
    assert (found.rule, found.severity, found.count) == ("garbled", "warning", 12)
    assert "lines 2, 3, 4, 5, 6 …" in found.evidence


def test_lost_letters_are_told_of(tmp_path):
    assert sources.read(written(tmp_path, "sch\ufffdn", "utf-8")).findings[0].rule == "garbled"


def test_a_far_away_letter_decides_too(tmp_path):
    path = tmp_path / "t.csv"
    rows = [f"where is parcel {i},a" for i in range(150_000)]
    path.write_bytes(("text,label\n" + "\n".join([*rows, f"{SPANISH.replace(',', '')},b"])).encode("cp1252"))
    source = sources.read(path)
    assert source.table.column("text")[-1].as_py() == SPANISH.replace(",", "")
    assert "Windows-1252" in source.findings[0].evidence


WORDS = st.lists(
    st.sampled_from([*"的一是不了在人有我他这中来大上个国", "谢谢", "退款", "包裹", " ok ", "，", "42"]),
    min_size=4,
    max_size=12,
)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(WORDS.map("".join), min_size=3, max_size=10),
    st.sampled_from(["utf-8", "gb18030", "utf-16", "utf-16-le"]),
    st.sampled_from(";\t|"),
)
def test_any_encoding_and_delimiter_gives_the_same_table(tmp_path_factory, texts, codec, delimiter):
    path = tmp_path_factory.mktemp("any") / "t.csv"
    rows = [f"text{delimiter}label", *(f"{text}。{delimiter}{'ab'[i % 2]}" for i, text in enumerate(texts))]
    path.write_bytes("\r\n".join(rows).encode(codec))
    table = sources.read(path).table
    assert table.column("text").to_pylist() == [f"{text}。" for text in texts]
    assert table.column("label").to_pylist() == ["ab"[i % 2] for i in range(len(texts))]


def test_the_encoding_is_kept_with_the_data(home, tmp_path, sentences):
    path = tmp_path / "t.csv"
    rows = [f"{text} {CHINESE},{'ab'[i % 2]}" for i, text in enumerate(sentences(60))]
    path.write_bytes("\n".join(["text,label", *rows]).encode("gb18030"))
    assert "encoding" in {finding.rule for finding in data.govern(path).findings}
