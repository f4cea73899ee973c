"""Tables: what columns are taken for, models that learn what was planted, reasons that sum, files that answer alike."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from savile import testing
from savile.base.contracts import Rows
from savile.base.errors import DataError, InputError, UnknownNameError
from savile.base.records import Model
from savile.models import Predictor, _tabular_additive, _tabular_columns, tabular

LABELS = ("bad", "good")
KINDS = tabular.KINDS


def planted(rows=1_200, seed=0, labels=2):
    """Amounts with blanks and codes, categories in and out of order, dates; the label depends on some of them."""
    rng = np.random.default_rng(seed)
    income, age = rng.gamma(2.0, 1_000.0, rows).round(), rng.integers(18, 80, rows).astype(float)
    age[rng.random(rows) < 0.1] = -9.0  # no record: these rows are good
    town, size = rng.choice(["north", "south", "west"], rows), rng.choice(["low", "medium", "high"], rows)
    months = rng.integers(1, 13, rows)
    score = 1.5 * np.log(income / 1_500) + 1.2 * (town == "south") + 2.0 * (age == -9.0) - 0.9 * (size == "low")
    score = score + 1.5 * (months > 6) - 1.2
    gold = (rng.random(rows) < 1 / (1 + np.exp(-score))).astype(np.int64)
    if labels == 3:
        gold = gold + (income > 3_000)
    blanks = [None if gap else f"{value:,.0f}" for value, gap in zip(income, rng.random(rows) < 0.05, strict=True)]
    days = [f"{7 + row % 20}/{month}/2024" for row, month in enumerate(months.tolist())]
    table = {"income": blanks, "age": age, "town": town.tolist(), "size": size.tolist(), "opened": days}
    return pa.table(table), gold, score


def fitted(kind, labels=LABELS, **settings):
    table, gold, _ = planted(labels=len(labels))
    return tabular.fit(Rows(table.slice(0, 900), gold[:900], labels), "classify", tabular.Settings(kind=kind, **settings))


@pytest.fixture(scope="module")
def models():
    return {kind: fitted(kind) for kind in KINDS}


def area(score, gold):
    ranks = np.argsort(np.argsort(score))
    positive = gold == 1
    return (ranks[positive].sum() - positive.sum() * (positive.sum() - 1) / 2) / (positive.sum() * (~positive).sum())


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_planted_is_learned(kind, models):
    table, gold, score = planted()
    logits = tabular.predict(models[kind], table.slice(900))
    best = area(score[900:], gold[900:])
    assert area(logits[:, 1] - logits[:, 0], gold[900:]) > best - 0.04


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", [LABELS, ("bad", "fair", "good")])
def test_reasons_sum_to_the_score(kind, labels, models):
    model = models[kind] if labels == LABELS else fitted(kind, labels)
    table = planted()[0].slice(900, 100)
    logits, found = tabular.predict(model, table), tabular.contributions(model, table)
    assert found.names[0] == ("income", "age", "town", "size", "opened")  # the parts of a date count together
    sums = np.stack([weights.sum(axis=0) for weights in found.weights]) + found.base
    assert np.abs(sums - logits).max() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_it_answers_alike_row_by_row(kind, models):
    table = planted()[0].slice(900, 40)
    testing.check_family("tabular", Model("tabular", LABELS, forms={"tabular": tabular.save(models[kind])}), table)


def test_no_file_of_it_runs_code(models):
    for model in models.values():
        for name, content in tabular.save(model).items():
            assert name.endswith((".json", ".safetensors", ".txt"))
            assert not content.startswith(b"\x80")  # what pickle begins with


def test_of_kinds_together_the_one_that_fits_has_the_weight():
    rng = np.random.default_rng(3)
    x = rng.uniform(-3, 3, (300, 2))
    table = pa.table({name: x[:, j] for j, name in enumerate("ab")})
    straight, corner = 2 * x[:, 0] - x[:, 1], 4.0 * ((x[:, 0] > 0) ^ (x[:, 1] > 0))
    found = {}
    for name, target in (("straight", straight), ("corner", corner)):
        rows = Rows(table, target + rng.normal(0, 0.3, 300), ())
        found[name] = tabular.fit(rows, "score", tabular.Settings(kind="stacked")).parts[0]
    assert found["straight"].weights["logistic"] > 0.8
    assert "logistic" not in found["corner"].weights
    for model in found.values():
        assert sum(model.weights.values()) == pytest.approx(1)
        assert model.members.keys() == model.weights.keys()


def test_where_no_row_can_be_spared_all_kinds_count_alike():
    table, gold, _ = planted(rows=24)
    gold[:] = np.arange(24) < 4
    model = tabular.fit(Rows(table, gold, LABELS), "classify", tabular.Settings(kind="stacked"))
    assert set(model.parts[0].weights.values()) == {1 / 3}


@pytest.mark.parametrize("kind", ["boosting", "additive", "stacked"])
def test_by_absolute_error_a_few_odd_rows_do_not_pull_at_all_others(kind):
    rng = np.random.default_rng(4)
    x = rng.integers(0, 4, 800)
    sales = 10.0 * x + rng.normal(0, 1, 800)
    odd = rng.random(800) < 0.1
    rows = Rows(pa.table({"shelf": x.astype(float)}), np.where(odd, sales + 500, sales), ())
    missed = {}
    for error in ("squared", "absolute"):
        model = tabular.fit(rows, "score", tabular.Settings(kind=kind, error=error))
        missed[error] = np.abs(tabular.predict(model, rows.inputs)[:, 0] - sales)[~odd].mean()
    assert missed["absolute"] < 5 < 20 < missed["squared"]


@pytest.mark.parametrize(("error", "said"), [("cubed", "squared or absolute"), ("absolute", "numbers to predict")])
def test_an_error_that_is_none_or_not_of_labels_is_refused(error, said):
    table, gold, _ = planted(rows=100)
    with pytest.raises(InputError, match=said):
        tabular.fit(Rows(table, gold, LABELS), "classify", tabular.Settings(error=error))


def test_additive_curves_have_the_shape_that_was_planted():
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, (3_000, 3))
    effects = np.column_stack([np.sin(x[:, 0]) * 2, x[:, 1] ** 2 / 2 - 1.5, np.zeros(3_000)])
    gold = (rng.random(3_000) < 1 / (1 + np.exp(-effects.sum(axis=1)))).astype(np.int64)
    table = pa.table({name: x[:, j] for j, name in enumerate("abc")})
    model = tabular.fit(Rows(table, gold, LABELS), "classify", tabular.Settings(kind="additive", pairs=0))
    weights = np.stack(tabular.contributions(model, table).weights)[:, :, 1] * 2
    assert np.corrcoef(weights[:, 0], effects[:, 0])[0, 1] > 0.95
    assert np.corrcoef(weights[:, 1], effects[:, 1])[0, 1] > 0.9
    assert weights[:, 2].std() < 0.2
    assert np.abs(weights.mean(axis=0)).max() < 1e-9  # every curve is centred


def test_a_planted_pair_is_found_and_leaves_no_side_effect():
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (4_000, 4))
    gold = (rng.random(4_000) < 1 / (1 + np.exp(-4 * np.sign(x[:, 1] * x[:, 3])))).astype(np.int64)
    table = pa.table({name: x[:, j] for j, name in enumerate("abcd")})
    rows = Rows(table, gold, LABELS)
    alone, both = (tabular.fit(rows, "classify", tabular.Settings(kind="additive", pairs=pairs)) for pairs in (0, 2))
    assert [1, 3] in both.parts[0].pairs.tolist()
    logits = [tabular.predict(model, table) for model in (alone, both)]
    assert area(logits[0][:, 1], gold) < 0.7 < 0.9 < area(logits[1][:, 1], gold)
    place = both.parts[0].pairs.tolist().index([1, 3])
    fine = _tabular_additive.bins(
        both.features, both.parts[0], np.stack([table.column(j).to_numpy() for j in range(4)], axis=1)
    )
    counts = np.zeros(both.parts[0].surfaces[place].shape[:2])
    np.add.at(counts, (fine.rough[:, 1], fine.rough[:, 3]), 1)
    assert np.abs((counts[:, :, None] * both.parts[0].surfaces[place]).sum(axis=0)).max() / len(gold) < 1e-3


def test_a_column_in_two_pairs_keeps_what_it_says_by_itself():
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, (4_000, 3))
    truth = 5 * ((x[:, 0] > 0.3) & (x[:, 1] > 0.3)) + 5 * ((x[:, 0] < -0.3) & (x[:, 2] > 0.3)) - 2.0
    gold = (rng.random(4_000) < 1 / (1 + np.exp(-truth))).astype(np.int64)
    table = pa.table({name: x[:, j] for j, name in enumerate("abc")})
    model = tabular.fit(Rows(table, gold, LABELS), "classify", tabular.Settings(kind="additive", pairs=2))
    assert sorted(model.parts[0].pairs.tolist()) == [[0, 1], [0, 2]]
    logits = tabular.predict(model, table)
    assert np.abs(logits[:, 1] - logits[:, 0] - truth).mean() < 0.6


def test_columns_are_taken_for_what_they_are():
    table = planted()[0]
    features, texts = _tabular_columns.learn(table, {})
    kinds = {feature.name: feature.kind for feature in features}
    assert texts == ()
    assert (kinds["income"], kinds["town"], kinds["opened (month)"]) == ("number", "category", "number")
    found = {feature.name: feature for feature in features}
    assert found["age"].codes == (-9.0,)
    assert found["size"].ordered
    assert found["size"].levels == ("low", "medium", "high")
    assert not found["town"].ordered


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["$1,234.50", " 12 ", "-3", "", None, "abc", "1e3", "50%"], [1234.5, 12, -3, np.nan, np.nan, np.nan, 1000, 50]),
        (["¥20", "3元", ".5", "+7"], [20, 3, 0.5, 7]),
    ],
)
def test_amounts_are_read_as_people_write_them(values, expected):
    np.testing.assert_array_equal(_tabular_columns.numbers(pa.array(values, pa.string())), expected)


@pytest.mark.parametrize(
    ("levels", "order"),
    [
        (["5+ years", "< 1 year", "1-4 years"], ["< 1 year", "1-4 years", "5+ years"]),
        (["High", "low", "Medium"], ["low", "Medium", "High"]),
        (["A11", "A12", "A13"], []),
        (["red", "low", "high"], []),
    ],
)
def test_levels_with_an_order_are_put_in_it(levels, order):
    assert _tabular_columns.ordered(levels) == order


def test_codes_are_few_negative_numbers_among_none_other():
    amounts = np.arange(100.0)
    assert _tabular_columns.codes(np.r_[amounts, [-9.0] * 10, [-7.0] * 6]) == (-9.0, -7.0)
    assert _tabular_columns.codes(np.r_[amounts, -np.arange(1.0, 30.0)]) == ()  # debts are amounts
    assert _tabular_columns.codes(np.r_[amounts, [-4.5] * 10]) == ()


def test_a_day_and_a_month_stay_what_they_were_in_training(models):
    one = planted()[0].slice(0, 1)
    asked = one.set_column(4, "opened", pa.array(["7/2/2024"]))
    features = models["boosting"].features
    months = _tabular_columns.encode(features, asked)[0, [f.part for f in features].index("month")]
    assert months == 2.0  # alone, 7/2 could be read either way


@pytest.mark.parametrize("kind", KINDS)
def test_blank_and_unheard_of_values_are_answered(kind, models):
    nothing = pa.table(
        {name: pa.nulls(2, field.type) for name, field in zip(planted()[0].column_names, planted()[0].schema, strict=True)}
    )
    strange = planted()[0].slice(0, 1).set_column(2, "town", pa.array(["atlantis"]))
    for table in (nothing, strange):
        assert np.isfinite(tabular.predict(models[kind], table)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_and_any_labels_are_learned_too(kind):
    table, gold, score = planted(500)
    number = tabular.fit(Rows(table, (score - score.mean()) / score.std(), ("value",)), "score", tabular.Settings(kind=kind))
    assert np.corrcoef(tabular.predict(number, table)[:, 0], score)[0, 1] > 0.85
    both = np.column_stack([gold, np.zeros_like(gold), score > 0]).astype(np.float32)
    several = tabular.fit(Rows(table, both, ("good", "never", "high")), "multilabel", tabular.Settings(kind=kind))
    logits = tabular.predict(several, table)
    assert area(logits[:, 2], both[:, 2]) > 0.95
    assert (logits[:, 1] < 0).all()


def test_columns_left_out_change_nothing(models):
    table = planted()[0].slice(900, 50)
    model = fitted("boosting", without=("town",))
    other = table.set_column(2, "town", pa.array(["south"] * 50))
    np.testing.assert_array_equal(tabular.predict(model, table), tabular.predict(model, other))
    assert "town" not in tabular.contributions(model, table).names[0]


def test_a_text_column_tells_what_its_words_tell():
    rng = np.random.default_rng(0)
    gold = rng.integers(2, size=600)
    words = [["refused late missed", "paid prompt settled"][g].split() for g in gold]
    notes = [f"customer {words[i][rng.integers(3)]} the bill on visit {i}" for i in range(600)]
    table = pa.table({"amount": rng.normal(size=600), "note": notes})
    model = tabular.fit(Rows(table.slice(0, 400), gold[:400], LABELS), "classify", tabular.Settings(base=""))
    logits = tabular.predict(model, table.slice(400))
    assert (logits.argmax(axis=1) == gold[400:]).mean() > 0.95
    assert tabular.contributions(model, table.slice(400, 1)).names[0] == ("amount", "note")


def test_a_random_text_column_is_not_trusted():
    """Scores of training rows come out of fold: words that know nothing must not drown the column that does."""
    rng = np.random.default_rng(0)
    gold = rng.integers(2, size=600)
    notes = [" ".join(rng.choice([f"word{j}" for j in range(2_000)], 8)) for _ in range(600)]
    table = pa.table({"amount": gold + rng.normal(size=600), "note": notes})
    model = tabular.fit(Rows(table.slice(0, 400), gold[:400], LABELS), "classify", tabular.Settings(base=""))
    logits = tabular.predict(model, table.slice(400))
    assert area(logits[:, 1], gold[400:]) > area(np.asarray(table.column("amount"))[400:], gold[400:]) - 0.06


def test_wrong_settings_and_tables_are_one_clear_error():
    table, gold, _ = planted(200)
    rows = Rows(table, gold, LABELS)
    with pytest.raises(UnknownNameError, match="Did you mean 'boosting'"):
        tabular.fit(rows, "classify", tabular.Settings(kind="boostin"))
    with pytest.raises(UnknownNameError, match="Did you mean 'town'"):
        tabular.fit(rows, "classify", tabular.Settings(without=("twon",)))
    with pytest.raises(DataError, match="a column to learn from"):
        tabular.fit(dataclasses.replace(rows, inputs=pa.table({"id": [f"x{i}" for i in range(200)]})))


def test_it_is_fitted_the_same_each_time():
    first, second = (tabular.save(fitted("boosting")) for _ in range(2))
    assert first == second


def test_rows_by_name_are_answered_as_in_the_table(models, tmp_path):
    table = planted()[0].slice(900, 20)
    files = {}
    for name, content in tabular.save(models["additive"]).items():
        (tmp_path / name).write_bytes(content)
        files[name] = tmp_path / name
    columns = {field.name: str(field.type) for field in table.schema}
    predictor = Predictor(Model("tabular", LABELS, forms={"tabular": files}, columns=columns), "tabular")
    np.testing.assert_array_equal(predictor.logits(table.to_pylist()), predictor.logits(table))
    explained = predictor.reasons(table.to_pylist())[0]
    assert abs(sum(one.weight for one in explained.reasons) + explained.base - explained.score) < 1e-9
    weights = [abs(one.weight) for one in explained.reasons]
    assert weights == sorted(weights, reverse=True)
    logits = predictor.logits(table)[0]
    assert explained.score == pytest.approx(abs(float(logits[1] - logits[0])), abs=1e-6)
