"""What of a window is recorded and what is a gap, and why: every microsecond of it exactly once (I7).

Inside a recording a segment ends where the next begins, and only a hole in its media time (tfdt) is a gap: the
anchors of two neighbours never make a gap or an overlap. Over recordings, coverage is a union.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from archiver import times
from archiver.mp4.index import IndexedFragment
from archiver.timeline import Interval, clip, subtract
from archiver.values import Gap, Outage, Segment, SourceCoverage
from archiver.vocabulary import GapCause

HOLE_S = 0.2
"""A muxer guesses how long a fragment's last sample is: a hole up to this (seconds) is that guess, not lost media."""

Ticks = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment and the stretches of media time that its fragments fill, in ticks: one, unless it has holes."""

    segment: Segment
    filled: tuple[Ticks, ...]


def piece(segment: Segment, fragments: Iterable[IndexedFragment]) -> Piece:
    """A segment with its fragment index. Without one (an empty index) all its media time counts as filled."""
    spans = [(fragment.tfdt, fragment.tfdt + fragment.duration) for fragment in fragments]
    return Piece(segment, _joined(spans, segment.timescale) or ((segment.media_start, segment.media_end),))


def _joined(spans: Sequence[Ticks], timescale: int) -> tuple[Ticks, ...]:
    """The same stretches, those joined that no hole parts."""
    joined: list[Ticks] = []
    for start, end in spans:
        if joined and start - joined[-1][1] <= HOLE_S * timescale:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return tuple(joined)


def stretches(pieces: Iterable[Piece]) -> list[Interval]:
    """Where the media of one source's segments lies on the host's clock, recording by recording."""
    ordered = sorted(pieces, key=lambda each: (each.segment.recording, each.segment.seq))
    found: list[Interval] = []
    for _, recording in groupby(ordered, key=lambda each: each.segment.recording):
        found += _chained(list(recording))
    return found


def _chained(pieces: Sequence[Piece]) -> Iterator[Interval]:
    for current, following in zip(pieces, [*pieces[1:], None], strict=True):
        yield from _placed(current, following)


def _placed(current: Piece, following: Piece | None) -> Iterator[Interval]:
    """The stretches of `current`, its media time laid evenly from its anchor to the one of the segment after it."""
    segment = current.segment
    span, ticks = segment.span, segment.media_end - segment.media_start
    filled = list(current.filled)
    after = following.segment if following and following.segment.seq == segment.seq + 1 else None
    if after and after.span.start > span.start and after.media_start > segment.media_start:
        span, ticks = Interval(span.start, after.span.start), after.media_start - segment.media_start
        if ticks - (filled[-1][1] - segment.media_start) <= HOLE_S * segment.timescale:
            filled[-1] = filled[-1][0], after.media_start
    for start, end in filled:
        yield from _interval(span, ticks, start - segment.media_start, end - segment.media_start)


def _interval(span: Interval, ticks: int, start: int, end: int) -> Iterator[Interval]:
    """Ticks [start, end) of the `ticks` that fill `span`, to the microsecond; nothing where nothing is left."""
    us = span.length // times.MICROSECOND
    first, last = (timedelta(microseconds=us * min(max(at, 0), ticks) // ticks) for at in (start, end))
    if first < last:
        yield Interval(span.start + first, span.start + last)


def elapsed(window: Interval, now: datetime) -> Interval | None:
    """The part of `window` that has passed: what is still to come is neither recorded nor a gap."""
    return window.common(Interval(window.start, now)) if now > window.start else None


def coverage(
    source: str,
    window: Interval,
    pieces: Iterable[Piece],
    outages: Iterable[Outage],
    stopped_at: datetime | None = None,
) -> SourceCoverage:
    """What of `window` is recorded by `pieces`, and the gaps with their causes.

    After `stopped_at` (a person stopped the capture) everything is a gap `stopped`. A hole is split where outages of
    another cause begin or end; what no outage explains is `not_started` before the first sign of a recorder, else
    `unknown`.
    """
    laid, known = stretches(pieces), list(outages)
    kept = _before(window, stopped_at)
    recorded = clip(laid, kept) if kept else []
    first_sign = min((span.start for span in (*laid, *(outage.span for outage in known))), default=window.end)
    gaps = [gap for hole in subtract(window, recorded) for gap in _explained(hole, known, first_sign, stopped_at)]
    return SourceCoverage(source, window, tuple(recorded), tuple(gaps))


def _before(window: Interval, stopped_at: datetime | None) -> Interval | None:
    return window if stopped_at is None else elapsed(window, stopped_at)


def _explained(
    hole: Interval, outages: Sequence[Outage], first_sign: datetime, stopped_at: datetime | None
) -> Iterator[Gap]:
    """`hole` as gaps, each with one cause."""
    edges = {edge for outage in outages for edge in (outage.span.start, outage.span.end)} | {first_sign}
    if stopped_at is not None:
        edges.add(times.utc(stopped_at))
    cuts = [hole.start, *sorted(edge for edge in edges if hole.start < edge < hole.end), hole.end]
    parts = [_part(Interval(*ends), outages, first_sign, stopped_at) for ends in pairwise(cuts)]
    for cause, same in groupby(parts, key=lambda gap: gap.cause):
        run = list(same)
        evidence = "; ".join(dict.fromkeys(gap.evidence for gap in run if gap.evidence))
        yield Gap(Interval(run[0].span.start, run[-1].span.end), cause, evidence)


def _part(span: Interval, outages: Sequence[Outage], first_sign: datetime, stopped_at: datetime | None) -> Gap:
    """The cause of a stretch that nothing changes within. Of several outages the latest recorder's counts."""
    if stopped_at is not None and span.start >= stopped_at:
        return Gap(span, GapCause.STOPPED, f"stopped by a person at {times.to_text(stopped_at)}")
    covering = [outage for outage in outages if span.start in outage.span]
    if covering:
        latest = max(covering, key=lambda outage: (outage.epoch, outage.span.start, outage.span.end))
        return Gap(span, latest.cause, latest.evidence)
    if span.start < first_sign:
        return Gap(span, GapCause.NOT_STARTED, "no recorder had begun")
    return Gap(span, GapCause.UNKNOWN, "no media, and no recorder said why")
