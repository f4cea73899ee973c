"""The replicas of one live service: started and stopped one by one behind its front, while those that stay go on answering."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from savile.base.events import emit
from savile.base.work import Job, Load, Place
from savile.scheduling._front import Front

ADDRESS = "address"  # file in which a replica says where it answers
STOP = "stop"
ENDS_S, TICK_S = 30.0, 0.05  # what a replica is given to answer what it has begun
FAILURES = 3  # of replicas in a row that never answered, after which the service has failed

Put = Callable[[Place, Path, int], tuple[Any, Any]]  # place, folder and number of a replica -> placement group, reference


@dataclass
class Replica:
    """One replica: where it is, what Ray knows it by, and where it answers once it does."""

    place: Place
    folder: Path
    group: Any
    reference: Any
    address: tuple[str, int] | None = None


class Replicas:
    """A service at work.

    Args:
        job: the service.
        folder: in which each replica has a folder of its own.
        front: what its replicas stand behind.
        put: starts a replica.
        ended: reference -> None while it runs, else why it ended.
        forget: lets go of a placement group.
    """

    def __init__(
        self,
        job: Job,
        folder: Path,
        front: Front,
        put: Put,
        ended: Callable[[Any], str | None],
        forget: Callable[[Any], None],
    ) -> None:
        self.job, self.folder, self.front = job, folder, front
        self.put, self.ended, self.forget = put, ended, forget
        self.there: list[Replica] = []
        self.leaving: list[Replica] = []
        self.count = self.failures = 0

    def follow(self, places: Sequence[Place]) -> None:
        """Be in these places: what is elsewhere goes, what is missing comes."""
        wanted = list(places)
        for replica in list(self.there):
            if replica.place in wanted:
                wanted.remove(replica.place)
            else:
                self._send_away(replica)
        for place in wanted:
            self._start(place)

    def tend(self) -> None:
        """Replicas that answer by now are asked from now on; those that ended are replaced or let go."""
        for replica in list(self.there):
            if replica.address is None and (said := replica.folder / ADDRESS).exists():
                host, _, port = said.read_text().rpartition(":")
                replica.address, self.failures = (host, int(port)), 0
                self.front.add(*replica.address)
            if (why := self.ended(replica.reference)) is not None:
                self.failures += replica.address is None
                emit("warning", text=f"A replica of {self.job.id} ended and is replaced: {why or 'nobody asked it to'}")
                self._send_away(replica)
                if not self.failed:
                    self._start(replica.place)
        for replica in list(self.leaving):
            if self.ended(replica.reference) is not None:
                self.forget(replica.group)
                self.leaving.remove(replica)

    def close(self) -> None:
        """Listen no more, and wait until the replicas have ended."""
        self.follow(())
        self.front.close()
        until = time.monotonic() + ENDS_S
        while self.leaving and time.monotonic() < until:
            self.tend()
            time.sleep(TICK_S)

    @property
    def failed(self) -> bool:
        """Whether its replicas do not come up."""
        return self.failures >= FAILURES

    def load(self) -> Load:
        """What it was asked of late."""
        return self.front.load()

    def answering(self) -> int:
        """Replicas that answer."""
        return sum(replica.address is not None for replica in self.there)

    def _start(self, place: Place) -> None:
        folder = self.folder / f"replica{self.count}"
        folder.mkdir(parents=True, exist_ok=True)
        for name in (STOP, ADDRESS):
            (folder / name).unlink(missing_ok=True)
        self.there.append(Replica(place, folder, *self.put(place, folder, self.count)))
        self.count += 1

    def _send_away(self, replica: Replica) -> None:
        if replica.address is not None:
            self.front.remove(*replica.address)
        (replica.folder / STOP).touch()
        self.there.remove(replica)
        self.leaving.append(replica)
