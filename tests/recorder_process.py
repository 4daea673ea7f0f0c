"""A recorder process, or with `--keeper WORKER` its keeper, on a home folder: what the fault tests start and kill.

python -m tests.recorder_process HOME [--keeper WORKER]
"""

import asyncio
import logging
import os
import random
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from zoneinfo import ZoneInfo

from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.adapters.clock import SystemClock
from archiver.ids import make_id
from ingest.adapters.ffmpeg import FfmpegRecorder, find_ffmpeg
from ingest.adapters.spool import Spools
from tests.doubles import PlainSecrets

CHECKOUT = Path(__file__).parents[1]
SITE = "main"
ROLL = timedelta(seconds=5)
CLOCK = SystemClock()


class SteppedClock(SystemClock):
    """The host's clock, set by the seconds that the home's file `clock` holds."""

    def __init__(self, home: Path) -> None:
        self._offset = home / "clock"

    def now(self) -> datetime:
        offset_s = float(self._offset.read_text()) if self._offset.exists() else 0.0
        return super().now() + timedelta(seconds=offset_s)


def new_id() -> str:
    return make_id(datetime.now(UTC), os.urandom(10))


def die_at(home: Path, wanted: str, appends: int) -> Callable[[str], None]:
    """A hook that kills this process at its first `wanted` step after so many `appends`, and never again."""
    died = home / f"died at {wanted}"
    appended = 0

    def step(name: str) -> None:
        nonlocal appended
        if name == wanted and appended >= appends and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        appended += name == "append"

    return step


def hook(home: Path) -> Callable[[str], None]:
    return die_at(home, os.environ.get("DIE_AT", ""), int(os.environ.get("DIE_AFTER", "0")))


def catalogue_of(home: Path) -> SqlCatalogue:
    return SqlCatalogue(f"sqlite:///{home / 'catalogue.db'}", new_id)


def record(home: Path) -> None:
    from ingest.adapters.recorder_process import KeeperChild, run_recorder
    from ingest.desk import SpoolDesk
    from ingest.duty import Tools
    from ingest.recording import Deck
    from ingest.recovery import recover
    from ingest.rounds import Rounds, Terms
    from ingest.worker import Worker

    clock = SteppedClock(home)
    spools = Spools(home / "spool", hook(home))
    spool = spools.take(SITE, "host", clock.now(), new_id)
    recover(spool, spools.others(spool), clock.now(), new_id)
    terms = Terms(spool.worker, SITE, capacity=8, lease=timedelta(seconds=5))
    desk = SpoolDesk(spool, new_id)
    deck = Deck(spool, spool.worker, clock, new_id, segment_s=3)
    tools = Tools(spool.worker, FfmpegRecorder(find_ffmpeg()), deck.record, desk, clock, random.random)
    keeper = KeeperChild([sys.executable, "-m", "tests.recorder_process", str(home), "--keeper", spool.worker])

    async def main() -> None:
        worker = Worker(terms, Rounds(catalogue_of(home), terms, clock), PlainSecrets(), desk, tools)
        await run_recorder(worker, keeper)

    asyncio.run(main())


def keep(home: Path, worker: str) -> None:
    from archiver.adapters.vault_local import LocalVault
    from archiver.depositing import Depositing
    from ingest.keeper import Keeper
    from ingest.recovery import adopted_by
    from retention.binding import Binding

    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    spools, catalogue = Spools(home / "spool", hook(home)), catalogue_of(home)
    vault = LocalVault(home / "vault", CLOCK, hook(home))
    depositing = Depositing(catalogue, vault, Binding(ZoneInfo("Asia/Shanghai")), CLOCK, ROLL, ROLL)
    own = spools.of(worker)
    folders = [own, *map(spools.of, adopted_by(own))]
    Keeper(lambda: folders, depositing.deposit, catalogue, CLOCK).run(stop)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(name)s %(message)s")
    if len(sys.argv) == 4:
        keep(Path(sys.argv[1]), sys.argv[3])
    else:
        record(Path(sys.argv[1]))
