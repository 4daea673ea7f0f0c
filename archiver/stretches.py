"""Which stored fragments make a stretch of a source's time, and where they lie in one file. Pure.

Times on the host's clock come from each segment's own anchor; inside a recording media time runs on, so only a
hole in decode times is a gap. Between recordings the host's clock says how far apart they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction

from archiver.mp4.codecs import same_parameters
from archiver.mp4.edits import joining_shifts
from archiver.mp4.index import IndexedFragment
from archiver.mp4.init import Init
from archiver.rope import Stored
from archiver.timeline import Interval
from archiver.times import to_us
from archiver.values import Segment
from archiver.vocabulary import Container

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Placed:
    """A fragment of a stored segment, with its place on the host's clock."""

    segment: Segment
    entry: IndexedFragment

    @property
    def start(self) -> datetime:
        return self._at(self.entry.tfdt)

    @property
    def end(self) -> datetime:
        return self._at(self.entry.tfdt + max(self.entry.duration, 1))

    @property
    def stored(self) -> Stored:
        segment, entry = self.segment, self.entry
        return Stored(segment.key, segment.version, entry.offset, entry.size, Interval(self.start, self.end))

    def _at(self, ticks: int) -> datetime:
        after = Fraction((ticks - self.segment.media_start) * MILLION, self.segment.timescale)
        return self.segment.span.start + timedelta(microseconds=round(after))


@dataclass(frozen=True, slots=True)
class Run:
    """Fragments of one recording that follow on from each other, and the init that they need."""

    init: Init
    fragments: tuple[Placed, ...]

    @property
    def start(self) -> datetime:
        return self.fragments[0].start

    @property
    def end(self) -> datetime:
        return self.fragments[-1].end

    @property
    def codecs(self) -> str:
        return self.fragments[0].segment.codecs

    def origin(self, fragment: Placed) -> Fraction:
        """Host time (seconds since 1970) of media time 0, by the anchor of that fragment's segment."""
        segment = fragment.segment
        return _seconds(segment.span.start) - Fraction(segment.media_start, segment.timescale)


@dataclass(frozen=True, slots=True)
class Moved:
    """A fragment in a file that begins with another recording's init: ticks to add to its tracks' decode times."""

    fragment: Placed
    shifts: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Cut:
    """One playable file: the time that it shows, and what it is made of. `begin` and `length` are seconds of its own
    media time.
    """

    span: Interval
    init: Init
    fragments: tuple[Moved, ...]
    begin: Fraction
    length: Fraction

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Each once, in order."""
        return tuple({one.fragment.segment.key: one.fragment.segment for one in self.fragments}.values())

    @property
    def container(self) -> Container:
        return self.segments[0].container

    @property
    def codecs(self) -> str:
        return self.segments[0].codecs


def placed(segment: Segment, entries: Sequence[IndexedFragment]) -> Iterator[Placed]:
    return (Placed(segment, entry) for entry in entries)


def trimmed(run: Run, span: Interval) -> Run | None:
    """What of `run` is needed to show `span`: from the last keyframe at or before its start to its end."""
    fragments = [fragment for fragment in run.fragments if fragment.start < span.end]
    keys = [
        index for index, fragment in enumerate(fragments) if fragment.entry.keyframe and fragment.start <= span.start
    ]
    fragments = fragments[keys[-1] if keys else 0 :]
    if not fragments or fragments[-1].end <= span.start:
        return None
    return replace(run, fragments=tuple(fragments))


def in_line(runs: Sequence[Run]) -> list[Run]:
    """Runs one after the other, each moment once: where two overlap the later one goes on from its last keyframe
    before the earlier one's end, and the earlier one gives way.
    """
    line: list[Run] = []
    for run in sorted(runs, key=lambda run: (run.start, run.fragments[0].segment.recording)):
        if not line or run.start >= line[-1].end:
            line.append(run)
            continue
        if run.end <= line[-1].end:
            continue
        later = _from_keyframe(run, line[-1].end)
        kept = tuple(fragment for fragment in line[-1].fragments if fragment.end <= later.start)
        line[-1:] = [replace(line[-1], fragments=kept), later] if kept else [later]
    return line


def cuts(runs: Sequence[Run], span: Interval) -> list[Cut]:
    """The files that show `span`: one where every run has the same codec parameters, else one for each that has."""
    groups: list[list[Run]] = []
    for run in in_line([kept for run in runs if (kept := trimmed(run, span))]):
        if groups and same_parameters(groups[-1][0].init, run.init):
            groups[-1].append(run)
        else:
            groups.append([run])
    return [_cut(group, span) for group in groups]


def _from_keyframe(run: Run, moment: datetime) -> Run:
    keys = [index for index, one in enumerate(run.fragments) if one.entry.keyframe and one.start <= moment]
    return replace(run, fragments=run.fragments[keys[-1] if keys else 0 :])


def _cut(runs: Sequence[Run], span: Interval) -> Cut:
    """`moved` is where a run's media time 0 stands in the file's time, which is the first run's media time;
    `origin` is the host time of the file's time 0, as the last fragment placed says.
    """
    first = runs[0]
    shown = Interval(max(span.start, first.start), min(span.end, runs[-1].end))
    begin = max(_seconds(shown.start) - first.origin(_at(first, shown.start)), Fraction(0))
    fragments: list[Moved] = []
    moved = origin = Fraction(0)
    for run in runs:
        if run is not first:
            moved = run.origin(run.fragments[0]) - origin
        shifts = joining_shifts(first.init, run.init, moved)
        fragments += [Moved(fragment, shifts) for fragment in run.fragments]
        origin = run.origin(run.fragments[-1]) - moved
    return Cut(shown, first.init, tuple(fragments), begin, _seconds(shown.end) - origin - begin)


def _at(run: Run, moment: datetime) -> Placed:
    return next((one for one in reversed(run.fragments) if one.start <= moment), run.fragments[0])


def _seconds(moment: datetime) -> Fraction:
    return Fraction(to_us(moment), MILLION)


def frame(run: Run, moment: datetime) -> Placed:
    """The fragment to decode for a picture at `moment`: the last that begins with a keyframe by then, else the
    first that does.
    """
    keys = [one for one in run.fragments if one.entry.keyframe] or list(run.fragments)
    return next((one for one in reversed(keys) if one.start <= moment), keys[0])
