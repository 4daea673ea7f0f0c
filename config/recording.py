"""The recorder process. It takes the place of `archiver work` (exec) and imports only what recording needs.

What it needs to know comes as JSON in an open file whose number is its one argument: a catalogue's address may hold a
password, and arguments and environments are public.
"""

import asyncio
import json
import os
import random
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.adapters.clock import SystemClock
from archiver.adapters.secrets import KeySecrets
from archiver.ids import make_id
from config.logs import set_up
from ingest.adapters.ffmpeg import FfmpegRecorder, find_ffmpeg
from ingest.adapters.heap import keep_freed
from ingest.adapters.recorder_process import KeeperChild, run_recorder
from ingest.adapters.spool import Spools
from ingest.desk import SpoolDesk
from ingest.duty import Tools
from ingest.recording import Deck
from ingest.recovery import adopt, recover
from ingest.rounds import Rounds, Terms
from ingest.sweeping import Sweeper
from ingest.worker import Worker


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """Plain values; times in seconds. `keeper` is the command that starts the keeper, less the worker's id."""

    spool: str
    catalogue_url: str
    address_key: str
    site: str
    capacity: int
    lease_s: float
    segment_s: float
    stall_s: float
    ffmpeg: str
    log_level: str
    log_format: str
    keeper: Sequence[str]

    def written(self) -> int:
        """An open file that holds them, for as long as this process lives."""
        number = os.memfd_create("recorder", 0)
        os.write(number, json.dumps(asdict(self)).encode())
        os.set_inheritable(number, True)
        return number


def command(number: int) -> list[str]:
    """What starts a recorder process that inherits the open file `number`."""
    return [sys.executable, "-m", "config.recording", str(number)]


def main(number: int) -> None:
    with os.fdopen(number, "rb") as file:
        file.seek(0)  # an earlier process that inherited it has read it to its end
        settings = RecorderSettings(**json.load(file))
    set_up(settings.log_level, settings.log_format)
    keep_freed()
    asyncio.run(_record(settings))


async def _record(settings: RecorderSettings) -> None:
    clock = SystemClock()
    new_id = partial(_new_id, clock)
    spools = Spools(Path(settings.spool))
    spool = spools.take(settings.site, socket.gethostname(), clock.now(), new_id)
    recover(spool, spools.others(spool), clock.now(), new_id)
    terms = Terms(spool.worker, settings.site, settings.capacity, timedelta(seconds=settings.lease_s))
    desk = SpoolDesk(spool, new_id)
    deck = Deck(spool, spool.worker, clock, new_id, segment_s=settings.segment_s)
    recorder = FfmpegRecorder(find_ffmpeg(settings.ffmpeg or None), stall_s=settings.stall_s)
    tools = Tools(spool.worker, recorder, deck.record, desk, clock, random.random)
    rounds = Rounds(SqlCatalogue(settings.catalogue_url, new_id), terms, clock)
    worker = Worker(terms, rounds, KeySecrets(Path(settings.address_key)), desk, tools)

    def adopt_others() -> None:
        adopt(spool, spools.adopted(spool), clock.now(), new_id)

    sweeper = Sweeper(deck.left, spool.recording, spools, adopt_others, clock, terms.lease)
    sweeping = asyncio.create_task(sweeper.run())
    try:
        await run_recorder(worker, KeeperChild([*settings.keeper, spool.worker]))
    finally:
        sweeping.cancel()


def _new_id(clock: SystemClock) -> str:
    return make_id(clock.now(), os.urandom(10))


if __name__ == "__main__":
    main(int(sys.argv[1]))
