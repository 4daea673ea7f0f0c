"""What proves a capture: its seal, its chain of custody, and what the last verification found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archiver import keys, sidecar
from archiver.booking import owned
from archiver.errors import FormatError, NotFoundError
from archiver.ids import NewId
from archiver.ports import Catalogue, Jobs, Vault
from archiver.requests import Request, once
from archiver.sidecar import CameraClaim
from archiver.values import Event, Job, SealRow
from archiver.vocabulary import EventType, JobName


@dataclass(frozen=True, slots=True)
class SealDocuments:
    """A seal as it lies in the vault: the exact bytes that were signed, the signature (CMS, DER) and the signer's chain
    (PEM).
    """

    row: SealRow
    manifest: bytes
    signature: bytes
    chain: bytes


@dataclass(frozen=True, slots=True)
class Inspecting:
    catalogue: Catalogue
    vault: Vault
    jobs: Jobs
    new_id: NewId

    def custody(self, organisation: str, id: str) -> Sequence[Event]:
        """The capture's own chain of events, in order."""
        with self.catalogue.reading() as tx:
            return tx.events.chain(owned(tx, organisation, id).id)

    def verified(self, organisation: str, id: str) -> Event | None:
        """What the last verification of the capture found, None if there was none."""
        events = self.custody(organisation, id)
        return next((event for event in reversed(events) if event.type == EventType.VERIFICATION_RUN), None)

    def seal(self, organisation: str, id: str) -> SealDocuments:
        """The current seal; NotFoundError before the first."""
        with self.catalogue.reading() as tx:
            rows = tx.seals.of_capture(owned(tx, organisation, id).id)
        if not rows:
            raise NotFoundError(f"capture {id} is not sealed yet")
        row = rows[-1]
        return SealDocuments(
            row,
            b"".join(self.vault.read(row.key)),
            b"".join(self.vault.read(row.key.removesuffix(".json") + ".p7s")),
            b"".join(self.vault.read(keys.certificate(row.signer))),
        )

    def camera_clocks(self, organisation: str, id: str) -> Mapping[str, CameraClaim]:
        """What each source last claimed of the time in a capture's window; nothing of a source that claimed nothing."""
        with self.catalogue.reading() as tx:
            capture = owned(tx, organisation, id)
            recorded = [(source, tx.segments.touching(source, capture.window)) for source in capture.sources]
        claims = ((source, self._claim(segments[-1].key)) for source, segments in recorded if segments)
        return {source: claim for source, claim in claims if claim}

    def _claim(self, key: str) -> CameraClaim | None:
        """A sidecar that is lost or damaged claims nothing: that it is, verification finds."""
        try:
            return sidecar.parse(b"".join(self.vault.read(keys.sidecar(key)))).camera
        except (FormatError, NotFoundError):
            return None

    def job(self, organisation: str, id: str) -> Job:
        """A job that somebody of the organisation asked for."""
        with self.catalogue.reading() as tx:
            job = tx.jobs.get(id)
        if job.arguments.get("organisation") != organisation:
            raise NotFoundError(f"there is no job {id}")
        return job

    def ask_verification(self, request: Request, capture: str) -> Job:
        """Enqueue a verification of a capture: its bytes are read again."""
        with self.catalogue.transaction() as tx:
            id = owned(tx, request.organisation, capture).id
            who = request.principal
            principal = {"id": who.id, "kind": who.kind, "role": who.role, "purpose": who.purpose}
            what = {"organisation": request.organisation, "capture": id, "principal": principal}

            def act() -> str:
                return self.jobs.enqueue(tx, JobName.VERIFY, self.new_id(), what).id

            return tx.jobs.get(once(tx, request, {"verify": what}, act))
