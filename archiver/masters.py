"""Checks stored segments: every byte is read again, hashed, and read as the media it claims to be."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from archiver import keys, sidecar
from archiver.canonical import digest_of, digest_text
from archiver.errors import FormatError, MediaError, NotFoundError
from archiver.ledger import error
from archiver.manifest import SegmentEntry
from archiver.mp4.index import index
from archiver.ports import Vault
from archiver.sidecar import Sidecar
from archiver.values import Finding, Stored
from archiver.vocabulary import FindingCode


@dataclass(frozen=True, slots=True)
class Master:
    """A segment as it is found: its sidecar if that can be trusted, its media's object, and what is wrong."""

    entry: SegmentEntry
    side: Sidecar | None
    stored: Stored | None
    finding: Finding | None


@dataclass(frozen=True, slots=True)
class MasterReader:
    """Reads segments back. `passed` is told how many bytes were read."""

    vault: Vault
    passed: Callable[[int], None]

    def read(self, entry: SegmentEntry) -> Master:
        """Check one listed segment with its sidecar; the first thing that is wrong is the one reported."""
        media, media_bytes, problem = self._object(entry.key, entry.version, entry.size, entry.digest)
        if problem:
            return Master(entry, None, media, problem)
        _, side_bytes, problem = self._object(keys.sidecar(entry.key), None, None, entry.sidecar_digest)
        if problem:
            return Master(entry, None, media, problem)
        try:
            side = sidecar.parse(side_bytes)
            _check_place(side, entry.key)
            _check_media(side, media_bytes)
        except (FormatError, MediaError) as problem_found:
            unreadable = error(
                FindingCode.SEGMENT_UNREADABLE, entry.key, "the media that it claims", str(problem_found)
            )
            return Master(entry, None, media, unreadable)
        return Master(entry, side, media, None)

    def _object(
        self, key: str, version: str | None, size: int | None, digest: str
    ) -> tuple[Stored | None, bytes, Finding | None]:
        try:
            stored = self.vault.stat(key, version)
            data, found = self._read(key, stored.version)
        except NotFoundError as missing:
            return None, b"", error(FindingCode.SEGMENT_MISSING, key, digest, str(missing))
        if size is not None and len(data) < size:
            found_size = f"{len(data)} bytes"
            return stored, data, error(FindingCode.SEGMENT_TRUNCATED, key, f"{size} bytes", found_size)
        if found != digest:
            return stored, data, error(FindingCode.SEGMENT_DIGEST, key, digest, found)
        return stored, data, None

    def _read(self, key: str, version: str) -> tuple[bytes, str]:
        hashing, pieces = sha256(), []
        for piece in self.vault.read(key, version=version):
            hashing.update(piece)
            pieces.append(piece)
            self.passed(len(piece))
        return b"".join(pieces), digest_text(hashing.hexdigest())


def _check_place(side: Sidecar, key: str) -> None:
    """It must be of the segment that it lies beside. FormatError."""
    place = side.place
    named = keys.segment(place.site, place.source, place.recording, place.seq)
    if named != key:
        raise FormatError(f"its sidecar is that of {named}")


def _check_media(side: Sidecar, media: bytes) -> None:
    """The fragments must lie as the sidecar says, and last as long. MediaError."""
    found = index(media)
    init = found.fragments[0].offset if found.fragments else len(media)
    if (init, digest_of(media[:init])) != (side.init_size, side.init_digest):
        raise MediaError(f"its init has {init} bytes; the sidecar says {side.init_size}, {side.init_digest}")
    lying = [(part.offset, part.size, part.tfdt, part.duration, part.keyframe) for part in found.fragments]
    stated = [(part.offset, part.size, part.tfdt, part.duration, part.keyframe) for part in side.fragments]
    if lying != stated:
        raise MediaError(f"its {len(lying)} fragments don't lie as the sidecar's {len(stated)} do")
    last = side.fragments[-1]
    true = (
        found.init.reference.timescale,
        side.fragments[0].tfdt,
        max(last.tfdt + last.duration, side.media_start + 1),
    )
    if (side.timescale, side.media_start, side.media_end) != true:
        raise MediaError(f"its media has (timescale, start, end) {true}, which is not what the sidecar says")
