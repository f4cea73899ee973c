"""Labels and targets behind the cells of a label column, and the classes rows are divided by."""

import numpy as np
import pytest

from savile.base import answers
from savile.base.errors import DataError
from savile.tasks import multilabel, score


def test_one_label_a_row_unless_a_task_says_otherwise():
    assert answers.labels("classify", ["b", "a", "b"]) == ("a", "b")
    assert answers.targets("classify", ["b", "a"], ("a", "b")).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["a|b", "b", ""], ("a", "b")),
        (["a; b", "b ;a"], ("a", "b")),
        (['["late, again", "b"]', "[]", "b"], ("b", "late, again")),
        (["billing, refund", "refund"], ("billing", "refund")),
        (["late, again|b", "late, again"], ("b", "late, again")),
        ([None, "a"], ("a",)),
    ],
)
def test_labels_of_cells_that_hold_several(cells, labels):
    assert multilabel.labels(cells) == labels


def test_targets_of_cells_that_hold_several():
    cells = ["a|b", '["b"]', "", None]
    assert multilabel.targets(cells, ("a", "b")).tolist() == [[1, 1], [0, 1], [0, 0], [0, 0]]
    assert multilabel.targets(["billing, refund"], ("billing", "refund")).tolist() == [[1, 1]]
    assert multilabel.targets(["late, again|b"], ("b", "late, again")).tolist() == [[1, 1]]


def test_numbers_must_be_numbers():
    assert score.targets(["1", " 2.5", "-3e2"], ("value",)).tolist() == [1.0, 2.5, -300.0]
    for cell in ("many", None, "nan", "inf"):
        with pytest.raises(DataError, match="a number in every cell"):
            score.targets([cell], ("value",))


def test_classes_to_divide_rows_by():
    assert answers.strata(np.array([2, 0, 1])).tolist() == [2, 0, 1]
    given = np.array([[1, 1], [1, 0], [1, 0], [0, 0]], dtype=np.float32)
    assert answers.strata(given).tolist() == [1, 0, 0, 2]  # the rarest label given, or none
    tenths = answers.strata(np.arange(100.0))
    assert np.bincount(tenths).tolist() == [10] * 10
