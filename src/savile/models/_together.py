"""Several processes train one network: `fit` on each of them, begun by Ray Train, which may place them on several machines.

The network and the rows go to every worker; progress, checkpoints and what was learned come back in a folder that all machines
must see. A worker that dies takes the others of its team with it: the team is begun again and goes on from its last checkpoint.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from savile.base import ray_cluster
from savile.base.errors import MachineError, MissingExtraError, SavileError
from savile.base.events import Event, emit, listening
from savile.models import _checkpoint
from savile.models._settings import FitSettings, Fitted

if TYPE_CHECKING:
    from savile.models._source import Rows, Score

TOLD, DONE = "told.jsonl", "done"
TRIES = 3  # teams that are begun before a run is given up
POLL_S = 0.1
TIMEOUT_S = 600  # a worker waits so long for the others


def fit_together(
    network: Any,
    train: Rows,
    settings: FitSettings,
    *,
    valid: Rows | None = None,
    checkpoint: Path | None = None,
    score: Score | None = None,
) -> Fitted:
    """`savile.models.fit` by `settings.workers` processes; arguments and result are those of `fit`.

    Raises:
        MachineError: workers die again and again, or the cluster has no room for them.
        MissingExtraError: Ray is not installed.
        InputError: what `fit` raises.
    """
    with ray_cluster.connected(settings.workers + 1) as ray, _folder(checkpoint) as folder:
        found = _checkpoint.newest(folder / DONE)
        if found is None:
            _check(ray, settings.workers)
            given = ray.put((network, train, settings, valid, score))
            with _retelling(folder / TOLD):
                _begun(ray, given, settings.workers, folder)
            found = _checkpoint.newest(folder / DONE)
        if found is None:
            raise MachineError("what the workers have learned", f"nothing in {folder}", "All machines must see that folder.")
    weights, said = found
    _put(network, weights)
    said.pop("step")
    made = {**said, "history": tuple(said["history"]), "settings": FitSettings(**said["settings"])}
    return Fitted(**made)


def _begun(ray: Any, given: Any, workers: int, folder: Path) -> None:
    """Let a team train to the end, and begin another one where it could not."""
    for attempt in range(TRIES):
        trainer, failed = _trainer(ray, given, workers, folder / f"team-{attempt}")
        try:
            with _interruptible():
                trainer.fit()
            return
        except failed as error:
            rank, why = _reason(error)
            if isinstance(why, SavileError):
                raise why from None
            there = _checkpoint.newest(folder)
            where = f"step {there[1]['step']}, its last checkpoint" if there else "the first step, having no checkpoint"
            lost = f"worker {rank + 1} of {workers} was lost ({why})"
            if attempt + 1 == TRIES:
                do = "Look for what ends it, such as too little memory; the same command goes on from the last checkpoint."
                raise MachineError(f"{workers} workers that train to the end", f"{lost}, {TRIES} times", do) from None
            emit("warning", text=f"{lost[0].upper()}{lost[1:]}; the team begins again at {where}.")


def _trainer(ray: Any, given: Any, workers: int, folder: Path) -> tuple[Any, type[Exception]]:
    """A team of Ray Train that keeps its own papers in a folder within that of the run, and the error it fails with."""
    try:
        from ray import train
        from ray.train.torch import TorchConfig, TorchTrainer
    except ImportError:
        raise MissingExtraError("ray[train]", "ray") from None
    gpus = ray.cluster_resources().get("GPU", 0) >= workers
    backend = TorchConfig(backend="nccl" if gpus else "gloo", timeout_s=TIMEOUT_S)
    given_up = train.FailureConfig(max_failures=0)  # who begins again is this file, which says so
    papers = train.RunConfig(storage_path=str(folder.parent.absolute()), name=folder.name, failure_config=given_up)
    said = {"given": given, "folder": str(folder.parent.absolute())}
    scale = train.ScalingConfig(num_workers=workers, use_gpu=gpus)
    made = TorchTrainer(_work, train_loop_config=said, scaling_config=scale, run_config=papers, torch_config=backend)
    return made, train.TrainingFailedError


@contextmanager
def _interruptible() -> Iterator[None]:
    """Give back what an interrupt does, which Ray Train takes for itself."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def _work(said: dict[str, Any]) -> None:
    """What each worker does; the first one tells how it goes, and keeps what was learned."""
    import ray

    from savile.models._fit import fit
    from savile.models._team import team

    network, train, settings, valid, score = ray.get(said["given"])
    folder, us = Path(said["folder"]), team()

    def tell(event: Event) -> None:
        with (folder / TOLD).open("a", encoding="utf-8") as file:
            file.write(json.dumps([event.kind, event.facts], default=float) + "\n")

    with listening(tell if us.rank == 0 else _silent):
        fitted = fit(network, train, settings, valid=valid, checkpoint=folder, score=score)
    weights = {name: p.detach().cpu() for name, p in network.trainable()}
    if us.rank == 0:
        _checkpoint.save(folder / DONE, fitted.steps, weights, asdict(fitted))


def _silent(event: Event) -> None:
    """What the other workers have to say is the same."""


@contextmanager
def _folder(checkpoint: Path | None) -> Iterator[Path]:
    """The folder of a run: the one for its checkpoints, or one that goes when it is done."""
    if checkpoint is not None:
        checkpoint.mkdir(parents=True, exist_ok=True)
        yield checkpoint
        return
    with TemporaryDirectory() as folder:
        yield Path(folder)


@contextmanager
def _retelling(path: Path) -> Iterator[None]:
    """Tell here what the first worker tells, while the block runs."""
    path.unlink(missing_ok=True)
    over, at = threading.Event(), 0

    def read() -> int:
        if not path.exists():
            return at
        with path.open("rb") as file:
            file.seek(at)
            lines = file.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        for line in whole.splitlines():
            kind, facts = json.loads(line)
            emit(kind, **facts)
        return at + len(whole)

    def follow() -> None:
        nonlocal at
        while not over.wait(POLL_S):
            at = read()

    thread = threading.Thread(target=copy_context().run, args=(follow,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        read()


def _check(ray: Any, workers: int) -> None:
    """The cluster has room for the workers: Ray Train would wait for machines for ever.

    Raises:
        MachineError: it has not.
    """
    cores = ray.cluster_resources().get("CPU", 0)
    if cores < workers:
        raise MachineError(f"a cluster with {workers} cores", f"{cores:g}", "Ask for fewer workers, or add machines to it.")


def _reason(error: Any) -> tuple[int, Any]:
    """Which worker failed first, and why: an error of Savile, or a line of text."""
    failures = getattr(error, "worker_failures", None) or {0: error}
    rank = min(failures, key=lambda one: (not isinstance(_inside(failures[one]), SavileError), one))
    why = _inside(failures[rank])
    if isinstance(why, SavileError):
        return rank, why
    return rank, str(why).strip().partition("\n")[0].rstrip(".") or type(why).__name__


def _inside(failure: Any) -> Any:
    """The error that a worker raised, out of what Ray has wrapped it in."""
    for name in ("_base_exc", "cause", "health_check_failure"):
        inner = getattr(failure, name, None)
        if isinstance(inner, BaseException):
            return _inside(inner)
    return failure


def _put(network: Any, weights: dict[str, Any]) -> None:
    import torch

    with torch.no_grad():
        for name, p in network.trainable():
            p.copy_(weights[name])
    network.eval()
