"""Brings events to the vault, in batches, and signs where every chain stands (formats.md, "Batch and checkpoint")."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from archiver import canonical, events, keys, merkle, times
from archiver.canonical import digest_of
from archiver.documents import VERSION, Fields
from archiver.errors import FormatError, NotFoundError, TamperError
from archiver.ids import NewId
from archiver.ports import Catalogue, Clock, Retention, Signer, Vault
from archiver.values import Batch

Heads = Mapping[str, tuple[int, str]]
"""Subject -> (seq of its last event, that event's hash)."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where every chain stood after batch `batch` (its id and digest).

    `root` is that of the RFC 6962 tree over the heads of all `subjects` chains; `previous` is the digest of the
    checkpoint before.
    """

    archive: str
    number: int
    previous: str | None
    batch: tuple[str, str]
    subjects: int
    root: str
    made_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "made_at", times.utc(self.made_at))


def root_of(heads: Heads) -> str:
    """The root over chain heads, in order of their subjects."""
    ordered = sorted(heads.items())
    return merkle.root([canonical.encode({"subject": id, "seq": seq, "hash": hash}) for id, (seq, hash) in ordered])


def checkpoint_bytes(checkpoint: Checkpoint) -> bytes:
    """The canonical bytes of `_checkpoints/<n>.json`."""
    return canonical.encode(
        {
            "v": VERSION,
            "archive": checkpoint.archive,
            "number": checkpoint.number,
            "previous": checkpoint.previous,
            "batch": {"id": checkpoint.batch[0], "sha256": checkpoint.batch[1]},
            "subjects": checkpoint.subjects,
            "root": checkpoint.root,
            "time": times.to_text(checkpoint.made_at),
        }
    )


def parse_checkpoint(data: bytes) -> Checkpoint:
    """Reads `checkpoint_bytes`; FormatError for anything else."""
    fields = Fields.versioned("checkpoint", canonical.decode(data))
    batch = fields.inner("batch")
    return Checkpoint(
        archive=fields.text("archive"),
        number=fields.count("number"),
        previous=None if fields.any("previous") is None else fields.digest("previous"),
        batch=(batch.text("id"), batch.digest("sha256")),
        subjects=fields.count("subjects"),
        root=fields.digest("root"),
        made_at=fields.moment("time"),
    )


@dataclass(frozen=True, slots=True)
class Custody:
    """Stores batches and checkpoints."""

    catalogue: Catalogue
    vault: Vault
    retention: Retention
    signer: Signer
    clock: Clock
    new_id: NewId
    archive: str

    def store(self) -> int:
        """Bring to the vault every event that isn't there; how many batches that took.

        A batch that was begun before is finished first, from the same rows. UnavailableError: try again.
        """
        until = self._until()
        with self.catalogue.reading() as tx:
            begun = tx.events.unstored_batches()
        stored = [self._store(id, until) for id in (*begun, self.new_id())]
        return sum(stored)

    def store_certificate(self) -> None:
        """Put the signing certificate and its chain into the vault: being there makes none trusted."""
        self._put(keys.certificate(self.signer.fingerprint), self.signer.chain, self._until())

    def _until(self) -> datetime:
        with self.catalogue.reading() as tx:
            return self.retention.archive_lock(tx, self.clock.now())

    def _store(self, id: str, until: datetime) -> bool:
        with self.catalogue.transaction() as tx:
            batch = tx.events.take_batch(id)
            # With an event that is in no batch yet, the heads are not those of this batch: the next one's checkpoint
            # covers both.
            heads = tx.events.heads() if tx.events.waiting() == (None, None) else None
        if batch is None:
            return False
        digest = self._put(keys.batch(id), events.batch_bytes(batch), until)
        if heads is not None:
            self._checkpoint(batch, digest, heads, until)
        with self.catalogue.transaction() as tx:
            tx.events.batch_stored(id, digest)
        return True

    def _checkpoint(self, batch: Batch, digest: str, heads: Heads, until: datetime) -> None:
        """A checkpoint that lies in the vault already, from a run that was cut off, is finished from its own bytes."""
        with self.catalogue.reading() as tx:
            last, previous = tx.events.last_checkpoint()
        number = last + 1
        data = self._unfinished(number, previous) or checkpoint_bytes(
            Checkpoint(
                archive=self.archive,
                number=number,
                previous=previous,
                batch=(batch.id, digest),
                subjects=len(heads),
                root=root_of(heads),
                made_at=self.clock.now(),
            )
        )
        stored = self._put(keys.checkpoint(number), data, until)
        self._sign(number, data, until)
        with self.catalogue.transaction() as tx:
            tx.events.checkpoint_stored(number, stored)

    def _unfinished(self, number: int, previous: str | None) -> bytes | None:
        """None if there is none. TamperError for one that is not ours: whoever can write the vault must get no
        signature for it.
        """
        try:
            data = b"".join(self.vault.read(keys.checkpoint(number)))
        except NotFoundError:
            return None
        if not self._is_ours(data, number, previous):
            raise TamperError(f"{keys.checkpoint(number)} is not of this archive's making; it is not signed")
        return data

    def _is_ours(self, data: bytes, number: int, previous: str | None) -> bool:
        """Whether a checkpoint says where the catalogue's chains stood after a batch of it."""
        try:
            found = parse_checkpoint(data)
            with self.catalogue.transaction() as tx:
                heads = tx.events.heads_after(found.batch[0])
                batch = tx.events.take_batch(found.batch[0])
        except (FormatError, NotFoundError):
            return False
        digest = digest_of(events.batch_bytes(batch)) if batch else ""
        true = replace(
            found,
            archive=self.archive,
            number=number,
            previous=previous,
            batch=(found.batch[0], digest),
            subjects=len(heads),
            root=root_of(heads),
        )
        return found == true

    def _sign(self, number: int, data: bytes, until: datetime) -> None:
        """A signature that is there already stays: a second one over the same bytes would differ."""
        key = keys.checkpoint(number, "p7s")
        try:
            self.vault.stat(key)
        except NotFoundError:
            self._put(key, self.signer.sign(data), until)

    def _put(self, key: str, data: bytes, until: datetime) -> str:
        digest = digest_of(data)
        self.vault.put(key, data, digest=digest, retain_until=until)
        return digest
