"""What a recorder process does before it records: finish what dead ones left, so that nothing whole is lost and every
hole has its cause (I4).
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from archiver.documents import Fields
from archiver.errors import FormatError
from archiver.ids import NewId
from archiver.timeline import Interval
from archiver.times import from_us
from archiver.values import Outage
from archiver.vocabulary import GapCause
from ingest.desk import ADOPTED, Documents, SpoolDesk
from ingest.outages import OpenOutage
from ingest.salvage import SalvageableFolder, Salvaged, salvage
from ingest.spooled import Arrival, RecordingHead

log = logging.getLogger(__name__)


class LeftRecording(SalvageableFolder, Protocol):
    @property
    def segments(self) -> int | None: ...


class LeftSpool(Documents, Protocol):
    """A spool that this process holds, and that no other writes."""

    def recordings(self) -> Sequence[LeftRecording]: ...


def recover(own: LeftSpool, others: Iterable[LeftSpool], now: datetime, new_id: NewId) -> None:
    """Salvage every unfinished recording of a process's own spool and of those it adopts. The outage that a death began
    stays open in `own` until the duty is recorded again. May be repeated. A full disk keeps no process from its start:
    its keeper is what makes room.
    """
    _salvage_all(own, SpoolDesk(own, new_id), now)
    adopt(own, others, now, new_id)


def adopt(own: LeftSpool, others: Iterable[LeftSpool], now: datetime, new_id: NewId) -> None:
    """Take over the spools of `others` (all that were ever adopted), whose duties are another's now: their outages are
    stated up to `now`. May be repeated."""
    adopted = []
    for spool in others:
        desk = SpoolDesk(spool, new_id)
        _salvage_all(spool, desk, now)
        _unless_full(spool, partial(_give_up_all, desk, now))
        adopted.append(spool.worker)
    if adopted != adopted_by(own):
        _unless_full(own, partial(own.write_document, ADOPTED, {"v": 1, "workers": adopted}))


def _give_up_all(desk: SpoolDesk, now: datetime) -> None:
    for each in desk.read_plan():
        desk.give_up(each.duty, now)


def _unless_full(spool: LeftSpool, write: Callable[[], None]) -> None:
    try:
        write()
    except OSError as problem:
        log.error("worker %s can't note what dead ones left: %s", spool.worker, problem.strerror)


def adopted_by(own: Documents) -> list[str]:
    """The workers whose spools this one's process holds too: its keeper empties them."""
    document = own.read_document(ADOPTED)
    return [] if document is None else list(Fields.versioned("adopted.json", document).texts("workers"))


def _salvage_all(spool: LeftSpool, desk: SpoolDesk, now: datetime) -> None:
    """In the order in which they were begun, so that a duty's last recording has the last word."""
    for recording in spool.recordings():
        try:
            if recording.segments is None:
                _salvage(recording, desk, now)
        except (FormatError, OSError) as problem:
            log.error("a recording of worker %s can't be salvaged and stays: %s", spool.worker, problem)


def _salvage(recording: LeftRecording, desk: SpoolDesk, now: datetime) -> None:
    head, arrivals = recording.head, recording.arrivals()
    salvaged = salvage(recording, GapCause.RESTARTED, now)
    log.info("recording %s: %d segments salvaged", head.recording, len(salvaged.segments))
    before = desk.open_outages().get(head.duty)
    ended = _media_end(head, salvaged, arrivals)
    if ended is None:
        evidence = f"the recording process died before any media was whole{_torn(salvaged)}"
        after = before.noting(evidence) if before else OpenOutage(head.opened_at, GapCause.RESTARTED, evidence)
    elif before is not None and before.since >= head.opened_at:
        after = before  # its own process saw it end, and only its files were left open
    else:
        _state(desk, head, before)
        after = OpenOutage(ended, GapCause.RESTARTED, f"the recording process died{_torn(salvaged)}")
    desk.keep_open(head.duty, after)


def _media_end(head: RecordingHead, salvaged: Salvaged, arrivals: Sequence[Arrival]) -> datetime | None:
    """Host time of the last whole fragment's end; None if there is none. Its segment may be deposited already: then
    it is known by its arrival."""
    if salvaged.last is not None:
        return salvaged.last.end
    return max(head.opened_at, from_us(arrivals[-1].at_us)) if arrivals and not salvaged.torn_bytes else None


def _state(desk: SpoolDesk, head: RecordingHead, before: OpenOutage | None) -> None:
    """The outage that this recording's first media ended, if the process died before it could say so."""
    if before is not None and before.since < head.opened_at:
        span = Interval(before.since, head.opened_at)
        desk.state_outage(Outage(head.source, span, before.cause, before.evidence, head.worker, head.epoch))


def _torn(salvaged: Salvaged) -> str:
    return f"; {salvaged.torn_bytes} bytes of an unfinished fragment are kept as .torn" if salvaged.torn_bytes else ""
