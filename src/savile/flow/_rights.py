"""Rights at every use: the rules that came with the data are asked again, and each use is written to the audit log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from savile.base import rights as rules
from savile.base.errors import InputError, RefusalError
from savile.base.records import Dataset, Model, Release
from savile.base.store import Store
from savile.flow import _refs

USE = ("purpose", "region", "commercial", "distribute")  # what a recipe may say of a use that is not the governed one


def use(data: Dataset, stage: rules.Stage, asked: Any = None) -> None:
    """Allow one use of data, or refuse it; either way the audit log says so. Data that came without rights is not asked for.

    Args:
        data: what is used.
        stage: what for.
        asked: what the recipe says of this use, the settings of ``data.steps.rights``.

    Raises:
        RefusalError: a rule forbids it, or somebody in the data has asked to be erased.
    """
    store = Store.open()
    _check_erased(store, data.ref)
    outcome = data.settings.get("steps", {}).get("rights")
    if outcome is None:
        return
    meant = {name: asked[name] for name in USE if isinstance(asked, Mapping) and name in asked}
    rights = rules.of({**outcome["rules"], **meant})
    present = {one["name"] for one in outcome["sources"] if one["rows"]}
    rights = replace(rights, sources=tuple(source for source in rights.sources if source.name in present))
    broken = rules.breaches(rights, stage, date.today(), _uses(store, stage))
    said = {"stage": stage, "purpose": rights.purpose, "region": rights.region, "sources": sorted(present)}
    store.audit.append(
        "refuse" if broken else "use", data.ref, **said, **({"why": [one.rule for one in broken]} if broken else {})
    )
    if broken:
        from savile.data.rights import refusal

        raise refusal(stage, broken)


def use_of_model(found: Model | Release, stage: rules.Stage) -> None:
    """The same for the data behind a model or a release.

    Raises:
        RefusalError: a rule forbids it, or somebody in the data has asked to be erased.
    """
    store = Store.open()
    _check_erased(store, found.ref)
    model: Model = store.load(found.model) if isinstance(found, Release) else found
    _check_erased(store, model.ref)
    try:
        data = _refs.data_of(model)
    except InputError:
        return
    use(data, stage)


def _uses(store: Store, stage: str) -> Counter[str]:
    """Source -> how often it was put to this use before."""
    acts = (act["facts"] for act in store.audit.acts("use"))
    return Counter(name for facts in acts if facts["stage"] == stage for name in facts["sources"])


def _check_erased(store: Store, ref: str) -> None:
    for act in store.audit.acts("erase"):
        if act["subject"] == ref:
            do = "Use the data without that person, and what is made of it; `savile show audit --full` lists what was marked."
            raise RefusalError("records nobody has asked to be erased from", f"{ref}, marked on {act['time'][:10]}", do)
