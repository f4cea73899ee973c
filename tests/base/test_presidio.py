"""Presidio behind our policies where it is installed, and a clear message where it is not."""

import importlib.util

import pytest

from savile import cli
from savile.base import _presidio, mask
from savile.base.errors import MachineError, MissingExtraError

HERE = importlib.util.find_spec("presidio_analyzer") is not None
installed = pytest.mark.skipif(not HERE, reason="presidio is not installed: pip install 'savile[presidio]'")


@pytest.mark.skipif(HERE, reason="presidio is installed")
def test_without_the_package_the_way_to_get_it_is_said(tmp_path, capsys):
    with pytest.raises(MissingExtraError, match="presidio_analyzer"):
        mask.policy(None, "presidio")
    path = tmp_path / "tickets.csv"
    path.write_text("text,label\n" + "".join(f"please help me number {i},{'ab'[i % 2]}\n" for i in range(40)))
    assert cli.main(["govern", str(path), "--pii", "presidio", "--json"]) == 4
    assert "savile[presidio]" in capsys.readouterr().out


@installed
def test_what_has_no_kind_of_ours_is_replaced_and_the_rest_stays():
    masker = mask.Masker(mask.policy(None, "presidio"))
    text = "my wallet is 16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ, write to ann@example.com about order 12345"
    kinds = {span.kind for span in masker.find(text)}
    assert kinds == {"identifier", "email"}
    masked = masker(text)
    assert "16Yeky6" not in masked
    assert "order 12345" in masked
    assert masker(masked) == masked


@installed
def test_another_version_is_refused():
    policy = {**mask.policy(None, "presidio"), "presidio": "presidio 0.0.1, patterns alone"}
    with pytest.raises(MachineError, match=r"presidio 0\.0\.1"):
        mask.Masker(policy)


@installed
def test_names_are_found_where_spacy_has_a_model():
    if "patterns alone" in _presidio.version():
        pytest.skip("no model of spaCy is installed: python -m spacy download en_core_web_sm")
    assert {span.kind for span in _presidio.spans("My name is Maria Gonzalez and I live in Berlin")} == {"name", "address"}
