"""The one `predict`: masks, tokenises, runs a form on an engine, calibrates, abstains.

Evaluation, parity, readiness and serving all answer through it, so what is served is what was tested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base import catalogue, media
from savile.base.answers import NEXT
from savile.base.contracts import Inputs
from savile.base.errors import InputError
from savile.base.mask import Masker, Trace
from savile.base.outputs import Replies, Tokens
from savile.base.records import Calibration, Model, Outputs
from savile.models._calibrate import decide
from savile.models._sensed import sensed
from savile.models._spans import TOKEN, answered, padded_run, windows
from savile.models._vectors import VECTOR, paired, shortened

if TYPE_CHECKING:
    import pyarrow as pa

    from savile.models._reasons import Explained

BATCH_ROWS, BATCH_TOKENS = 64, 4096
LENGTH_STEP = 8  # lengths are padded up to a multiple of this, so engines see few shapes


class Predictor:
    """Answers texts, or rows of a table, with one form of a model.

    Args:
        model: a saved model.
        form: one of its forms.
        engine: catalogue name of the engine that runs the form; None lets the family answer itself, in fp32.
        threads: processor threads; None leaves the choice to the engine.
    """

    def __init__(self, model: Model, form: str, engine: str | None = None, threads: int | None = None) -> None:
        if form not in model.forms:
            raise InputError(f"a form among {', '.join(model.forms)}", repr(form), "Compress the model to get more forms.")
        self.model, self.form, self.engine = model, form, engine
        self.labels = model.labels
        self.calibration = model.calibrations.get(form, Calibration())
        self.head = catalogue.get("tasks", model.task).head(len(model.labels))
        self._mask = Masker(model.mask)
        files = {name: Path(str(path)) for name, path in model.forms[form].items()}
        family = catalogue.get("families", model.family)
        self.reads = family.reads
        self.answerer: Any = None  # of the family itself; an engine has none
        tags = self.head.loss == TOKEN
        if engine is None:
            answerer = self.answerer = family.load(model, form)
            self._logits: Callable[[Any], Any] = lambda inputs: family.predict(answerer, inputs)
        else:
            self._run = catalogue.get("engines", engine).open(files, threads or 0)
            self._tokens = family.cutter(files) if tags else family.tokens(files)
            self._logits = self._engine_tokens if tags else self._engine_logits
            if self.head.loss == VECTOR:
                self._logits = lambda texts: paired(texts, self._engine_logits)

    def __call__(self, inputs: Inputs | Sequence[Mapping[str, Any]]) -> Outputs:
        """Texts or rows (see `logits`) -> calibrated answers, in the order given."""
        return self.decide(self.logits(inputs))

    def logits(self, inputs: Inputs | Sequence[Mapping[str, Any]]) -> Any:
        """What is asked -> uncalibrated logits, float32 (n, outputs), or `Tokens`, whose places are those of the given texts.

        Args:
            inputs: texts; of a family that reads tables, a table with the feature columns, or rows by column name. Whatever is
                text in them is masked first.
        """
        empty: Any = Replies.of([], []) if self.head.loss == NEXT else np.zeros((0, self.head.outputs), dtype=np.float32)
        if self.head.loss != TOKEN:
            return self._logits(self.masked(inputs)) if len(inputs) else empty
        if not len(inputs):
            return Tokens.of([], self.head.outputs)
        traces = [self._mask.traced(str(text)) for text in inputs]
        found: Tokens = self._logits([trace.text for trace in traces])
        return found.moved(back(found, traces)) if any(trace.moved for trace in traces) else found

    def vectors(self, texts: Sequence[str], size: int | None = None) -> np.ndarray:
        """Texts -> their vectors, unit length, float32 (n, d), or the first `size` numbers of them, made unit length again.

        Raises:
            InputError: the model makes no vectors, or shorter ones.
        """
        if self.head.loss != VECTOR:
            raise InputError("a model of the task embed", f"the task {self.model.task}", "Adapt with --task embed.")
        whole = self.logits(texts)
        return shortened(whole[:, : whole.shape[1] // 2], size)

    def beside(self, prompts: Sequence[str], given: Sequence[str], most: int) -> Outputs:
        """What is written in answer to at most `most` of n prompts, spread evenly, and how likely the answer given to each is.

        Raises:
            InputError: the model does not answer in words.
        """
        if self.head.loss != NEXT:
            raise InputError("a model of the task answer", f"the task {self.model.task}", "Adapt with --task answer.")
        chosen = np.unique(np.linspace(0, len(prompts) - 1, min(len(prompts), most)).astype(np.int64))
        written = self.logits([prompts[row] for row in chosen])
        likely = catalogue.get("families", self.model.family).likely
        return self.decide(written.among(chosen, likely(self.answerer, self.masked(prompts), self._mask.many(given))))

    def masked(self, inputs: Inputs | Sequence[Mapping[str, Any]]) -> Inputs:
        """The inputs as the model sees them."""
        if self.reads == "text":
            return self._mask.many(inputs)  # type: ignore[arg-type]
        import pyarrow as pa

        table = inputs if isinstance(inputs, pa.Table) else tabled(inputs, self.model.columns)  # type: ignore[arg-type]
        for place, name in enumerate(table.column_names):
            if pa.types.is_string(table.schema.field(place).type) and self.model.columns.get(name) not in media.KINDS:
                texts = [None if text is None else self._mask(text) for text in table.column(place).to_pylist()]
                table = table.set_column(place, name, pa.array(texts, pa.string()))
        return table

    def decide(self, logits: Any) -> Outputs:
        """Logits (n, outputs), or `Tokens` -> calibrated answers."""
        return decide(self.head, logits, self.calibration)

    def reasons(self, inputs: Inputs | Sequence[Mapping[str, Any]]) -> list[Explained]:
        """Texts or rows -> why each is answered as it is: columns or words, the weightiest first (see `_reasons`)."""
        from savile.models._reasons import explain

        return explain(self, inputs)

    @property
    def exact(self) -> bool:
        """Whether the weights of reasons sum to the score, or are found by asking again."""
        return self.answerer is not None and hasattr(catalogue.get("families", self.model.family), "contributions")

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Texts -> token ids, as the engine reads them."""
        if self.head.loss == TOKEN:
            return [window.ids for window in windows(self._tokens, self._tokens(texts))]
        ids: list[list[int]] = self._tokens(texts)
        return ids

    def _engine_tokens(self, texts: Sequence[str]) -> Tokens:
        return answered(texts, self._tokens, padded_run(self._run, batches, pad), self.head.outputs)

    def _engine_logits(self, texts: Sequence[str]) -> np.ndarray:
        ids = self.tokens(texts)
        lengths = np.array([len(row) for row in ids])
        logits = np.empty((len(ids), 0), dtype=np.float32)
        for rows in batches(lengths):
            some = self._run(*pad([ids[row] for row in rows]))
            logits = logits if logits.shape[1] else np.empty((len(ids), some.shape[1]), dtype=np.float32)
            logits[rows] = some
        return logits


