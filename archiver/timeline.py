"""Intervals of time and what they cover. Half-open [start, end), aware UTC, whole microseconds (I7)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from archiver.times import utc

ZERO = timedelta(0)


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """A stretch of time that is not empty. Refuses naive times and an end that is not after its start
    (ValueError).
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", utc(self.start))
        object.__setattr__(self, "end", utc(self.end))
        if self.end <= self.start:
            raise ValueError(f"an interval must end after its start: {self.start} .. {self.end}")

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def overlaps(self, other: "Interval") -> bool:
        return self.start < other.end and other.start < self.end

    def common(self, other: "Interval") -> "Interval | None":
        """The stretch that both share, None if there is none."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Interval(start, end) if start < end else None

    def widened(self, before: timedelta, after: timedelta) -> "Interval":
        return Interval(self.start - before, self.end + after)


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The same time as `intervals`, in order, disjoint and not touching: overlaps count once."""
    merged: list[Interval] = []
    for interval in sorted(intervals):
        if merged and interval.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, interval.end))
        else:
            merged.append(interval)
    return merged


def clip(intervals: Iterable[Interval], window: Interval) -> list[Interval]:
    """What of `intervals` lies inside `window`, as a union."""
    return union(shared for interval in intervals if (shared := interval.common(window)))


def subtract(window: Interval, covered: Iterable[Interval]) -> list[Interval]:
    """What of `window` is not covered: with `clip`, the whole window and nothing twice."""
    holes: list[Interval] = []
    at = window.start
    for interval in clip(covered, window):
        if at < interval.start:
            holes.append(Interval(at, interval.start))
        at = interval.end
    if at < window.end:
        holes.append(Interval(at, window.end))
    return holes


def total(intervals: Iterable[Interval]) -> timedelta:
    """How long the union of `intervals` is."""
    return sum((interval.length for interval in union(intervals)), ZERO)
