"""A base reads a company's documents before it learns a task: hidden words of an encoder, the next word of a language model.

Continued pre-training (Gururangan et al., ACL 2020). What comes out is a base like any other, a folder in the Hugging Face
layout under ``$SAVILE_HOME/bases``. Passages are set apart to say what it was good for: the perplexity of words it has not
read, before and after; of an encoder, whose words are guessed one hidden share at a time, a pseudo-perplexity (Salazar et
al., ACL 2020), and before means the base as it was with a layer that guesses words learned on top. So that an encoder's
vectors keep their meaning, those of whole passages are held near what they were. Facts can be learned by an adapter instead,
see `savile.adaptation._knowledge`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from savile.adaptation import _documents, _knowledge, _readers
from savile.base import events
from savile.base.errors import InputError, UnknownNameError
from savile.base.records import canonical, digest

EDITION = 1  # of this file: raised when the same documents would come out otherwise
HELD, MOST_HELD = 0.1, 200  # share of the passages that judge, and how many at most
FACTS = "pretraining.json"


@dataclass(frozen=True)
class Settings:
    """How documents are read.

    Attributes:
        steps: of the whole base; half as many before them for the layer that guesses words.
        learning_rate: peak.
        hidden: share of the words of a passage that an encoder has to guess.
        stay: weight of keeping vectors of whole passages where they were.
        batch_rows: passages a step.
        max_length: tokens of a passage.
        seed: of everything random.
    """

    steps: int = 200
    learning_rate: float = 5e-5
    hidden: float = 0.15
    stay: float = 1.0
    batch_rows: int = 16
    max_length: int = 128
    seed: int = 0


def pretrained(base: str, documents: str | Path, settings: Settings | _knowledge.Settings | None = None) -> str:
    """The folder of a base that has read documents; the same documents and settings give the one that is there already.

    Args:
        base: what reads them, see `savile.models._bases.locate`.
        documents: see `_documents.read`; for an adapter see `_documents.facts`.
        settings: how, and whether the whole base reads or an adapter.

    Raises:
        InputError: a base that reads no words in their places, or documents that are not there.
        DataError: documents without enough text.
    """
    from savile.base.store import Store
    from savile.models._bases import locate

    found, settings = locate(base), settings or Settings()
    if found.kind not in ("encoder", "decoder"):
        do = "Use minilm, a BERT-like base or a language model, or leave model.documents out."
        raise InputError("a base that reads words in their places, to read documents", f"{base}, a {found.kind} model", do)
    what: Sequence[Any]
    read: Any
    if isinstance(settings, _knowledge.Settings):
        what, read = _documents.facts(documents), _knowledge.learn
    else:
        what, read = _documents.read(documents), _read
    if len(what) < 10:
        raise InputError("ten passages or facts, or more", f"{len(what)} at {documents}", "Give more documents.")
    store = Store.open()
    key = digest(canonical(["pretrain", EDITION, found.sha256, digest(canonical(what)), asdict(settings)]))
    folder = store.home / "bases" / key[:16]
    with store.alone(key):
        if not (folder / FACTS).is_file():
            aside = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            about = {"base": found.name, "settings": asdict(settings), **read(found, what, settings, aside)}
            (aside / FACTS).write_text(json.dumps(about, indent=1, sort_keys=True))
            shutil.rmtree(folder, ignore_errors=True)
            aside.rename(folder)
            store.audit.append("pretrain", folder.name, base=found.name, passages=len(what))
    events.emit("note", text=said(folder))
    return str(folder)


def facts(folder: str | Path) -> dict[str, Any]:
    """What reading was good for: passages, steps, perplexity before and after; of an adapter, facts and what it tells."""
    found: dict[str, Any] = json.loads((Path(folder) / FACTS).read_text())
    return found


def said(folder: str | Path) -> str:
    """The same in a sentence."""
    one = facts(folder)
    if "facts" in one:
        return (
            f"An adapter on {one['base']} has learned {one['facts']:,} facts in {one['wordings']:,} sentences: asked in a "
            f"wording it has not read it tells {one['after']:.0%} of them, before {one['before']:.0%}."
        )
    return (
        f"{one['base']} has read {one['passages']:,} passages in {one['steps']} steps: {one['measure']} of {one['held']} "
        f"others {one['after']:.1f}, before {one['before']:.1f}."
    )


def _read(base: Any, passages: Sequence[str], settings: Settings, folder: Path) -> dict[str, Any]:
    """Train, write the base into a folder, and say what it was good for."""
    rng = np.random.default_rng(settings.seed)
    order = rng.permutation(len(passages))
    count = max(1, min(MOST_HELD, round(HELD * len(passages))))
    held, learned = ([passages[row] for row in rows] for rows in (order[:count], order[count:]))
    kind = _readers.Hidden if base.kind == "encoder" else _readers.Next
    reader = kind(base, learned, held, settings)
    before, after = reader.run()
    reader.save(folder)
    told = {"passages": len(learned), "held": len(held), "steps": settings.steps, "before": before, "after": after}
    return {**told, "measure": kind.measure}


def settings_of(given: Mapping[str, Any]) -> Settings | _knowledge.Settings:
    """Settings by name; ``method`` says whether the whole base reads, ``full``, or an adapter, ``lora``.

    Raises:
        UnknownNameError: there is no such method or setting.
    """
    kinds: dict[str, Any] = {"full": Settings, "lora": _knowledge.Settings}
    own = {name: value for name, value in given.items() if name != "method"}
    method = given.get("method", "full")
    if method not in kinds:
        raise UnknownNameError("method of reading", str(method), kinds)
    known = asdict(kinds[method]())
    for name in own:
        if name not in known:
            raise UnknownNameError("setting of reading documents", name, known)
    found: Settings | _knowledge.Settings = kinds[method](**own)
    return found
