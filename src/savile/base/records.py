"""Records: the small frozen dataclasses that flow from room to room, and how each becomes an entry of the store.

A record knows its content, its settings and its parents; the store derives the id from those three, so lineage costs nothing
and doing the same thing twice gives the same name. `ref` (``data@3f2a…``) is empty until the store has the record.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from savile.base import people
from savile.base.outputs import Calibration as Calibration
from savile.base.outputs import Outputs as Outputs  # a record like the others to whoever reads them

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from savile.base.contracts import Inputs, Reads

PARTS = ("train", "valid", "calib", "test")


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, UTF-8 kept; what every digest is taken of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=str)


def digest(data: bytes | str) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


@dataclass(frozen=True)
class Entry:
    """A record as the store keeps it.

    Attributes:
        kind: ``data``, ``model``, ``report``, ``release`` …
        body: JSON-able content.
        settings: JSON-able settings that made it.
        parents: references (``data@3f2a…``) it was made from.
        files: name -> bytes or a path, on the way in; name -> path of the stored blob, on the way out.
        id: empty until stored.
    """

    kind: str
    body: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    parents: tuple[str, ...] = ()
    files: Mapping[str, Path | bytes] = field(default_factory=dict)
    id: str = ""

    @property
    def ref(self) -> str:
        """``kind@id``."""
        return f"{self.kind}@{self.id}"


@dataclass(frozen=True)
class Finding:
    """One thing wrong or noted in data.

    Attributes:
        rule: name of the check, such as ``near_duplicate``.
        severity: ``note``, ``warning`` or ``error``.
        rows: row numbers concerned, at most the first 1,000; `count` has the whole number.
        evidence: what was seen, in words a data owner understands; never raw personal data.
        repair: proposed action, empty when there is none.
    """

    rule: str
    severity: str
    count: int
    evidence: str
    rows: tuple[int, ...] = ()
    confidence: float = 1.0
    repair: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {**self.__dict__, "rows": list(self.rows)}


@dataclass(frozen=True)
class Dataset:
    """A table with roles, immutable.

    Attributes:
        table: rows in Arrow, personal data already masked when the policy says so.
        roles: role -> column name (``text``, ``label``, ``group``, ``time`` …).
        parts: part -> row numbers, int64, disjoint; keys among ``train valid calib test``. ``valid`` and ``calib`` are empty
            when out-of-fold predictions take their place (house rule for small data).
        task: name of the task the table is for.
        labels: the distinct labels, sorted; a label's index is its class.
        mask: the mask policy (see `base.mask`) that live text must go through too.
        findings: what was noted on the way in.
        name: a human name, usually the file's stem.
        units: rows with one number hold nearly the same text or belong to one group, and are seen or held out together,
            int64 (rows,); None when nobody looked.
        files: what steps keep beside the rows, named ``<step>/<name>``.
        known_by: keyed digests of what identifies people in columns that are not stored; None where nobody took any.
    """

    table: pa.Table
    roles: Mapping[str, str]
    parts: Mapping[str, np.ndarray]
    task: str = "classify"
    labels: tuple[str, ...] = ()
    mask: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    name: str = "data"
    units: np.ndarray | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    parents: tuple[str, ...] = ()
    files: Mapping[str, Path | bytes] = field(default_factory=dict)
    known_by: people.Known = field(default=None, compare=False)
    ref: str = field(default="", compare=False)

    def column(self, role: str, part: str | None = None) -> list[Any]:
        """The values of a role, of one part or of all rows."""
        column = self.table.column(self.roles[role])
        chosen: list[Any] = (column if part is None else column.take(self.parts[part])).to_pylist()
        return chosen

    def texts(self, part: str | None = None) -> list[str]:
        """The rows of a part as a model reads them: rendered by the task; without a text column, column by column."""
        from savile.base import catalogue

        if "text" not in self.roles:
            rows = self.features(part).to_pylist()
            return ["; ".join(f"{name}: {value}" for name, value in row.items() if value is not None) for row in rows]
        render, fields = catalogue.get("tasks", self.task).render, catalogue.get("tasks", self.task).fields()
        read = [role for role in (*fields.required, *fields.optional) if role in self.roles and role != "label"]
        values = zip(*(self.column(role, part) for role in read), strict=True)
        return [render(dict(zip(read, row, strict=True))) for row in values]

    def features(self, part: str | None = None) -> pa.Table:
        """The columns that say something about a row before its label is known, the text among them; ids are none of them."""
        apart = {name for role, name in self.roles.items() if role != "text"}
        apart |= {one["name"] for one in self.settings.get("columns", ()) if one["role"] in ("id", "constant", "empty")}
        kept = self.table.select([name for name in self.table.column_names if name not in apart])
        return kept if part is None else kept.take(self.parts[part])

    def inputs(self, reads: Reads, part: str | None = None) -> Inputs:
        """A part as a family reads it: texts, or a table."""
        return self.features(part) if reads == "table" else self.texts(part)

    def targets(self, part: str | None = None, labels: Sequence[str] | None = None) -> np.ndarray:
        """What is right in each row of a part, as the task says; `labels` are those of a model, when in another order."""
        from savile.base import answers

        own = self.labels if labels is None else labels
        return answers.targets(self.task, self.column("label", part), own, lambda: self.texts(part))

    def shares(self, part: str) -> np.ndarray | None:
        """What share of people would give each label in a part, float32 (n, L), where several did; None where nobody says."""
        from savile.base import answers

        if "shares" not in self.roles:
            return None
        return answers.shares(self.column("shares", part), self.targets(part), self.labels)

    def stages(self, part: str) -> np.ndarray | None:
        """Which stage of a data set that grew each row of a part came with, from 0, int64 (n,); None where it never grew."""
        import numpy as np

        if "stage" not in self.roles:
            return None
        place = {name: number for number, name in enumerate(self.settings["stages"])}
        return np.array([place[name] for name in self.column("stage", part)], dtype=np.int64)

    def select(self, part: str, rows: np.ndarray) -> Dataset:
        """The same data with one part narrowed or replaced by `rows`."""
        return replace(self, parts={**self.parts, part: rows})

    @property
    def digest(self) -> str:
        """Digest of rows, roles, parts and what stays together."""
        parts = {name: digest(rows.tobytes()) for name, rows in self.parts.items()}
        units = [] if self.units is None else [digest(self.units.tobytes())]
        return digest(canonical([digest(self._arrow()), dict(self.roles), parts, self.task, *units]))

    def _arrow(self) -> bytes:
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, self.table.schema) as writer:
            writer.write_table(self.table.combine_chunks())
        return bytes(sink.getvalue().to_pybytes())

    def entry(self) -> Entry:
        """What the store keeps."""
        from safetensors.numpy import save

        body = {
            "roles": dict(self.roles),
            "task": self.task,
            "labels": list(self.labels),
            "mask": dict(self.mask),
            "findings": [finding.as_dict() for finding in self.findings],
            "name": self.name,
            "rows": self.table.num_rows,
            "parts": {name: len(rows) for name, rows in self.parts.items()},
            "digest": self.digest,
        }
        files = {**self.files, "table.arrow": self._arrow(), "parts.safetensors": save(dict(self.parts))}
        files |= people.files(self.known_by)
        files |= {} if self.units is None else {"units.safetensors": save({"units": self.units})}
        return Entry("data", body, self.settings, self.parents, files)

    @classmethod
    def from_entry(cls, entry: Entry) -> Dataset:
        """The data set of a stored entry."""
        import pyarrow as pa
        from safetensors.numpy import load_file

        with pa.memory_map(str(entry.files["table.arrow"])) as source:
            table = pa.ipc.open_file(source).read_all()
        body, units = entry.body, entry.files.get("units.safetensors")
        return cls(
            table=table,
            roles=body["roles"],
            parts=load_file(str(entry.files["parts.safetensors"])),
            task=body["task"],
            labels=tuple(body["labels"]),
            mask=body["mask"],
            findings=tuple(Finding(**{**f, "rows": tuple(f["rows"])}) for f in body["findings"]),
            name=body["name"],
            units=None if units is None else load_file(str(units))["units"],
            settings=entry.settings,
            parents=entry.parents,
            files={name: path for name, path in entry.files.items() if "/" in name},
            known_by=people.read(entry.files),
            ref=entry.ref,
        )


@dataclass(frozen=True)
class Model:
    """A loadable answerer: base, head, adapters, calibration.

    Attributes:
        family: catalogue name of the model family (``linear``, ``encoder``).
        base: name or path of the base; empty for families without one.
        base_digest: SHA-256 of the base's weights file.
        method: catalogue name of the adaptation method.
        task: catalogue name of the task.
        labels: label of each output.
        forms: form name (``torch``, ``openvino-bf16``, ``onnx-fp32``, ``onnx-int8`` …) -> file name -> path.
        calibrations: form name -> its calibration.
        mask: mask policy applied to every text before the model sees it.
        columns: of a family that reads tables, each feature column and its Arrow type.
        facts: what was noted in training (metrics on validation, seconds, trainable share …).
    """

    family: str
    labels: tuple[str, ...]
    task: str = "classify"
    base: str = ""
    base_digest: str = ""
    method: str = ""
    forms: Mapping[str, Mapping[str, Path | bytes]] = field(default_factory=dict)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    mask: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    parents: tuple[str, ...] = ()
    ref: str = field(default="", compare=False)

    def with_form(self, name: str, files: Mapping[str, Path | bytes], calibration: Calibration) -> Model:
        """The same model with one more form."""
        return replace(self, forms={**self.forms, name: files}, calibrations={**self.calibrations, name: calibration})

    def entry(self) -> Entry:
        """What the store keeps."""
        body = {name: getattr(self, name) for name in ("family", "task", "base", "base_digest", "method", "mask", "facts")}
        body["labels"] = list(self.labels)
        if self.columns:
            body["columns"] = dict(self.columns)
        body["calibrations"] = {form: c.as_dict() for form, c in self.calibrations.items()}
        files = {f"{form}/{name}": data for form, named in self.forms.items() for name, data in named.items()}
        return Entry("model", body, self.settings, self.parents, files)

    @classmethod
    def from_entry(cls, entry: Entry) -> Model:
        """The model of a stored entry; forms point at the store's blobs."""
        body = dict(entry.body)
        forms: dict[str, dict[str, Path | bytes]] = {}
        for key, path in entry.files.items():
            form, _, name = key.partition("/")
            forms.setdefault(form, {})[name] = path
        calibrations = {form: Calibration.of_json(c) for form, c in body.pop("calibrations").items()}
        labels = tuple(body.pop("labels"))
        return cls(
            **body,
            labels=labels,
            forms=forms,
            calibrations=calibrations,
            settings=entry.settings,
            parents=entry.parents,
            ref=entry.ref,
        )


