"""Pages are whole in themselves, escape what they are given, and draw to scale."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from savile.base import _plots
from savile.base.page import Bar, Page, Point, number

VOID = {"meta", "link"}
NASTY = '<script>alert("x")</script> & \' " \x00'


class Tags(HTMLParser):
    """Checks that tags nest, and keeps what it saw."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def named(self, tag):
        return [attrs for name, attrs in self.seen if name == tag]


def full_page(word, lang="en"):
    curve = [Point(0.0, 0.2, 0.1, 0.3), Point(1.0, 0.9, 0.8, 1.0)]
    page = Page(word, lang).text(word, "good").figures([(word, word, word)]).heading(word)
    page.table([word, "n"], [[word, 3], [None, 0.25]], word).table([word], [[True]], word, folded=True)
    page.bars(word, [Bar(word, 3.0, 2.0, 4.0), Bar(word * 9, -1.0)], word).forest(word, {word: [Bar(word, 0.9, 0.8, 1.0)]})
    page.line(word, {word: curve, "other": curve}, (word, word), {word: 0.5}, diagonal=True)
    page.histogram(word, [1.0, 2.0, 2.0, 5.0], word).matrix(word, [word, "b"], [[3, 1], [0, 2]], (word, word))
    return page


def test_everything_given_is_escaped_and_every_tag_closes():
    text = full_page(NASTY, NASTY).html()
    tags = Tags(text)
    assert tags.open == []
    assert len(tags.named("script")) == 1  # the page's own
    assert "\x00" not in text
    assert tags.named("html")[0]["lang"] == NASTY.replace("\x00", "")


@given(st.text(min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_any_text_survives(word):
    tags = Tags(full_page(word).html())
    assert tags.open == []
    shown = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "", word).replace("\r\n", "\n").replace("\r", "\n")
    assert shown in "".join(tags.words).replace("\r\n", "\n").replace("\r", "\n")


def test_nothing_is_loaded_from_outside():
    text = full_page("退款 refund", "zh").html()
    tags = Tags(text)
    assert not re.search(r"https?://|url\(|@import|src=", text)
    assert [link["href"] for link in tags.named("link")] == ["data:,"]
    policy = next(meta["content"] for meta in tags.named("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")


def test_plots_speak_to_those_who_cannot_see_them():
    tags = Tags(full_page("refund").html())
    plots = tags.named("svg")
    assert len(plots) == 5
    assert all(plot["role"] == "img" for plot in plots)
    assert len(tags.named("desc")) == 5
    assert len(tags.named("h1")) == 1
    assert all(head["scope"] == "col" for head in tags.named("th"))


def test_contents_are_listed_once_there_are_several_sections():
    page = Page("a")
    for name in ("one", "two", "three"):
        page.heading(name)
    assert "<nav" not in page.html()
    links = Tags(page.heading("four").html()).named("a")
    assert [link["href"] for link in links] == ["#s1", "#s2", "#s3", "#s4"]


def test_an_unknown_tone_is_refused():
    with pytest.raises(ValueError, match="received 'loud'"):
        Page("a").text("b", "loud")


def test_cells_are_typed():
    text = Page("a").table(["x"], [[None], [True], [False], [1234567], [0.93812], [float("nan")]]).html()
    for cell in (">–</td>", ">yes</td>", ">no</td>", ">1,234,567</td>", '"0.93812">0.938</td>'):
        assert cell in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.93812, "0.938"),
        (-0.5, "-0.500"),
        (12.34, "12.3"),
        (0.0004, "0.0004"),
        (3080, "3,080"),
        (1e6 + 0.4, "1,000,000"),
    ],
)
def test_numbers_are_shown_as_readers_want_them(value, shown):
    assert number(value) == shown


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
@settings(max_examples=300)
def test_an_axis_holds_its_values_with_round_ticks(low, spread):
    scale = _plots._Scale.over([low, low + spread], 0, 100)
    slack = 1e-6 * (scale.high - scale.low) + 1e-9 * abs(low)
    assert scale.low - slack <= low
    assert low + spread <= scale.high + slack
    assert 2 <= len(scale.ticks) <= 13
    assert scale(scale.low) == 0
    assert scale(scale.high) == pytest.approx(100)


def test_one_value_and_no_value_can_be_drawn():
    assert "<circle" in Page("a").forest("b", {"c": [Bar("d", 0.3), Bar("e", 0.1 + 0.2)]}).html()
    assert "<svg" in Page("a").bars("b", []).html()
    assert "<circle" in Page("a").forest("b", {"c": [Bar("d", 0.5, 0.5, 0.5)]}).html()
    assert "<svg" in Page("a").histogram("b", [2.0, 2.0], "c").html()


def test_bars_are_to_scale():
    widths = [float(w) for w in re.findall(r'class="c0"[^>]*width="([\d.]+)"', _plots.bars("t", [Bar("a", 10), Bar("b", 5)]))]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.2)


def test_long_and_wide_labels_are_cut_and_kept_whole_in_the_tip():
    long = "信用卡" * 30
    text = _plots.bars("t", [Bar(long, 1)])
    assert "…</text>" in text
    assert f"<title>{long}</title>" in text
