"""Follow an alias: when another release becomes the champion it answers from the next request on, and not a moment sooner.

It is opened and its golden inputs are replayed while the old one answers. Then it is on trial: when it fails, or leaves far
more to people than the one before did, the one before answers again, and the alias is put back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import sqrt

from savile.base.errors import SavileError
from savile.base.events import emit
from savile.base.records import Release
from savile.base.store import Store
from savile.serving import _bundle
from savile.serving._standing import Place, Standing

LOOK_SECONDS = 1.0
TRIAL = 200  # answers after which a new release stays
SURE, MORE = 4.0, 0.10  # standard errors and share by which it may leave more to people than the one before
Observe = Callable[[int, float], None]


class Follower:
    """Keeps a place on the release that an alias stands for.

    Args:
        place: where the release stands.
        alias: a name such as champion.
        observe: as `Standing` takes it.
        swapped: told after every change.
    """

    def __init__(self, place: Place, alias: str, observe: Observe, swapped: Callable[[], None]) -> None:
        self.place, self.alias, self.observe, self.swapped = place, alias, observe, swapped
        self.refused: set[str] = set()

    async def run(self) -> None:
        """Look every second until cancelled; what goes wrong is told and leaves what serves as it is."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except SavileError as error:
                emit("warning", text=f"The alias {self.alias} could not be followed: {error}")

    async def look(self) -> None:
        """One look at the alias and at the release on trial."""
        place, store = self.place, Store.open()
        if place.before is not None and place.fell is None:
            self._judge()
        if place.fell is not None:
            await asyncio.to_thread(self._put_back, store, *place.fell)
            place.fell = None
            self.swapped()
            return
        ref = (await asyncio.to_thread(store.aliases)).get(self.alias, "")
        if place.before is None and ref.startswith("release@") and ref != place.now.release.ref and ref not in self.refused:
            await self._take(store, ref)

    async def _take(self, store: Store, ref: str) -> None:
        """Open a release beside the one that serves, and let it answer if it answers as it was released."""
        try:
            new = await asyncio.to_thread(self._opened, store, ref)
            why = new.takes_the_place_of(self.place.now)
        except SavileError as error:
            why = str(error)
        if why:
            await asyncio.to_thread(self._put_back, store, ref, why)
            return
        self.place.take(new)
        store.audit.append("swap", ref, before=self.place.before.release.ref if self.place.before else None)
        emit("note", text=f"{ref} answers from now on, on trial for {TRIAL} answers.")
        self.swapped()

    def _opened(self, store: Store, ref: str) -> Standing:
        release: Release = store.load(ref)
        predictor = _bundle.opened(release)
        return Standing(predictor, release, _bundle.replay(predictor, release), self.observe)

    def _judge(self) -> None:
        """End the trial: the new release stays, or it leaves so much to people that it goes."""
        now, before = self.place.now, self.place.before
        assert before is not None
        if now.answered < TRIAL:
            return
        if before.answered >= TRIAL:
            share, usual = now.abstained / now.answered, before.abstained / before.answered
            both = (now.abstained + before.abstained) / (now.answered + before.answered)
            error = sqrt(max(both * (1 - both), 1e-9) * (1 / now.answered + 1 / before.answered))
            if share - usual > max(MORE, SURE * error):
                self.place.back(f"it leaves {share:.0%} to people, the one before {usual:.0%}")
                return
        self.place.before = None
        emit("note", text=f"{now.release.ref} has passed its trial.")

    def _put_back(self, store: Store, ref: str, why: str) -> None:
        """Point the alias at what serves again, and write down why."""
        self.refused.add(ref)
        serves = self.place.now.release.ref
        store.audit.append("rollback", ref, why=why, serves=serves)
        if store.aliases().get(self.alias) == ref:
            store.alias(self.alias, serves)
        emit("warning", text=f"{ref} does not serve: {why}. {serves} goes on.")
