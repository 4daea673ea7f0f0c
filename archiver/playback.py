"""What was recorded, as a player wants it: one file of any stretch, a playlist, a picture. Nothing is re-encoded
and no file is ever whole in memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from archiver import canonical, keys, sidecar
from archiver.booking import owned
from archiver.copies import CopiesAndMasters, Copying, is_copy, needs_copy
from archiver.errors import InputError, MixedFormatsError, NotFoundError
from archiver.mistakes import Mistake
from archiver.mp4.init import Init, parse_init
from archiver.playlist import playlist
from archiver.ports import Catalogue, Pictures, Reader, Transaction, Vault
from archiver.rope import Rope, Stored
from archiver.splicing import Ropes, settled, spliced
from archiver.stretches import Cut, Run, cuts, frame, in_line, placed
from archiver.timeline import Interval
from archiver.times import to_text
from archiver.values import Capture, Segment
from archiver.vocabulary import CaptureState, Container

DERIVATION = 2
"""Raise it when the same segments would give other bytes: it is part of every digest of a derived file."""

MEDIA_TYPES = {Container.MP4: "video/mp4", Container.MOV: "video/quicktime"}


@dataclass(frozen=True, slots=True)
class Media:
    """A file to be served: its bytes and where they are read from, their type, the digest that names them, and what
    time they show. `copy` if any of it is a browser copy.
    """

    rope: Rope
    type: str
    digest: str
    span: Interval
    codecs: str
    store: Reader
    copy: bool = False

    @property
    def suffix(self) -> str:
        return ".mov" if self.type == MEDIA_TYPES[Container.MOV] else ".mp4"


@dataclass(frozen=True, slots=True)
class Playback:
    """`pre_roll` and `post_roll` are how far around a window footage may be asked for."""

    catalogue: Catalogue
    vault: Vault
    pictures: Pictures
    ropes: Ropes
    copying: Copying
    pre_roll: timedelta
    post_roll: timedelta

    def media(
        self, organisation: str, capture: str, source: str, start: datetime | None = None, end: datetime | None = None
    ) -> Media:
        """One file that shows [start, end) of a source (default: the window), less what was not recorded at either
        end. MixedFormatsError, with the parts, where no one file can; NotFoundError where nothing was recorded.
        """
        span = self._span(organisation, capture, source, start, end)
        found = self.parts(organisation, capture, source, span)
        if len(found) > 1:
            raise _mixed(found)
        return self.as_media(capture, source, span, found[0])

    def parts(self, organisation: str, capture: str, source: str, span: Interval) -> list[Cut]:
        """The files that show `span`, in order; NotFoundError if nothing was recorded in it."""
        with self.catalogue.reading() as tx:
            self._captured(tx, organisation, capture, source)
            runs = self._runs(tx, source, span)
        found = cuts(runs, span)
        if not found:
            raise NotFoundError(Mistake.NO_MEDIA)
        return found

    def as_media(self, capture: str, source: str, span: Interval, cut: Cut, reader: Reader | None = None) -> Media:
        """The digest follows from the capture, the source, the stretch and the segments in it, nothing else."""
        identity = {
            "derivation": DERIVATION,
            "capture": capture,
            "source": source,
            "from": to_text(span.start),
            "to": to_text(span.end),
            "part": to_text(cut.span.start),
            "segments": [[segment.key, segment.digest] for segment in cut.segments],
        }
        digest = canonical.digest_of(canonical.encode(identity))
        store = reader or self.vault
        rope = self.ropes.get(digest, lambda: spliced(store, cut))
        return Media(rope, MEDIA_TYPES[cut.container], digest, cut.span, cut.codecs, store)

    def browser(
        self, organisation: str, capture: str, source: str, start: datetime | None = None, end: datetime | None = None
    ) -> Media:
        """As `media`, of what a browser can play: the copies where the masters can't be. PendingError while a copy is
        missing; it is asked for.
        """
        span = self._span(organisation, capture, source, start, end)
        if not any(needs_copy(cut.codecs) for cut in self.parts(organisation, capture, source, span)):
            return self.media(organisation, capture, source, start, end)
        with self.catalogue.reading() as tx:
            asked = self._captured(tx, organisation, capture, source)
            masters = [run for run in self._runs(tx, source, span) if not needs_copy(run.codecs)]
            copied = self.copying.runs(tx, asked, source, span)
        if copied is None:
            raise self.copying.pending(asked, source)
        found = cuts([*masters, *copied], span)
        if not found:
            raise NotFoundError(Mistake.NO_MEDIA)
        if len(found) > 1:
            raise _mixed(found)
        media = self.as_media(capture, source, span, found[0], CopiesAndMasters(self.copying.copies, self.vault))
        return replace(media, copy=any(is_copy(segment.key) for segment in found[0].segments))

    def segment(self, organisation: str, capture: str, source: str, recording: str, seq: int) -> Media:
        """A stored segment as it is, for a playlist."""
        with self.catalogue.reading() as tx:
            asked = self._captured(tx, organisation, capture, source)
            found = tx.segments.get(keys.segment(asked.site, source, recording, seq))
        if not found.span.overlaps(self.rolled(asked)):
            raise NotFoundError(Mistake.NO_MEDIA)
        rope = Rope([Stored(found.key, found.version, 0, found.size, found.span)])
        return Media(rope, MEDIA_TYPES[found.container], found.digest, found.span, found.codecs, self.vault)

    def playlist(self, organisation: str, capture: str, source: str) -> str:
        """HLS (RFC 8216) over the stored segments: a byte range per GOP, the wall clock, a discontinuity at gaps."""
        with self.catalogue.reading() as tx:
            asked = self._captured(tx, organisation, capture, source)
            runs = self._runs(tx, source, asked.window)
        ended = asked.state not in (CaptureState.BOOKED, CaptureState.RECORDING)
        return playlist(in_line(runs), asked.window, ended=ended)

    def picture(self, organisation: str, capture: str, source: str, at: datetime, width: int) -> tuple[bytes, Interval]:
        """A JPEG of what was to be seen at `at`, at most `width` pixels wide, and the time of its fragment.
        NotFoundError where nothing was, or nothing of this capture.
        """
        with self.catalogue.reading() as tx:
            asked = self._captured(tx, organisation, capture, source)
            if at not in self.rolled(asked):
                raise NotFoundError(Mistake.NO_MEDIA)
            runs = self._runs(tx, source, Interval(at, at + timedelta(seconds=1)))
        if not runs:
            raise NotFoundError(Mistake.NO_MEDIA)
        stored = frame(runs[0], at).stored
        data = b"".join(self.vault.read(stored.key, stored.offset, stored.size, stored.version))
        return self.pictures.jpeg(runs[0].init.data + data, width), stored.span

    def rolled(self, capture: Capture) -> Interval:
        """The window with its rolls: all that may have been recorded for it."""
        return capture.window.widened(self.pre_roll, self.post_roll)

    def _span(
        self, organisation: str, capture: str, source: str, start: datetime | None, end: datetime | None
    ) -> Interval:
        with self.catalogue.reading() as tx:
            asked = self._captured(tx, organisation, capture, source)
        return bounded(start or asked.window.start, end or asked.window.end, self.rolled(asked))

    def _captured(self, tx: Transaction, organisation: str, capture: str, source: str) -> Capture:
        found = owned(tx, organisation, capture)
        if source not in found.sources:
            raise NotFoundError(Mistake.SOURCE_NOT_CAPTURED)
        return found

    def _runs(self, tx: Transaction, source: str, span: Interval) -> list[Run]:
        """Every recording's fragments that `span` needs, from a keyframe at or before its start where there is one."""
        recordings = dict.fromkeys(segment.recording for segment in tx.segments.touching(source, span))
        return [self._run(tx, tx.segments.of_recording(recording), span) for recording in recordings]

    def _run(self, tx: Transaction, segments: Sequence[Segment], span: Interval) -> Run:
        wanted = [segment for segment in segments if segment.span.overlaps(span)]
        before = [segment for segment in segments if segment.seq < wanted[0].seq]
        fragments = [
            one for segment in wanted for one in placed(segment, sidecar.unpack(tx.segments.fragments(segment.key)))
        ]
        while before and not any(one.entry.keyframe and one.start <= span.start for one in fragments):
            earlier = before.pop()
            fragments = [*placed(earlier, sidecar.unpack(tx.segments.fragments(earlier.key))), *fragments]
        return settled(self.vault, Run(self._init(wanted[0]), tuple(fragments)))

    def _init(self, segment: Segment) -> Init:
        return parse_init(b"".join(self.vault.read(segment.key, 0, segment.init_size, segment.version)))


def _mixed(found: Sequence[Cut]) -> MixedFormatsError:
    message = "the codec parameters changed in this stretch: ask for its parts one by one"
    return MixedFormatsError(message, [(cut.span.start, cut.span.end) for cut in found])


def bounded(start: datetime, end: datetime, allowed: Interval) -> Interval:
    """[start, end), which must lie in `allowed`; InputError names the field that doesn't."""
    problems: dict[str, str] = {}
    for name, moment in (("from", start), ("to", end)):
        if moment.tzinfo is None:
            problems[name] = Mistake.NO_OFFSET
        elif not allowed.start <= moment <= allowed.end:
            problems[name] = Mistake.OUTSIDE_WINDOW
    if not problems and end <= start:
        problems["to"] = Mistake.END_NOT_AFTER_START
    if problems:
        raise InputError("this stretch can't be had", errors=problems)
    return Interval(start, end)
