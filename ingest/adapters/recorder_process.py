"""The recorder process as the system sees it: its signals, and its one child that isn't a recorder, the keeper."""

import asyncio
import logging
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

from ingest.adapters.child import bound_to_parent
from ingest.worker import Worker

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
STEADY_S = 60.0
STOP_S = 3.0


class KeeperChild:
    """Keeps the keeper alive. `command` begins with a program's full path; `environment` None is this process's own.
    Recording doesn't notice when it dies (I5); when this process dies, the kernel kills it.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._command = bound_to_parent(command)
        self._environment = environment
        self.pid: int | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Start it, and again whenever it ends, until `stop`; then SIGTERM, and SIGKILL after `STOP_S` seconds."""
        wait_s = FIRST_WAIT_S
        while not stop.is_set():
            lived_s = await self._live(stop)
            if stop.is_set():
                return
            wait_s = FIRST_WAIT_S if lived_s >= STEADY_S else min(wait_s * 2, LONGEST_WAIT_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait_s)

    async def _live(self, stop: asyncio.Event) -> float:
        """One life of it, in seconds."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        child = await asyncio.create_subprocess_exec(*self._command, env=self._environment)
        self.pid = child.pid
        ended = asyncio.create_task(child.wait())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            stopped.cancel()
            log.error("the keeper ended with code %s: it is started again", child.returncode)
        else:
            child.send_signal(signal.SIGTERM)
            _, late = await asyncio.wait({ended}, timeout=STOP_S)
            if late:
                child.kill()
                await ended
        self.pid = None
        return loop.time() - began


async def run_recorder(worker: Worker, keeper: KeeperChild) -> None:
    """Until SIGTERM or SIGINT: then the worker finishes its files, the keeper after it, within 10 seconds."""
    stop, done = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    child = asyncio.create_task(keeper.run(done))
    try:
        await worker.run(stop)
    finally:
        done.set()
        await child
