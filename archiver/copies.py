"""Browser copies: what a browser can't play, made again in codecs that it can. A copy is never evidence: it is not in
the vault, no seal lists it, and every face calls it a copy. It is tied by digest to the segments it was made from, and
can be made again from them at any time.

One copy is made of each unbroken recording of a source within a capture, by one encoder from end to end, so that no
sound is lost or doubled where segments join. Its pictures stand at the master's times.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from archiver import canonical, sidecar
from archiver.claims import Rolls
from archiver.errors import ConflictError, NotFoundError, TamperError
from archiver.mistakes import Mistake
from archiver.mp4.codecs import codecs_string
from archiver.mp4.index import IndexedFragment
from archiver.mp4.init import Init, parse_init
from archiver.ports import Catalogue, Clock, Copies, Jobs, Progress, Reader, Transaction, Transcoder, Vault
from archiver.splicing import settled
from archiver.stretches import Placed, Run
from archiver.timeline import Interval
from archiver.values import ARCHIVE, Capture, Draft, Job, Json, Profile, Segment
from archiver.vocabulary import CaptureState, Container, EventType, JobName, JobState

log = logging.getLogger(__name__)

NOT_IN_BROWSERS = ("hvc1", "hev1")
"""Sample entries of pictures that no browser plays everywhere. G.711 sound in MOV plays by itself."""


AT_WORK = (JobState.QUEUED, JobState.RUNNING)


class PendingError(ConflictError):
    """A copy that isn't made yet. `job` makes it; None while the capture is being recorded."""

    code = "RENDITION_PENDING"

    def __init__(self, job: Job | None) -> None:
        super().__init__(Mistake.RENDITION_PENDING)
        self.job = job


@dataclass(frozen=True, slots=True)
class Original:
    """Deposited segments of one recording that follow on from each other: what one copy is made of."""

    segments: tuple[Segment, ...]

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(segment.size for segment in self.segments)

    @property
    def seconds(self) -> float:
        return sum(segment.span.length.total_seconds() for segment in self.segments)

    def touches(self, span: Interval) -> bool:
        return any(segment.span.overlaps(span) for segment in self.segments)

    def name(self, profile: Profile) -> str:
        """The copy's name: a digest of what it is made of, and how."""
        made_of = [[segment.key, segment.digest] for segment in self.segments]
        identity = {
            "profile": [profile.name, profile.height, profile.preset, profile.crf, profile.sound_bits],
            "segments": made_of,
        }
        return canonical.digest_hex(canonical.digest_of(canonical.encode(identity)))


@dataclass(frozen=True, slots=True)
class CopiesAndMasters:
    """A Reader of both: a file may hold copies beside what needs none."""

    copies: Reader
    masters: Reader

    def read(self, key: str, offset: int = 0, length: int | None = None, version: str | None = None) -> Iterator[bytes]:
        return (self.copies if is_copy(key) else self.masters).read(key, offset, length, version)


def is_copy(key: str) -> bool:
    """A copy's name is a bare digest; a master's key has the parts of its place."""
    return "/" not in key


def needs_copy(codecs: str) -> bool:
    """Whether a browser must be given a copy of media with these RFC 6381 codecs."""
    return any(codec.startswith(NOT_IN_BROWSERS) for codec in codecs.split(","))


def originals(segments: Sequence[Segment]) -> list[Original]:
    """The copies that `segments` (ordered by recording and seq) need."""
    needy = [segment for segment in segments if needs_copy(segment.codecs)]
    grouped = groupby(enumerate(needy), key=lambda each: (each[1].recording, each[1].seq - each[0]))
    return [Original(tuple(segment for _, segment in group)) for _, group in grouped]


