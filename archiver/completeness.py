"""How much of a window was expected, recorded and missed: whole microseconds inside, seconds in documents.

Seconds are written as numbers of at most six decimals. As printed they add up exactly: recorded + missing = expected.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from archiver.errors import FormatError
from archiver.timeline import Interval, subtract, total
from archiver.times import MICROSECOND
from archiver.values import Gap, SourceCoverage

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Completeness:
    """Microseconds of a window, or of several (sources) together."""

    expected_us: int
    recorded_us: int
    missing_us: int

    @property
    def adds_up(self) -> bool:
        return self.expected_us == self.recorded_us + self.missing_us

    def __add__(self, other: "Completeness") -> "Completeness":
        return Completeness(
            self.expected_us + other.expected_us,
            self.recorded_us + other.recorded_us,
            self.missing_us + other.missing_us,
        )

    def to_document(self) -> dict[str, int | float]:
        """`{expected_s, recorded_s, missing_s}`."""
        return {
            "expected_s": seconds(self.expected_us),
            "recorded_s": seconds(self.recorded_us),
            "missing_s": seconds(self.missing_us),
        }


NOTHING = Completeness(0, 0, 0)


def of(coverage: SourceCoverage) -> Completeness:
    """What a coverage amounts to."""
    missing = total(gap.span for gap in coverage.gaps)
    return Completeness(_us(coverage.window), total(coverage.recorded) // MICROSECOND, missing // MICROSECOND)


def together(coverages: Iterable[SourceCoverage]) -> Completeness:
    """The sum over sources."""
    return sum(map(of, coverages), NOTHING)


def seconds(us: int) -> int | float:
    """Microseconds as the seconds of a JSON document, exact as printed (for less than 285 years)."""
    return us // _MILLION if us % _MILLION == 0 else us / _MILLION


def microseconds(seconds: object) -> int:
    """The microseconds that `seconds` wrote; FormatError for anything else."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not abs(seconds) < 2**53 / _MILLION:
        raise FormatError(f"{str(seconds)[:40]!r} is no number of seconds")
    us = round(seconds * _MILLION)
    if us / _MILLION != seconds:
        raise FormatError(f"{seconds} seconds are not whole microseconds")
    return us


def problem(window: Interval, stated: Completeness, gaps: Iterable[Gap]) -> str | None:
    """Why a statement about `window` can't be true, or None: the sums must add up and the gaps must be what is
    missing, inside the window, none twice."""
    spans = [gap.span for gap in gaps]
    lengths = sum(map(_us, spans))
    outside = [span for span in spans if span.start < window.start or span.end > window.end]
    for wrong, words in (
        (stated.expected_us != _us(window), f"{stated.expected_us} us expected of a window of {_us(window)} us"),
        (not stated.adds_up, f"{stated.recorded_us} + {stated.missing_us} us are not {stated.expected_us} us"),
        (min(stated.recorded_us, stated.missing_us) < 0, "a negative length"),
        (bool(outside), f"{len(outside)} gaps reach out of the window"),
        (lengths != total(spans) // MICROSECOND, "gaps overlap"),
        (lengths != stated.missing_us, f"gaps of {lengths} us for {stated.missing_us} us missing"),
    ):
        if wrong:
            return words
    return None


def unstated(coverage: SourceCoverage, stated: Iterable[Gap]) -> list[Interval]:
    """Holes that the media shows and that no stated gap covers."""
    covered = [gap.span for gap in stated]
    return [hole for gap in coverage.gaps for hole in subtract(gap.span, covered)]


def _us(interval: Interval) -> int:
    return interval.length // MICROSECOND
