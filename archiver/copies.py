"""Browser copies: what a browser can't play, made again in codecs that it can. A copy is never evidence: it is not in
the vault, no seal lists it, and every face calls it a copy. It is tied by digest to the segments it was made from, and
can be made again from them at any time.

One copy is made of each unbroken recording of a source within a capture, by one encoder from end to end, so that no
sound is lost or doubled where segments join. Its pictures stand at the master's times.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from archiver import canonical
from archiver.booking import owned
from archiver.claims import Rolls
from archiver.errors import ConflictError, TamperError
from archiver.mistakes import Mistake
from archiver.mp4.codecs import codecs_string
from archiver.mp4.index import IndexedFragment
from archiver.mp4.init import Init, parse_init
from archiver.ports import Catalogue, Clock, Copies, Jobs, Progress, Transaction, Transcoder, Vault
from archiver.stretches import Placed, Run
from archiver.values import ARCHIVE, Capture, Draft, Job, Json, Profile, Segment
from archiver.vocabulary import Container, EventType, JobName, JobState

log = logging.getLogger(__name__)

NOT_IN_BROWSERS = ("hvc1", "hev1")
"""Sample entries of pictures that no browser plays everywhere. G.711 sound in MOV plays by itself."""


@dataclass(frozen=True, slots=True)
class Original:
    """Deposited segments of one recording that follow on from each other: what one copy is made of."""

    segments: tuple[Segment, ...]

    def name(self, profile: Profile) -> str:
        """The copy's name: a digest of what it is made of, and how."""
        made_of = [[segment.key, segment.digest] for segment in self.segments]
        identity = {
            "profile": [profile.name, profile.height, profile.preset, profile.crf, profile.sound_bits],
            "segments": made_of,
        }
        return canonical.digest_hex(canonical.digest_of(canonical.encode(identity)))


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
        """Enqueue what a sealed capture's sources still need; asked for again they are the same jobs."""
        return [self._ask(tx, capture, source) for source in capture.sources if self._missing(tx, capture, source)]

    def _ask(self, tx: Transaction, capture: Capture, source: str) -> Job:
        """A copy that was made and is gone again is asked for under another key, once an hour at most."""
        key = f"{JobName.RENDITION}:{capture.id}:{source}:{capture.revision}"
        what = {"capture": capture.id, "source": source}
        job = self.jobs.enqueue(tx, JobName.RENDITION, key, what)
        if job.state is not JobState.DONE:
            return job
        return self.jobs.enqueue(tx, JobName.RENDITION, f"{key}:{self.clock.now():%Y%m%dT%H}", what)

    def make(self, capture: str, source: str, progress: Progress) -> Json:
        """Make every copy of a source that isn't there yet; `{made}` of them. Again does nothing."""
        with self.catalogue.reading() as tx:
            missing = self._missing(tx, tx.captures.get(capture), source)
        for done, original in enumerate(missing):
            progress(done, len(missing))
            self._make(capture, source, original)
        progress(len(missing), len(missing))
        return {"made": len(missing)}

    def _missing(self, tx: Transaction, capture: Capture, source: str) -> list[Original]:
        wanted = originals(self.rolls.segments(tx, capture, source))
        return [original for original in wanted if not self._is_there(tx, original.name(self.profile))]

    def _is_there(self, tx: Transaction, name: str) -> bool:
        known = tx.renditions.get(name, self.profile.name)
        return known is not None and self.copies.holds(name, known[1])

    def _make(self, capture: str, source: str, original: Original) -> None:
        name = original.name(self.profile)
        first = original.segments[0]
        with self.copies.making(name) as target:
            self.transcoder.transcode(self._bytes(original), target, self.profile, first.container, first.timescale)
        digest, size = self.copies.index(name)
        payload = {
            "capture": capture,
            "source": source,
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

    def _bytes(self, original: Original) -> Iterator[bytes]:
        """An init and any fragments are a file: the first segment's, and the others without theirs."""
        for number, segment in enumerate(original.segments):
            yield from self.vault.read(segment.key, segment.init_size if number else 0, version=segment.version)

    def runs(self, tx: Transaction, organisation: str, capture: str, source: str) -> list[Run]:
        """A source's copies, laid on the host's clock by the masters' own anchors. ConflictError while one is being
        made.
        """
        asked = owned(tx, organisation, capture)
        found = []
        for original in originals(self.rolls.segments(tx, asked, source)):
            name = original.name(self.profile)
            known = tx.renditions.get(name, self.profile.name)
            if known is None or not self.copies.holds(name, known[1]):
                raise ConflictError(Mistake.RENDITION_PENDING)
            found.append(self._run(name, known[1], original))
        return found

    def _run(self, name: str, digest: str, original: Original) -> Run:
        master = parse_init(b"".join(self.vault.read(original.segments[0].key, 0, original.segments[0].init_size)))
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