@dataclass(frozen=True, slots=True)
class Copying:
    """Makes copies and gives them out."""

    catalogue: Catalogue
    vault: Vault
    transcoder: Transcoder
    copies: Copies
    jobs: Jobs
    clock: Clock
    rolls: Rolls
    profile: Profile

    def ask(self, tx: Transaction, capture: Capture) -> list[Job]:
        """Enqueue what a capture's sources still need; asked for again they are the same jobs. None while it is being
        recorded: its copies would be outgrown by the next segment.
        """
        if capture.state in (CaptureState.BOOKED, CaptureState.RECORDING):
            return []
        return [self._ask(tx, capture, source) for source in capture.sources if self._missing(tx, capture, source)]

    def _ask(self, tx: Transaction, capture: Capture, source: str) -> Job:
        """A copy that failed, or was made and is gone again, is asked for under another key, once an hour at most."""
        first = f"{JobName.RENDITION}:{capture.id}:{source}:{capture.revision}"
        what = {"organisation": capture.organisation, "capture": capture.id, "source": source}
        for key in (first, f"{first}:{self.clock.now():%Y%m%dT%H}"):
            try:
                job = tx.jobs.get(key)
            except NotFoundError:
                return self.jobs.enqueue(tx, JobName.RENDITION, key, what)
            if job.state in AT_WORK:
                return job
        return job

    def pending(self, capture: Capture, source: str) -> PendingError:
        """What to raise for a source whose copy is missing; the copy is asked for."""
        with self.catalogue.transaction() as tx:
            jobs = self.ask(tx, capture)
        return PendingError(next((job for job in jobs if job.arguments["source"] == source), None))

    def make(self, capture: str, source: str, progress: Progress) -> Json:
        """Make every copy of a source that isn't there yet; `{made}` of them. Again does nothing. Progress is in
        seconds of media.
        """
        with self.catalogue.reading() as tx:
            missing = self._missing(tx, tx.captures.get(capture), source)
        total = round(sum(original.seconds for original in missing))
        done = 0.0

        def passed(segment: Segment) -> None:
            nonlocal done
            done += segment.span.length.total_seconds()
            progress(min(round(done), total), total)

        progress(0, total)
        for original in missing:
            self._make(capture, source, original, passed)
        return {"made": len(missing)}

    def _missing(self, tx: Transaction, capture: Capture, source: str) -> list[Original]:
        wanted = originals(self.rolls.segments(tx, capture, source))
        return [original for original in wanted if self._digest(tx, original.name(self.profile)) is None]

    def _digest(self, tx: Transaction, name: str) -> str | None:
        """Of a copy that is there, with its bytes as they were made."""
        known = tx.renditions.get(name, self.profile.name)
        return known[1] if known is not None and self.copies.holds(name, known[1]) else None

    def _make(self, capture: str, source: str, original: Original, passed: Callable[[Segment], None]) -> None:
        name = original.name(self.profile)
        first = original.segments[0]
        with self.copies.making(name, original.size) as target:
            media = self._bytes(original, passed)
            self.transcoder.transcode(media, target, self.profile, first.container, first.timescale)
        digest, size = self.copies.index(name)
        payload = {
            "capture": capture,
            "source": source,
            "recording": first.recording,
            "segments": [segment.key for segment in original.segments],
            "profile": self.profile.name,
            "copy": name,
            "sha256": digest,
            "size": size,
        }
        with self.catalogue.transaction() as tx:
            tx.renditions.put(name, self.profile.name, f"{name}.mp4", digest, size)
            about = (source,)
            tx.events.append(Draft(capture, EventType.RENDITION_MADE, self.clock.now(), ARCHIVE, payload, about))

    def _bytes(self, original: Original, passed: Callable[[Segment], None]) -> Iterator[bytes]:
        """An init and any fragments are a file: the first segment's, and the others without theirs."""
        for number, segment in enumerate(original.segments):
            yield from self.vault.read(segment.key, segment.init_size if number else 0, version=segment.version)
            passed(segment)

    def runs(self, tx: Transaction, capture: Capture, source: str, span: Interval) -> list[Run] | None:
        """A source's copies that show `span`, laid on the host's clock by the masters' own anchors; None while one is
        missing.
        """
        found = []
        for original in originals(self.rolls.segments(tx, capture, source)):
            if original.touches(span):
                digest = self._digest(tx, original.name(self.profile))
                if digest is None:
                    return None
                found.append(self._run(digest, original, self._told(tx, original)))
        return found

    def _told(self, tx: Transaction, original: Original) -> Init:
        """The master's init, its time line told as it is for the master itself."""
        last = original.segments[-1]
        init = parse_init(b"".join(self.vault.read(last.key, 0, last.init_size, last.version)))
        entries = sidecar.unpack(tx.segments.fragments(last.key))
        return settled(self.vault, Run(init, tuple(Placed(last, entry) for entry in entries))).init

    def _run(self, digest: str, original: Original, master: Init) -> Run:
        name = original.name(self.profile)
        head, entries = self.copies.read_index(name)
        init = parse_init(head)
        return Run(init, tuple(placed(name, digest, original, master, init, entries)))


def placed(
    name: str, digest: str, original: Original, master: Init, init: Init, entries: Sequence[IndexedFragment]
) -> Iterator[Placed]:
    """A copy's fragments, each by the anchor of the master's segment that shows the same moment."""
    shift = _shift(master, init)
    stand_ins = [_stand_in(name, digest, segment, init, shift) for segment in original.segments]
    for entry in entries:
        before = [each for each in stand_ins if each.media_start <= entry.tfdt]
        yield Placed(before[-1] if before else stand_ins[0], entry)


def _shift(master: Init, copy: Init) -> int:
    """Ticks from a copy's media time to its master's, both counted from what they present first."""
    there, here = master.reference, copy.reference
    if there.timescale != here.timescale:
        raise TamperError(f"a copy counts {here.timescale} ticks a second, its master {there.timescale}: make it anew")
    return round((here.delay - there.delay) * here.timescale)


def _stand_in(name: str, digest: str, segment: Segment, init: Init, shift: int) -> Segment:
    """The copy's bytes in the master's place."""
    return replace(
        segment,
        key=name,
        version=digest,
        digest=digest,
        container=Container.MP4,
        codecs=codecs_string(init),
        init_size=len(init.data),
        media_start=segment.media_start - shift,
        media_end=segment.media_end - shift,
    )
