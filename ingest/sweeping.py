"""What a recorder process does beside recording: it finishes what a disk refused to, and takes over the spools of
workers that died and don't come back, so that no footage lies there unseen.
"""

import asyncio
import logging
from collections.abc import Callable, MutableMapping
from datetime import timedelta
from typing import Protocol

from archiver.errors import FormatError
from archiver.ports import Clock
from archiver.vocabulary import GapCause
from ingest.salvage import SalvageableFolder, salvage

log = logging.getLogger(__name__)

EVERY_S = 2.0

Left = MutableMapping[str, GapCause]
"""Recordings that were not finished, and why they ended."""


class FreeSpools(Protocol):
    """The spools of workers that are dead."""

    def free(self) -> set[str]: ...
    def hold(self, worker: str) -> bool: ...


class Sweeper:
    """`recording` gives a folder of this process's own spool; `adopt` takes over all spools that it holds besides. A
    worker that is gone for `patience` is taken not to come back: one that is started again sooner goes on itself.
    """

    def __init__(
        self,
        left: Left,
        recording: Callable[[str], SalvageableFolder],
        spools: FreeSpools,
        adopt: Callable[[], None],
        clock: Clock,
        patience: timedelta,
    ) -> None:
        self._left = left
        self._recording = recording
        self._spools = spools
        self._adopt = adopt
        self._clock = clock
        self._patience_s = patience.total_seconds()
        self._gone: dict[str, float] = {}
        self._held_anew = False

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await asyncio.to_thread(self.sweep)

    def sweep(self) -> None:
        """What can't be done now is done by a later one."""
        try:
            self._salvage()
            self._take_over()
        except (FormatError, OSError) as problem:
            log.warning("the spool can't be put in order yet: %s", problem)

    def _salvage(self) -> None:
        for id, cause in list(self._left.items()):
            salvaged = salvage(self._recording(id), cause, self._clock.now())
            del self._left[id]
            log.info("recording %s: %d segments salvaged", id, len(salvaged.segments))

    def _take_over(self) -> None:
        now = self._clock.monotonic()
        self._gone = {worker: self._gone.get(worker, now) for worker in self._spools.free()}
        late = [worker for worker, since in self._gone.items() if now - since >= self._patience_s]
        for worker in late:
            if self._spools.hold(worker):
                log.warning("taking over the spool of worker %s, which is gone", worker)
                self._held_anew = True
        if self._held_anew:
            self._adopt()
            self._held_anew = False
