"""A model's form in a folder of its own: what another program needs to answer as this one does, and nothing that runs code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from savile.base.errors import CorruptError
from savile.base.records import Entry, Model, canonical
from savile.models._predict import Predictor

MANIFEST = "model.json"


def write(model: Model, form: str, engine: str | None, folder: Path) -> None:
    """Write one form of a model: its files under ``files/``, and what else answers depend on in ``model.json``.

    Args:
        model: a stored model.
        form: one of its forms.
        engine: what runs it; None for the family itself.
        folder: made when it is not there.
    """
    (folder / "files").mkdir(parents=True, exist_ok=True)
    for name, content in model.forms[form].items():
        target = folder / "files" / name
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            shutil.copyfile(content, target)
    entry = model.entry()
    body = {**entry.body, "facts": {}}  # how it was trained is in the report
    said = {"body": body, "settings": entry.settings, "form": form, "engine": engine, "ref": model.ref}
    (folder / MANIFEST).write_text(canonical(said), encoding="utf-8")


def read(folder: Path) -> Predictor:
    """The predictor of a folder.

    Raises:
        CorruptError: it is not what `write` left.
    """
    try:
        said = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files: dict[str, Path | bytes] = {f"{said['form']}/{path.name}": path for path in (folder / "files").iterdir()}
        model = Model.from_entry(Entry("model", said["body"], said["settings"], (), files))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptError(f"a model in {folder}", str(error).partition("\n")[0], "Write it again.") from error
    return Predictor(model, said["form"], said["engine"])
