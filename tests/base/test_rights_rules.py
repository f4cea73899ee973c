"""Rules of rights: each is broken by exactly the uses it forbids, and what nobody wrote down is named."""

from datetime import date

import pytest

from savile.base import rights as rules
from savile.base.errors import RecipeError

TODAY = date(2026, 6, 1)


def broken(source, stage="adapt", uses=None, **use):
    rights = rules.of({"sources": [{"name": "crm", **source}], **use})
    return [one.rule for one in rules.breaches(rights, stage, TODAY, uses)]


@pytest.mark.parametrize(
    ("source", "use", "rule"),
    [
        ({"expires": "2026-05-31"}, {}, "expired"),
        ({"forbidden": ["advertising"]}, {"purpose": "advertising"}, "forbidden_purpose"),
        ({"purposes": ["support"]}, {"purpose": "advertising"}, "other_purpose"),
        ({"purposes": ["support"]}, {}, "other_purpose"),
        ({"regions": ["EU"]}, {"region": "US"}, "other_region"),
        ({"regions": ["EU"]}, {}, "other_region"),
        ({"licence": "CC-BY-NC-4.0"}, {}, "non_commercial"),
        ({"licence": "CC-BY-ND-4.0"}, {}, "no_derivatives"),
        ({"licence": "CC-BY-SA-4.0"}, {"distribute": True}, "share_alike"),
        ({"licence": "ODbL-1.0"}, {"distribute": True}, "share_alike"),
        ({"terms": [{"forbid": "adapt"}]}, {}, "contract"),
        ({"terms": [{"forbid": "adapt", "after": "2026-05-31"}]}, {}, "contract"),
    ],
)
def test_a_rule_is_broken_by_what_it_forbids(source, use, rule):
    assert broken(source, **use) == [rule]


@pytest.mark.parametrize(
    ("source", "use"),
    [
        ({"expires": "2026-06-01"}, {}),
        ({"forbidden": ["advertising"]}, {"purpose": "support"}),
        ({"purposes": ["support"]}, {"purpose": "support"}),
        ({"regions": ["EU"]}, {"region": "EU"}),
        ({"licence": "CC-BY-NC-4.0"}, {"commercial": False}),
        ({"licence": "CC-BY-SA-4.0"}, {}),
        ({"licence": "CC-BY-4.0"}, {"distribute": True}),
        ({"licence": "a licence of our own"}, {"distribute": True}),
        ({"terms": [{"forbid": "serve"}]}, {}),
        ({"terms": [{"forbid": "adapt", "after": "2026-06-01"}]}, {}),
        ({"terms": [{"forbid": "adapt", "most": 2}]}, {}),
        ({}, {}),
    ],
)
def test_a_rule_is_not_broken_by_anything_else(source, use):
    assert broken(source, **use) == []


def test_a_clause_counts_uses():
    source = {"terms": [{"forbid": "adapt", "most": 2, "note": "clause 4.2"}]}
    assert broken(source, uses={"crm": 1}) == []
    assert broken(source, uses={"crm": 2}) == ["contract"]
    assert broken(source, "serve", uses={"crm": 2}) == []


@pytest.mark.parametrize(
    ("name", "known"),
    [("Apache-2.0", True), ("GPL-3.0-or-later", True), ("BSD-3-Clause", True), ("CC0-1.0", True), ("WTF", False)],
)
def test_licences_are_known_by_their_spdx_names(name, known):
    assert (rules.licence(name) is not None) == known


def test_what_nobody_wrote_down_is_named():
    rights = rules.of({"sources": [{"name": "a"}, {"name": "b", "licence": "mine", "owner": "us", "consent": "contract"}]})
    assert {(gap.source, gap.rule) for gap in rules.gaps(rights)} == {
        *(("a", rule) for rule in ("no_licence", "no_owner", "no_consent")),
        ("b", "unknown_licence"),
    }


def test_a_wrong_key_is_named_with_the_nearest():
    with pytest.raises(RecipeError) as caught:
        rules.of({"sources": [{"name": "a", "expire": "2026-01-01"}]})
    assert "'expires'" in caught.value.do
    with pytest.raises(RecipeError):
        rules.of({"sources": [{"name": "a", "expires": "soon"}]})