@dataclass(frozen=True)
class Report:
    """What was measured on the test part, once, at the end. `body` is the JSON of `savile run --json` minus its envelope."""

    body: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    parents: tuple[str, ...] = ()
    ref: str = field(default="", compare=False)

    def entry(self) -> Entry:
        """What the store keeps."""
        return Entry("report", self.body, self.settings, self.parents)

    @classmethod
    def from_entry(cls, entry: Entry) -> Report:
        """The report of a stored entry."""
        return cls(entry.body, entry.settings, entry.parents, entry.ref)


@dataclass(frozen=True)
class Release:
    """A model form that may serve: one bundle, one digest.

    Attributes:
        model: reference of the model.
        form: which of its forms serves.
        engine: catalogue name of the engine, chosen by measurement before the gate.
        report: reference of the report whose gate it passed.
        gate: the gate's result.
        cpu_flags: instruction sets the figures were measured with.
        bundle: name -> SHA-256 of everything an answer depends on (weights, tokenizer, calibration, mask policy).
        golden: SHA-256 of the golden inputs and expected answers that `/readyz` replays.
        approver: who let it serve.
        forced: whether it serves without a passed gate.
        serve: ``host``, ``port`` and ``keys`` as the recipe wanted them; no part of the digest, and overridden at will.
    """

    model: str
    form: str
    engine: str
    report: str
    gate: Mapping[str, Any]
    cpu_flags: tuple[str, ...]
    bundle: Mapping[str, str]
    approver: str
    forced: bool = False
    serve: Mapping[str, Any] = field(default_factory=dict)
    golden: Mapping[str, Any] = field(default_factory=dict)
    parents: tuple[str, ...] = ()
    ref: str = field(default="", compare=False)

    @property
    def digest(self) -> str:
        """One digest over the whole bundle, engine and CPU flags; every served answer carries it."""
        return digest(canonical([dict(self.bundle), self.form, self.engine, list(self.cpu_flags)]))

    def entry(self) -> Entry:
        """What the store keeps."""
        body = {k: v for k, v in self.__dict__.items() if k not in ("parents", "ref")}
        return Entry("release", {**body, "cpu_flags": list(self.cpu_flags), "digest": self.digest}, {}, self.parents)

    @classmethod
    def from_entry(cls, entry: Entry) -> Release:
        """The release of a stored entry."""
        body = {k: v for k, v in entry.body.items() if k != "digest"}
        return cls(**{**body, "cpu_flags": tuple(body["cpu_flags"])}, parents=entry.parents, ref=entry.ref)


@dataclass(frozen=True)
class Trace:
    """One served answer. `text` is kept only when the recipe allows it, and only masked."""

    release: str
    input_digest: str
    label: str
    probability: float
    abstain: bool
    seconds: float
    text: str | None = None
    correction: str | None = None


RECORDS: dict[str, type[Dataset] | type[Model] | type[Report] | type[Release]] = {
    "data": Dataset,
    "model": Model,
    "report": Report,
    "release": Release,
}
