"""Serve: answer over HTTP with exactly the model that was tested.

`release` bundles one form of a model with the report whose gate it passed: weights, tokenizer, calibration, mask policy and
labels under one digest, and 64 golden inputs with the answers expected. `serve` holds the bundle against its digests, replays
the golden inputs, listens, and finishes what it has begun when it is told to stop. One file is one engine: ``available()``
says why it cannot run here, ``open(files, threads)`` loads a form, ``READS`` names the kinds of forms it reads. To add an
engine, add a file; `savile.testing.check_engine` holds it against the contract.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from savile.base import catalogue, machine
from savile.base.errors import GateError, InputError, MachineError
from savile.base.records import Dataset, Model, Release, Report
from savile.base.store import Store
from savile.serving._keys import listed_keys, new_key, revoke_key

__all__ = ["listed_keys", "new_key", "release", "revoke_key", "serve"]


class Options(TypedDict, total=False):
    """Of a release: `forced`, to release without a passed gate; `serve`, where and to whom, as the recipe says."""

    forced: bool
    serve: Mapping[str, Any]


class Following(TypedDict, total=False):
    """Of serving: `alias`, a name such as champion; another release that it comes to stand for takes the place of this one."""

    alias: str


def release(
    model: Model, form: str | None, engine: str | None, report: Report, data: Dataset, approver: str, **more: Unpack[Options]
) -> Release:
    """Bundle one form of a model that passed its gate, so that it may serve.

    Args:
        model: a stored model.
        form: which of its forms; None is the trained one.
        engine: what runs it; None is the model's own family.
        report: the report on this form; its gate must be passed unless `forced`.
        data: the data set whose test part gives the golden inputs.
        approver: who lets it serve.
        forced: True releases without a passed gate, and the audit log says so.
        serve: host, port and keys that `savile serve` takes unless it is told otherwise.

    Raises:
        GateError: the gate is not passed.
        InputError: the report is about something else.
    """
    from savile.models import Predictor
    from savile.serving import _bundle

    forced = more.get("forced", False)
    form, gate = form or catalogue.get("families", model.family).FORM, report.body["gate"]
    if not gate["passed"] and not forced:
        raise GateError("a report whose gate is passed", f"{report.ref}, whose gate is not", "Improve the model, or force it.")
    about = (report.body["model"], report.body["form"], report.body["engine"])
    if about != (model.ref, form, engine):
        do = "Evaluate the form that is to serve."
        raise InputError(f"a report on {model.ref}, {form}, {engine}", ", ".join(map(str, about)), do)
    store = Store.open()
    made: Release = store.save(
        Release(
            model=model.ref,
            form=form,
            engine=engine or "",
            report=report.ref,
            gate=gate,
            cpu_flags=machine.cpu_flags(),
            bundle=_bundle.digests(model, form),
            approver=approver,
            forced=forced,
            serve=dict(more.get("serve", {})),
            golden=_bundle.golden(Predictor(model, form, engine), data),
            parents=(model.ref, report.ref, data.ref),
        )
    )
    store.audit.append("release", made.ref, model=model.ref, form=form, engine=engine, approver=approver, forced=forced)
    return made


def serve(
    release: Release,
    host: str = "127.0.0.1",
    port: int = 8080,
    keys: bool = True,
    ready: Callable[[str], None] | None = None,
    apps: Sequence[str] = (),
    **more: Unpack[Following],
) -> None:
    """Answer over HTTP until SIGTERM or SIGINT; what was begun is finished first.

    Args:
        release: what serves.
        host: address to listen on; the default is this machine only.
        port: 0 takes a free one.
        keys: whether callers need an API key (see `new_key`).
        ready: told the URL once requests are answered.
        apps: names of the apps whose routes are added.
        alias: a name to follow: the release it comes to stand for is opened, proven, and answers from then on, on trial.

    Raises:
        MachineError: the port is in use or not ours to take.
        InputError: keys are required and there are none.
        CorruptError: something in the bundle is not what was released.
        ParityError: the form does not answer here as it did when it was released.
    """
    from savile.serving._keys import Keys

    store = Store.open()
    admitted = Keys(store.keys) if keys else None
    if admitted is not None and not admitted:
        do = "Make one with `savile serve --new-key NAME`, or serve with --keys none."
        raise InputError("an API key, for keys are required", f"none in {store.keys}", do)
    with _listen(host, port) as listener:  # before anything is loaded: a taken port is told at once
        from savile.serving import _apps, _bundle, _http

        predictor = _bundle.opened(release)
        mounted = _apps.found(apps, predictor)
        proof = _bundle.replay(predictor, release)
        _bundle.refuse(release, proof)
        store.audit.append("serve", release.ref, host=host, port=listener.getsockname()[1], keys=keys, forced=release.forced)
        _http.run(_http.Service(predictor, release, proof, admitted, mounted), listener, ready, more.get("alias"))


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket.

    Raises:
        MachineError: the address cannot be taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)  # SO_REUSEADDR lets two bind; only one may listen
    except (OSError, OverflowError) as error:
        listener.close()
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        received = "another program listens there" if taken else str(error)
        raise MachineError(f"the address {host}:{port}", received, "Stop that program, or name another port.") from error
    return listener
