"""The word `show`: what was stored, who did what, and the recipe in full."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

from savile.base import recipe as recipes
from savile.base.errors import CorruptError
from savile.base.store import Store
from savile.flow import _refs
from savile.flow._options import OnShow
from savile.flow._result import envelope

KEYS = "keys"
LISTS = ("store", "data", "model", "report", "release")


def show(what: str = "store", *, full: bool = False, verify: bool = False, **more: Unpack[OnShow]) -> dict[str, Any]:
    """Show what is stored (store, or data, model, report, release), one record or alias, API keys, the audit log, or a recipe.

    Args:
        what: store, data, model, report, release, keys, audit, recipe, schema, the path of a recipe, a reference or an alias.
        full: a recipe with every default, a record with all it says, the audit log from its beginning.
        verify: hold the audit log, or a record and all it was made from, against their digests.
        passport: of data, where it comes from, who has which rights, how it was labelled and checked, as JSON and as a page.
        settings: dotted keys of the recipe and their values, for `show recipe`.

    Raises:
        UnknownNameError: nothing has that name.
        CorruptError: with `verify`, something is not what was written.
    """
    if what == "schema":
        return {**envelope("show"), "schema_of_recipe": recipes.schema()}
    if what == "recipe" or what.endswith((".yaml", ".yml")):
        found = recipes.make({}) if what == "recipe" else recipes.load(what)
        return {**envelope("show"), "recipe": recipes.dump(recipes.override(found, more.get("settings") or {}), full=full)}
    store = Store.open()
    if what == "audit":
        return {**envelope("show"), **_audit(store, full, verify)}
    if what == KEYS:
        from savile import serving

        return {**envelope("show"), "keys": serving.listed_keys()}
    if what in LISTS:
        listed = store.list(None if what == "store" else what)
        return {**envelope("show"), "home": str(store.home), "records": list(listed), "aliases": store.aliases()}
    if more.get("passport"):
        from savile import data

        return {**envelope("show"), **data.passport(_refs.stored_dataset(what))}
    entry = store.get(what)
    if verify:
        _hold(store, entry.ref)
    steps = {"steps": entry.settings["steps"]} if "steps" in entry.settings else {}
    said = {"settings": dict(entry.settings), "files": sorted(entry.files), "body": dict(entry.body)}
    parents = {"parents": list(entry.parents), "pages": list(entry.body.get("pages", ()))}
    return {
        **envelope("show", entry.ref),
        "kind": entry.kind,
        **parents,
        **steps,
        **(said if full else {"body": _short(entry.body)}),
    }


def _hold(store: Store, ref: str) -> None:
    """Hold a record and all it was made from, such as a release's model and its data, against their digests."""
    seen, waiting = set[str](), [ref]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += store.get(one, verify=True).parents


def _audit(store: Store, full: bool, verify: bool) -> dict[str, Any]:
    """The last lines of the log, or all of them, and with `verify` whether they are what was written."""
    import json

    path = Path(store.audit.path)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    problems = store.audit.verify() if verify else []
    if problems:
        raise CorruptError(f"the audit log {path} as it was written", "; ".join(problems[:5]), "Put it back from a backup.")
    shown = [json.loads(line) for line in (lines if full else lines[-20:])]
    return {"acts": len(lines), "verified": True if verify else None, "audit": shown}


def _short(body: Any) -> dict[str, Any]:
    """A body without its long tables."""
    return {name: value for name, value in body.items() if len(str(value)) <= 600}
