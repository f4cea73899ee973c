"""The word `serve`: answers over HTTP from a model that has passed its gate."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Unpack

from savile.base import recipe as recipes
from savile.base.errors import GateError, InputError, UnknownNameError
from savile.base.events import emit
from savile.base.records import Model, Release
from savile.base.store import Store
from savile.flow import _bars, _line, _refs, _rights
from savile.flow._options import OnServe
from savile.flow._result import envelope
from savile.flow.evaluate import evaluate


def serve(
    model: str | Model | Release = "champion",
    *,
    host: str | None = None,
    port: int | None = None,
    keys: str | None = None,
    force: bool = False,
    **more: Unpack[OnServe],
) -> dict[str, Any]:
    """Answer over HTTP until stopped; refuses what has no report that passed its gate.

    Args:
        model: a release, a model or an alias; default: champion, the last one that passed. An alias is followed: the release
            it comes to stand for takes the place of this one without a pause, and goes again when it fails.
        host: address to listen on; default: what the recipe said, or 127.0.0.1, this machine only.
        port: default: what the recipe said, or 8080; 0 takes a free one.
        keys: required or none; default: what the recipe said, or required.
        force: serve without a passing report; written to the audit log.
        new_key: make an API key for somebody of this name, show it once, and do not serve.
        revoke_key: take every API key of this name back, at once for servers that run, and do not serve.
        app: an app whose routes are added; default: those the recipe said.
        settings: dotted keys of the recipe and their values, such as serve.port.

    Returns:
        What was served, once it was stopped; or what became of the key.

    Raises:
        GateError: there is no report that passed.
        RefusalError: the rights to the data behind it do not allow it.
        UnknownNameError: nobody has a key of the name to be revoked.
        MachineError: the port is in use.
    """
    from savile import serving

    if name := _key_of(more):
        if more.get("revoke_key"):
            return {**envelope("serve"), "name": name, "revoked": serving.revoke_key(name)}
        return {**envelope("serve"), "name": name, "key": serving.new_key(name)}
    asked = _asked({"host": host, "port": port, "keys": keys}, more)
    found = _refs.model_or_release(model)
    _rights.use_of_model(found, "serve")
    release = _release(found, force)
    wanted = _section(release, asked)

    def ready(url: str) -> None:
        emit("result", **envelope("serve", release.ref), url=url, release=release.ref, pid=os.getpid())

    named = isinstance(model, str) and Store.open().aliases().get(model) == release.ref
    followed: dict[str, Any] = {"alias": model} if named else {}
    serving.serve(release, wanted.host, wanted.port, wanted.keys == "required", ready, wanted.apps, **followed)
    return {**envelope("serve", release.ref), "release": release.ref}


def plan(
    model: str | Model | Release = "champion",
    *,
    host: str | None = None,
    port: int | None = None,
    keys: str | None = None,
    force: bool = False,
    **more: Unpack[OnServe],
) -> dict[str, Any]:
    """What `serve` would serve with the same arguments, and where; or for whom a key would be made or taken back."""
    from savile import serving

    if name := _key_of(more):
        known = [key["name"] for key in serving.listed_keys()]
        if more.get("revoke_key") and name not in known:
            raise UnknownNameError("API key", name, known)
        return {**envelope("serve"), "verdict": "dry_run", "name": name, "key": None}
    asked = _asked({"host": host, "port": port, "keys": keys}, more)
    found = _refs.model_or_release(model)
    wanted = _section(found, asked)
    report = None if isinstance(found, Release) else _bars.passed(found)
    if not force and not (found.gate.get("passed") if isinstance(found, Release) else report):
        raise _refusal(found)
    passed = {"report": found.report if isinstance(found, Release) else report.ref if report else None, "serves": found.ref}
    return {**envelope("serve"), "verdict": "dry_run", **passed, "url": None, "serve": recipes.plain(wanted)}


def _key_of(more: OnServe) -> str:
    """Whose key is to be made or taken back instead of serving; empty when there is something to serve.

    Raises:
        InputError: both at once.
    """
    new, old = more.get("new_key"), more.get("revoke_key")
    if new is not None and old is not None:
        raise InputError("one of --new-key and --revoke-key", "both", "Do one after the other.")
    if "" in (new, old):
        raise InputError("a name", "nothing", "Name whom the key is for.")
    return new or old or ""


def _asked(options: Mapping[str, Any], more: OnServe) -> dict[str, Any]:
    """What the caller says about serving, by dotted key of a recipe.

    Raises:
        RecipeError: there is no such key, or it cannot have that value.
    """
    given = {f"serve.{name}": option for name, option in options.items() if option is not None}
    given |= {"serve.apps": [more["app"]]} if more.get("app") else {}
    given |= dict(more.get("settings") or {})
    recipes.make(given)  # what is wrong with it is told before anything is looked up
    return given


def _section(found: Model | Release, asked: Mapping[str, Any]) -> recipes.Serve:
    """How to serve: as the release's recipe said, with what the caller says otherwise."""
    said = found.serve if isinstance(found, Release) else {}
    return recipes.make({**{f"serve.{name}": value for name, value in said.items()}, **asked}).serve


def _release(found: Model | Release, force: bool) -> Release:
    """The release itself, or one made of a model and the newest report that it passed with."""
    if isinstance(found, Release):
        if not found.gate.get("passed") and not force:
            raise _refusal(found)
        return found
    report = _bars.passed(found)
    data = _refs.data_of(found)
    if report is not None:
        return _line.release(found, report, data)
    if not force:
        raise _refusal(found)
    return _line.release(found, evaluate(found, data), data, forced=True)


def _refusal(found: Model | Release) -> GateError:
    do = f"Run `savile evaluate {found.ref}` and pass its bars, or serve with --force, which is written to the audit log."
    return GateError(f"a report with which {found.ref} passed its gate", "none", do)