def back(found: Tokens, traces: Sequence[Trace]) -> np.ndarray:
    """Places in masked texts -> places in the texts as they came, int64 (t, 2)."""
    places = found.places.copy()
    for row, trace in enumerate(traces):
        if trace.moved:
            inside = slice(found.bounds[row], found.bounds[row + 1])
            places[inside] = trace.origin(places[inside])
    return places


def tabled(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> pa.Table:
    """Rows by column name -> the table a model reads; a column that a row does not name is empty there.

    Raises:
        InputError: a row names a column the model does not know, or a value is not of the column's type.
    """
    import pyarrow as pa

    unknown = sorted({name for row in rows for name in row} - set(columns))
    if unknown:
        raise InputError(f"columns among {', '.join(columns)}", ", ".join(unknown), "Leave them out.")
    seen = [name for name, kind in columns.items() if kind in media.KINDS]
    kinds = {name: "string" if name in seen else kind for name, kind in columns.items()}
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in kinds.items()])
    try:
        found = pa.Table.from_pylist([dict(row) for row in rows], schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        wanted = ", ".join(f"{name} ({kind})" for name, kind in columns.items())
        raise InputError(f"values of the types {wanted}", str(error).partition("\n")[0], "Correct the values.") from error
    for name in seen:
        sensed(name, columns[name], found.column(name).to_pylist())
    return found


def batches(lengths: np.ndarray) -> list[np.ndarray]:
    """Row numbers of each batch: rows of like length together, longest first, within the row and token budgets."""
    order = np.argsort(-lengths, kind="stable")
    found, start = [], 0
    while start < len(order):
        longest = -(-int(lengths[order[start]]) // LENGTH_STEP) * LENGTH_STEP
        end = start + max(1, min(BATCH_ROWS, BATCH_TOKENS // longest))
        found.append(order[start:end])
        start = end
    return found


def pad(ids: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of some rows -> ids and mask, int64 (n, s), s a multiple of `LENGTH_STEP`."""
    longest = -(-max(len(row) for row in ids) // LENGTH_STEP) * LENGTH_STEP
    padded = np.zeros((len(ids), longest), dtype=np.int64)
    mask = np.zeros_like(padded)
    for i, row in enumerate(ids):
        padded[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return padded, mask
