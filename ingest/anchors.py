"""Where media stands on the host's clock (I8), from when it arrived; and what the camera says of the time. Pure.

Host times here are microseconds since 1970 that continue by the monotonic clock from a recording's first byte on, so
a step of the host's clock moves no evidence. Media times are ticks of the recording's reference track.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median

from archiver.mp4.fragments import Clock, Fragment
from archiver.mp4.init import Init
from ingest.spooled import Arrival, Told

WINDOW_US = 120_000_000
JUMP_US = 1_000_000
SETTLED_US = 5_000_000
"""A camera may begin with a burst of what it kept: a stream that catches up so early has not jumped."""

LATE_US = 10_000_000
"""Media that stays late for so long has fallen behind; a shorter delay is the network's."""

FRAMES = 25
KNOWN_FRAMES = 3
MUXED_US = range(-5_000, 100_000)
"""ffmpeg's own time stands so long before the fragment's arrival."""


def arrival_of(init: Init, fragment: Fragment, seq: int, at_us: int) -> Arrival:
    """What is remembered of a fragment of segment `seq` whose first byte arrived at `at_us`."""
    run = fragment.tracks.get(init.reference.track_id)
    told = _told(init, fragment.clock) if fragment.clock else None
    return Arrival(seq, at_us, fragment.tfdt, fragment.duration, run.samples if run else 0, told)


def _told(init: Init, clock: Clock) -> Told:
    """ffmpeg writes a presentation time into a prft, on the movie's time line: the edit list's delay is in it."""
    presented = Fraction(clock.media_time, init.track(clock.track_id).timescale)
    return Told(clock.utc_us, clock.utc_us - round((presented - init.reference.delay) * 1_000_000))


def _us(ticks: float, timescale: int) -> int:
    return round(ticks * 1_000_000 / timescale)


@dataclass(frozen=True, slots=True)
class Jump:
    """Media and arrival no longer agree. A stall: the camera sent nothing for a while, and nothing else is wrong."""

    stall: bool
    evidence: str


class Anchors:
    """Follows the least delay between a fragment's end and its arrival over the last 120 s: the closest that a host
    comes to when the media was made. `timescale` is in ticks per second.
    """

    def __init__(self, timescale: int) -> None:
        self._timescale = timescale
        # (arrival, delay), both growing: the first is the least of the last 120 s.
        self._least: deque[tuple[int, int]] = deque()
        self._frames: deque[float] = deque(maxlen=FRAMES)
        self._frame = 0.0
        self._first_us: int | None = None
        self._late_us: int | None = None  # since when everything has come late

    def observe(self, arrival: Arrival) -> None:
        """Take a fragment that another one followed. (The last is given out because the stream ends, not because it
        is full, so its arrival says something else.)"""
        if self._first_us is None:
            self._first_us = arrival.at_us
        else:
            self._note_lateness(arrival)
            self._note_frame(arrival)
        delay = self._delay_us(arrival)
        while self._least and self._least[-1][1] >= delay:
            self._least.pop()
        self._least.append((arrival.at_us, delay))
        while self._least[0][0] < arrival.at_us - WINDOW_US:
            self._least.popleft()

    def _note_lateness(self, arrival: Arrival) -> None:
        if -self._ahead_us(arrival) <= JUMP_US:
            self._late_us = None
        elif self._late_us is None:
            self._late_us = arrival.at_us

    def _note_frame(self, arrival: Arrival) -> None:
        """Not of a stream's first fragment: ffmpeg may give its first picture the time of its first sound."""
        if arrival.samples:
            self._frames.append(arrival.frame)
            self._frame = median(self._frames)

    def zero_us(self, last: Arrival) -> int:
        """The host time of media time 0; `last` serves while nothing was observed.

        ffmpeg lets go of a picture when the next has come: it holds back one frame (measured: 41 ms at 25 per second).
        """
        least = self._least[0][1] if self._least else self._delay_us(last)
        return least - _us(self._frame, self._timescale)

    def host_us(self, ticks: int, last: Arrival) -> int:
        """When the media at `ticks` was made, by the host's clock."""
        return self.zero_us(last) + _us(ticks, self._timescale)

    def jump(self, arrival: Arrival) -> Jump | None:
        """Whether a fragment's times contradict its arrival, or its own pictures, by over 1 s."""
        if self._first_us is None:
            return None
        ahead, uneven = self._ahead_us(arrival), self._uneven_us(arrival)
        if ahead > JUMP_US and arrival.at_us - self._first_us > SETTLED_US:
            return Jump(False, f"media times ran {ahead / 1e6:.1f} s ahead of their arrival")
        if -ahead > JUMP_US and self._late_us is not None and arrival.at_us - self._late_us > LATE_US:
            return Jump(False, f"media times fell {-ahead / 1e6:.1f} s behind their arrival")
        if abs(uneven) <= JUMP_US:
            return None
        lasts = _us(arrival.duration, self._timescale) / 1e6
        stall = uneven > 0 and ahead <= JUMP_US
        return Jump(stall, f"{arrival.samples} pictures state to last {lasts:.1f} s")

    def _ahead_us(self, arrival: Arrival) -> int:
        """How much earlier it came than any before, by its media times."""
        return self._least[0][1] - self._delay_us(arrival)

    def _uneven_us(self, arrival: Arrival) -> int:
        """How much longer (shorter, if negative) its pictures last than those before. A muxer smears a hole or a jump
        over one picture, which then lasts too long, or over many, which then hardly last."""
        if len(self._frames) < KNOWN_FRAMES or not arrival.samples:
            return 0
        return _us(arrival.duration - arrival.samples * self._frame, self._timescale)

    def _delay_us(self, arrival: Arrival) -> int:
        return arrival.at_us - _us(arrival.end, self._timescale)


def claimed_offset_us(arrivals: Sequence[Arrival], zero_us: int) -> int | None:
    """The camera's clock less the host's, in microseconds; None without a claim. `zero_us` is the host time of media
    time 0.

    Without a sender report ffmpeg writes the time of its own muxing in the same place, unmarked. That is when the
    fragment arrived, and no claim of the camera.
    """
    told = [(each.at_us - each.told.at_us, each.told.zero_us) for each in arrivals if each.told]
    if not told or round(median(lead for lead, _ in told)) in MUXED_US:
        return None
    return round(median(zero for _, zero in told)) - zero_us
