"""`source test`: whether a source can be recorded, and what it sends, before anything depends on it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from archiver.errors import ArchiverError, SourceUnavailableError
from archiver.ports import SourceTest
from archiver.vocabulary import GapCause
from ingest.arguments import Opening

G711 = frozenset({"pcm_mulaw", "pcm_alaw"})


@dataclass(frozen=True, slots=True)
class Seen:
    """What a source sends. Codecs by ffmpeg's names, None where it sends none; sizes in pixels, `sample_rate` in Hz.

    `first_picture_s`: seconds from the connection to the first decoded picture (or sound, without video).
    """

    video: str | None
    width: int
    height: int
    audio: str | None
    sample_rate: int
    channels: int
    first_picture_s: float

    @property
    def opening(self) -> Opening:
        """How to start recording it: G.711 needs MOV."""
        return Opening(mov=self.audio in G711)


class Probe(Protocol):
    """Opens a source and looks."""

    def look(self, address: str, limit_s: float) -> Seen:
        """SourceUnavailableError (its `errors` name the cause) if it doesn't answer, refuses or sends nothing usable;
        without a secret in its words. AddressError for an address that can't be opened."""
        ...


@dataclass(frozen=True, slots=True)
class Preflight:
    """The outcome of a test: `seen`, or the cause and words of a failure. `took_s` in seconds."""

    seen: Seen | None
    cause: GapCause | None
    evidence: str
    took_s: float


def check_source(
    address: str, probe: Probe, limit_s: float = 20.0, monotonic: Callable[[], float] = time.monotonic
) -> Preflight:
    """Test a source that nobody records. AddressError for an address that can't be opened."""
    began = monotonic()
    try:
        seen = probe.look(address, limit_s)
    except SourceUnavailableError as problem:
        cause = GapCause(problem.errors.get("cause", GapCause.UNKNOWN))
        return Preflight(None, cause, problem.message, monotonic() - began)
    return Preflight(seen, None, "", monotonic() - began)


class Tester:
    """Answers `source test` (port SourceTester)."""

    def __init__(self, probe: Probe, limit_s: float = 20.0) -> None:
        self._probe = probe
        self._limit_s = limit_s

    def test(self, address: str) -> SourceTest:
        """Never while a recorder has it open: many cameras bear one session."""
        try:
            result = check_source(address, self._probe, self._limit_s)
        except ArchiverError as problem:
            return SourceTest(False, problem=problem.message)
        if result.seen is None:
            return SourceTest(False, problem=result.evidence)
        return SourceTest(True, tuple(codec for codec in (result.seen.video, result.seen.audio) if codec))
