"""Services of a queue: the work of one replica, and the requests that a what-if asks.

A replica is `savile serve` of a release, or a command that listens on the port that its environment names as PORT. It is asked
once it answers ``GET /readyz``, with whatever but a fault of its own.
"""

from __future__ import annotations

import os
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from savile.base.errors import InputError
from savile.base.series import DAY_H, HOUR
from savile.base.work import Job
from savile.scheduling import Requests

POLL_S = 0.05
READY_S = 120.0
MOST = 3_000_000  # requests of a what-if
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Replica:
    """One replica as a piece of work: a server on a free port, until it is asked to stop.

    Attributes:
        words: the command line.
        home: the home of Savile.
        port: where the front of the service listens.
    """

    words: tuple[str, ...]
    home: str
    port: int = 0

    def __call__(self, turn: Any) -> str:
        """Answer until asked to stop; what was begun is answered first.

        Raises:
            RuntimeError: it ended by itself, or did not answer in time.
        """
        with socket.socket() as free:
            free.bind((HOST, 0))
            port = free.getsockname()[1]
        words = (*self.words, "--port", str(port)) if "serve" in self.words else self.words
        environment = {**os.environ, "SAVILE_HOME": self.home, "PORT": str(port)}
        with (turn.folder / "output").open("w+") as out:
            process = subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT, env=environment)
            try:
                waited, ready = 0.0, False
                while process.poll() is None and not turn.stop() and (ready or waited < READY_S):
                    if not ready and (ready := _answers(port)):
                        aside = turn.folder / "address.new"
                        aside.write_text(f"{HOST}:{port}")
                        aside.replace(turn.folder / "address")
                    try:
                        process.wait(POLL_S)
                    except subprocess.TimeoutExpired:
                        waited += POLL_S
            finally:
                ended = process.poll()
                process.terminate()
                process.wait()
            if ended is not None or not (ready or turn.stop()):
                out.seek(0)
                last = (out.read().strip().splitlines() or ["nothing was said"])[-1]
                raise RuntimeError(f"it ended with {ended}: {last}" if ended is not None else "it never answered")
        return ""


def _answers(port: int) -> bool:
    """Whether something answers there that is no fault."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/readyz", timeout=1.0):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def requests(job: Job, rates: Sequence[float], answer_s: float, seed: int = 0) -> Requests:
    """Requests at random moments (Poisson) at so many a second in each hour of the day, each of exponential seconds.

    Raises:
        InputError: a rate or the seconds are negative, or there would be too many.
    """
    hours = range(int(np.ceil((job.work_s or 0.0) / HOUR)))
    first = int(job.release_s // HOUR)
    expected = np.array([rates[(first + h) % DAY_H] for h in hours], dtype=np.float64) * HOUR
    if min(*rates, answer_s) < 0 or expected.sum() > MOST:
        received = f"{expected.sum():.3g} requests, rates from {min(rates):g}, {answer_s:g} s each"
        raise InputError(f"a load of 0 to {MOST} requests", received, "Ask for fewer hours, or scale rate and answer_s.")
    rng = np.random.default_rng(seed)
    at = [np.sort(rng.random(rng.poisson(many))) * HOUR + (first + h) * HOUR for h, many in zip(hours, expected, strict=True)]
    together = np.concatenate(at) if at else np.zeros(0)
    within = together[(together >= job.release_s) & (together < job.release_s + (job.work_s or 0.0))]
    return Requests(within, rng.exponential(answer_s, len(within)))
