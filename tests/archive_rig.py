"""A small archive on a real SQLite catalogue and a real local vault, with a clock that is moved by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from archiver import sidecar
from archiver.adapters import authority
from archiver.adapters.catalogue import schema
from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.adapters.signer import FileSigner, OpenSsl, OpenSslChecker
from archiver.adapters.vault_local import LocalVault
from archiver.canonical import digest_of
from archiver.claims import Rolls
from archiver.custody import Custody
from archiver.depositing import Depositing
from archiver.mp4.index import index
from archiver.readiness import Readiness
from archiver.sealing import Maker, Sealing
from archiver.sidecar import Anchor, Place, Sidecar
from archiver.timeline import Interval
from archiver.values import SealRow, Segment
from archiver.verifying import Verifying
from archiver.vocabulary import EventType
from retention.binding import Binding
from retention.renewal import Renewal
from tests.catalogue_facts import SECOND, START, book_one, move, new_id, span
from tests.doubles import ManualClock
from tests.mp4_streams import asset

ROLLS = Rolls(5 * SECOND, 5 * SECOND)
SHANGHAI = ZoneInfo("Asia/Shanghai")
WINDOW = span(0, 4)
MAKER = Maker("test archive", "archiver test")


@dataclass(frozen=True)
class Footage:
    """A finished segment as a spool holds it."""

    media: Path
    side: Sidecar

    @property
    def sidecar(self) -> bytes:
        return sidecar.to_bytes(self.side)


class Archive:
    """Every use case on one home. Opened again on the same folder, or on a copy, it is the same archive."""

    def __init__(self, home: Path, clock: ManualClock) -> None:
        self.home = home
        self.clock = clock
        authority.ensure(home / "keys", "Test Centre", clock.now())
        self.url = f"sqlite:///{home / 'catalogue.db'}"
        schema.upgrade(self.url)
        openssl = OpenSsl()
        self.catalogue = SqlCatalogue(self.url, new_id)
        self.vault = LocalVault(home / "vault", clock)
        self.signer = FileSigner(home / "keys", openssl)
        self.checker = OpenSslChecker(openssl)
        self.binding = Binding(SHANGHAI)
        self.depositing = Depositing(self.catalogue, self.vault, self.binding, clock, ROLLS.pre, ROLLS.post)
        self.readiness = Readiness(ROLLS)
        self.sealing = Sealing(self.catalogue, self.vault, self.binding, self.signer, clock, self.readiness, MAKER)
        self.custody = Custody(self.catalogue, self.vault, self.binding, self.signer, clock, new_id, MAKER.archive)
        self.renewal = Renewal(self.catalogue, self.vault, self.binding, clock, ROLLS.pre, ROLLS.post)

    @property
    def root(self) -> Path:
        """The certificate that a stranger would be given."""
        return self.home / "keys" / "ca.pem"

    def object(self, key: str) -> Path:
        """The file of a stored object."""
        return self.home / "vault" / "objects" / key

    def verifying(self, *, catalogue: bool = False, roots: bytes | None = None) -> Verifying:
        return Verifying(
            self.vault, self.checker, ROLLS, roots or self.root.read_bytes(), self.catalogue if catalogue else None
        )

    def book(self, window: Interval = WINDOW) -> str:
        with self.catalogue.transaction() as tx:
            return book_one(tx, window)

    def sources(self, capture: str) -> Sequence[str]:
        with self.catalogue.reading() as tx:
            return tx.captures.get(capture).sources

    def deposit(self, footage: Sequence[Footage]) -> list[Segment]:
        return [self.depositing.deposit(each.media, each.sidecar) for each in footage]

    def finish(self, capture: str) -> None:
        """The window has passed: the capture waits for its seal."""
        with self.catalogue.transaction() as tx:
            for type in (EventType.CAPTURE_STARTED, EventType.CAPTURE_ENDED):
                move(tx, capture, type)

    def seal(self, capture: str) -> SealRow:
        """Seal, and bring all events to the vault."""
        row = self.sealing.seal(capture)
        self.custody.store()
        return row

    def close(self) -> None:
        self.catalogue.close()


def cut(folder: Path, source: str, name: str = "h264_aac.mp4", start_s: float = 0, count: int = 2) -> list[Footage]:
    """A real recording of 4 s that begins `start_s` after START, cut into `count` segments as a recorder does."""
    return cut_stream(folder, source, asset(name), start_s, count)


def cut_stream(folder: Path, source: str, data: bytes, start_s: float = 0, count: int = 2) -> list[Footage]:
    """As `cut`, of the recording's bytes."""
    found = index(data)
    recording, head = new_id(), found.init.data
    fragments = found.fragments
    each = -(-len(fragments) // count)
    footage = []
    for seq in range(count):
        part = fragments[seq * each : (seq + 1) * each]
        media = head + b"".join(data[one.offset : one.offset + one.size] for one in part)
        offset_s = (part[0].tfdt - fragments[0].tfdt) / found.init.reference.timescale
        anchor = Anchor(START + timedelta(seconds=start_s + offset_s), "synchronised")
        place = Place("centre", "main", "room", source, recording, seq, "worker", 1)
        path = folder / f"{recording}-{seq}.mp4"
        path.write_bytes(media)
        footage.append(Footage(path, sidecar.derive(media, place, anchor, "length")))
    return footage


def pretend(folder: Path, media: bytes, like: Sidecar) -> Footage:
    """Bytes that are not the media that their sidecar claims."""
    path = folder / "pretended.mp4"
    path.write_bytes(media)
    digests = {"size": len(media), "digest": digest_of(media)}
    shares = {"init_size": 8, "init_digest": digest_of(media[:8])}
    fragment = replace(like.fragments[0], offset=8, size=len(media) - 8, sha256=digest_of(media[8:]))
    return Footage(path, replace(like, **digests, **shares, fragments=(fragment,)))
