"""Faults that a camera shows on request: by the query of its address, or while it runs.

In an address (`rtsp://…/cam1?stall=@5-15&latency=200`) a fault reads `kind=[value][@from[-until]]`, seconds
counted from PLAY.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl

from archiver.errors import InputError


class FaultKind(StrEnum):
    """What goes wrong, and the meaning of its value."""

    REFUSE = "refuse"  # while running: no connection is accepted and open ones end; by address: status 503
    DROP = "drop"  # the connection is closed
    STALL = "stall"  # the connection stays, nothing is sent; afterwards it goes on at the next key frame
    FREEZE = "freeze"  # one picture repeats; the marks go on
    MUTE = "mute"  # silence
    RESIZE = "resize"  # pictures of half the size, with their own parameter sets in the stream
    JUMP = "jump"  # RTP timestamps are ahead by `value` seconds
    SKEW = "skew"  # the camera's clock, as its sender reports tell it, is ahead by `value` seconds
    NO_SPROP = "no_sprop"  # the description lacks the parameter sets
    NO_REPORTS = "no_reports"  # no sender reports
    KEY_START = "key_start"  # picture waits for the next key frame after PLAY
    LONG_GOP = "long_gop"  # a key frame each 10 s
    LATENCY = "latency"  # everything is sent `value` milliseconds after its capture
    LOSS = "loss"  # a share `value` (0 to 1) of the RTP packets is left out


_NUMBER = r"[0-9]{1,7}(?:\.[0-9]{1,6})?"
_FAULT = re.compile(rf"(?P<value>-?{_NUMBER})?(?:@(?P<after>{_NUMBER})(?:-(?P<until>{_NUMBER}))?)?")


@dataclass(frozen=True, slots=True)
class Request:
    """A fault as asked for: it begins `after_s` seconds later and lasts `seconds` (None: for good)."""

    kind: FaultKind
    value: float = 0.0
    after_s: float = 0.0
    seconds: float | None = None

    def begin(self, now_us: int) -> "Fault":
        """The fault, when asked for at `now_us`."""
        start = now_us + round(self.after_s * 1e6)
        end = None if self.seconds is None else start + round(self.seconds * 1e6)
        return Fault(self.kind, self.value, start, end)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in time: [start_us, end_us), UTC microseconds since 1970."""

    kind: FaultKind
    value: float
    start_us: int
    end_us: int | None

    def active(self, now_us: int) -> bool:
        """Whether it shows at that time."""
        return self.start_us <= now_us and (self.end_us is None or now_us < self.end_us)


def parse_query(query: str) -> tuple[Request, ...]:
    """Faults of an address's query; InputError names one that is unknown or malformed."""
    return tuple(_parse(key, text) for key, text in parse_qsl(query, keep_blank_values=True))


def _parse(key: str, text: str) -> Request:
    match = _FAULT.fullmatch(text)
    if key not in FaultKind.__members__.values() or match is None:
        raise _unknown(key, text)
    value, after = float(match["value"] or 0), float(match["after"] or 0)
    seconds = float(match["until"]) - after if match["until"] else None
    if seconds is not None and seconds <= 0:
        raise _unknown(key, text)
    return Request(FaultKind(key), value, after, seconds)


def _unknown(key: str, text: str) -> InputError:
    kinds = ", ".join(FaultKind)
    return InputError(f"no such fault: {key}={text} (kind=[value][@from[-until]], kinds: {kinds})")


def find(faults: Iterable[Fault], kind: FaultKind, now_us: int) -> Fault | None:
    """The fault of a kind that shows at that time."""
    return next((fault for fault in faults if fault.kind is kind and fault.active(now_us)), None)
