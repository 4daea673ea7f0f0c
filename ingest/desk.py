"""A worker's own documents and facts, in its spool folder: its plan, the outages that its duties are in, and what it
states for its keeper to commit.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from archiver.errors import FormatError
from archiver.ids import NewId
from archiver.values import Assignment, Duty, Json, Outage
from ingest.facts import ClockStepped, DutyEnded, Fact, fact_json, open_json, parse_open
from ingest.outages import OpenOutage
from ingest.plans import parse_plan, plan_json

log = logging.getLogger(__name__)

PLAN, OUTAGES, ADOPTED = "plan", "outages", "adopted"
T = TypeVar("T")


class Documents(Protocol):
    """A spool folder's documents and facts, each written durably."""

    @property
    def worker(self) -> str: ...
    def read_document(self, name: str) -> Json | None: ...
    def write_document(self, name: str, value: Json) -> None: ...
    def state_fact(self, id: str, fact: Json) -> None: ...


class SpoolDesk:
    """The worker's `Desk`. One writer: the recorder process that holds the folder."""

    def __init__(self, folder: Documents, new_id: NewId) -> None:
        self._folder = folder
        self._new_id = new_id
        self._last_id = ""
        self._order = 0
        self._unwritten = False
        nothing: dict[str, OpenOutage] = {}
        self._open = self._read(OUTAGES, parse_open, nothing)

    def read_plan(self) -> Sequence[Assignment]:
        return self._read(PLAN, parse_plan, [])

    def write_plan(self, plan: Sequence[Assignment]) -> None:
        self._folder.write_document(PLAN, plan_json(plan))

    def open_outages(self) -> Mapping[str, OpenOutage]:
        return self._open

    def keep_open(self, duty: str, outage: OpenOutage | None) -> None:
        before = self._open.pop(duty, None)
        if outage is not None:
            self._open[duty] = outage
        if before != outage or self._unwritten:
            self._unwritten = True  # should the disk refuse it
            self._folder.write_document(OUTAGES, open_json(self._open))
            self._unwritten = False

    def state_outage(self, outage: Outage) -> None:
        self._state(outage)

    def state_duty_ended(self, duty: Duty) -> None:
        self._state(DutyEnded.of(duty))

    def state_clock_step(self, at: datetime, offset_s: float) -> None:
        self._state(ClockStepped(self._folder.worker, at, round(offset_s * 1_000_000)))

    def give_up(self, duty: Duty, now: datetime) -> None:
        """State what the duty was left in up to `now`: who records it from here on is another worker."""
        open_ = self._open.get(duty.id)
        outage = open_.until(min(now, duty.span.end), duty, self._folder.worker) if open_ else None
        if outage is not None:
            self._state(outage)
        self.keep_open(duty.id, None)

    def _state(self, fact: Fact) -> None:
        self._folder.state_fact(self._next_id(), fact_json(fact))

    def _next_id(self) -> str:
        """Sorts after the one before, also within a millisecond and when the host's clock is set back."""
        id = self._new_id()
        if id > self._last_id:
            self._last_id, self._order = id, 0
            return id
        self._order += 1
        return f"{self._last_id}_{self._order:08d}"  # "_" sorts after the "." of a file's ending

    def _read(self, name: str, parse: Callable[[Json], T], nothing: T) -> T:
        """A damaged document is as good as none: the catalogue gives a new plan."""
        try:
            document = self._folder.read_document(name)
            return nothing if document is None else parse(document)
        except FormatError as problem:
            log.error("%s.json of worker %s is not used: %s", name, self._folder.worker, problem)
            return nothing
