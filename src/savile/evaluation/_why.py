"""What decides: the columns or words that weigh most over test rows, and a few rows explained, for the report page."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base import answers

if TYPE_CHECKING:
    from savile.models import Predictor

EXACT_ROWS, ASKED_ROWS = 300, 24  # explained exactly, or by asking again without each word
SHOWN, EXAMPLES, LEAST_ROWS = 12, 3, 3


def reasons(predict: Predictor, inputs: Any) -> dict[str, Any] | None:
    """``said``, how it was found out; ``most``, mean absolute weight by column or word; ``examples``, some rows explained.

    Args:
        predict: what answers.
        inputs: the test rows as it reads them.
    """
    exact = predict.exact
    count = len(inputs)
    rows = np.unique(np.linspace(0, count - 1, min(count, EXACT_ROWS if exact else ASKED_ROWS)).astype(np.int64))
    asked = answers.take(inputs, rows)
    explained = predict.reasons(asked)
    if not any(one.reasons for one in explained):
        return None
    outputs = predict(asked)
    weights: dict[str, list[float]] = defaultdict(list)
    for one in explained:
        for reason in one.reasons:
            weights[reason.what].append(abs(reason.weight))
    table = predict.reads == "table"
    # a word in few rows says little about the whole; a column is in every row
    often = {what: float(np.mean(found)) for what, found in weights.items() if table or len(found) >= LEAST_ROWS}
    most = sorted(often.items(), key=lambda one: (-one[1], one[0]))[:SHOWN]
    how = "exactly, from the model itself" if exact else "by asking again without each word"
    said = f"Mean weight over {len(rows)} test rows, in log-odds of the answer (of a number, in its units), found {how}."
    shown = [
        {
            "answer": _answer(predict, outputs, row),
            "reasons": [vars(reason) for reason in explained[row].reasons[:SHOWN]],
        }
        for row in range(min(EXAMPLES, len(rows)))
    ]
    return {"said": said, "most": [{"what": what, "weight": weight} for what, weight in most], "examples": shown}


def _answer(predict: Predictor, outputs: Any, row: int) -> str:
    if outputs.low is not None:
        return f"{outputs.choice[row]:.4g}"
    if outputs.choice.ndim == 1:
        return str(predict.labels[outputs.choice[row]])
    return ", ".join(predict.labels[i] for i in np.flatnonzero(outputs.choice[row])) or "(none)"
