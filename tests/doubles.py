"""Small honest stand-ins for what a unit test can't run: a clock that is moved by hand, duties in memory under the same
leases and epochs, and recorders that follow a script.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import cast

from archiver.errors import CatalogueUnavailableError, ConflictError, SourceUnavailableError
from archiver.ports import Chunk, Stream, StreamEnd, Transaction
from archiver.timeline import Interval
from archiver.values import Assignment, Duty
from archiver.vocabulary import DutyState, GapCause

START = datetime(2026, 1, 1, 8, tzinfo=UTC)


class ManualClock:
    """Both clocks, moved together by `pass_s`."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def ntp_state(self) -> str:
        return "unknown"

    def pass_s(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds


class RealClock:
    """The host's clock, for what really waits."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def ntp_state(self) -> str:
        return "unknown"


class MemoryDuties:
    """The Duties port by a clock of its own. `away` makes every call fail as a lost database does."""

    def __init__(self, now: Callable[[], datetime], *duties: Duty) -> None:
        self._now = now
        self.rows = {duty.id: duty for duty in duties}
        self.away = False

    def of_source(self, source: str, span: Interval) -> Sequence[Duty]:
        return sorted(
            (duty for duty in self._rows() if duty.source == source and duty.span.overlaps(span)),
            key=lambda duty: duty.span,
        )

    def put(self, duty: Duty) -> None:
        self._rows()
        known = self.rows.get(duty.id)
        self.rows[duty.id] = duty if known is None else replace(known, span=duty.span)

    def remove(self, id: str) -> None:
        self._rows()
        if self.rows[id].epoch:
            raise ConflictError(f"duty {id} was claimed")
        del self.rows[id]

    def plan(self, site: str, horizon: timedelta) -> Sequence[Assignment]:
        soon = self._now() + horizon
        return [
            _assignment(duty)
            for duty in self._rows()
            if duty.site == site and duty.state is not DutyState.ENDED and duty.span.start <= soon
        ]

    def claim(self, worker: str, site: str, lease: timedelta, capacity: int, lead: timedelta) -> Sequence[Assignment]:
        soon = self._now() + lead
        free = [duty for duty in self._rows() if duty.site == site and duty.span.start <= soon and self._is_free(duty)]
        for duty in free[:capacity]:
            self.rows[duty.id] = replace(
                duty,
                state=DutyState.HELD,
                epoch=duty.epoch + 1,
                worker=worker,
                lease_until=self._now() + lease,
            )
        return [_assignment(self.rows[duty.id]) for duty in free[:capacity]]

    def renew(self, worker: str, held: Mapping[str, int], lease: timedelta) -> Sequence[Duty]:
        mine = [duty for duty in self._rows() if duty.worker == worker and held.get(duty.id) == duty.epoch]
        mine = [replace(duty, lease_until=self._now() + lease) for duty in mine if duty.state is DutyState.HELD]
        self.rows.update({duty.id: duty for duty in mine})
        return mine

    def finish(self, id: str, epoch: int) -> bool:
        self._rows()
        duty = self.rows[id]
        if duty.state is not DutyState.HELD or duty.epoch != epoch:
            return False
        self.rows[id] = replace(duty, state=DutyState.ENDED)
        return True

    def _rows(self) -> list[Duty]:
        if self.away:
            raise CatalogueUnavailableError("the catalogue doesn't answer")
        return list(self.rows.values())

    def _is_free(self, duty: Duty) -> bool:
        lapsed = duty.lease_until is not None and duty.lease_until <= self._now()
        return duty.state is DutyState.PLANNED or (duty.state is DutyState.HELD and lapsed)


def _assignment(duty: Duty) -> Assignment:
    return Assignment(duty, f"sealed:{duty.source}".encode())


class PlainSecrets:
    """Secrets that anyone can open: `sealed:` before the text."""

    def seal(self, secret: str) -> bytes:
        return f"sealed:{secret}".encode()

    def open(self, sealed: bytes) -> str:
        return sealed.decode().removeprefix("sealed:")


@dataclass
class ScriptedStream:
    """Gives `pieces` with `pace_s` between, then ends as `ending` says; with no ending it is silent until stopped."""

    pieces: Sequence[bytes] = ()
    ending: StreamEnd | None = None
    pace_s: float = 0.0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def chunks(self) -> AsyncIterator[Chunk]:
        for piece in self.pieces:
            if self.stopped.is_set():
                return
            await asyncio.sleep(self.pace_s)
            yield Chunk(piece, time.monotonic())
        if self.ending is None:
            await self.stopped.wait()

    async def stop(self) -> None:
        self.stopped.set()

    async def end(self) -> StreamEnd:
        return self.ending or StreamEnd(GapCause.LOST, "asked to stop")


class ScriptedRecorder:
    """Opens the scripted streams one after the other; when they run out, the source is unreachable."""

    def __init__(self, *streams: ScriptedStream) -> None:
        self._streams = list(streams)
        self.opened: list[tuple[str, int]] = []

    async def open(self, address: str, *, attempt: int, mov: bool) -> Stream:
        self.opened.append((address, attempt))
        if not self._streams:
            raise SourceUnavailableError("connection refused")
        return self._streams.pop(0)


class DutiesOnly:
    """A catalogue of which only the duties are there."""

    def __init__(self, duties: MemoryDuties) -> None:
        self.duties = duties

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        yield cast(Transaction, self)

    reading = transaction

    def check(self) -> None:
        self.duties.plan("", timedelta(0))
