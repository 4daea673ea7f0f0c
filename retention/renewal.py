"""Renews the locks of what is kept: yearly while a procurement goes on, to its due date when it has ended, and to the
date of a policy that became longer (evidence rules 6, 10 and 11).

The vault's locks are raised first and the catalogue's dates follow, so a lock never ends before the catalogue says.
A run that was interrupted is simply run again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from archiver import keys
from archiver.claims import Rolls
from archiver.ports import Catalogue, Clock, Progress, Transaction, Vault
from archiver.values import ARCHIVE, Capture, Draft, Segment
from archiver.vocabulary import CaptureState, EventType
from retention.binding import Binding, date_payload
from retention.policy import years_later

KEPT = (CaptureState.RECORDING, CaptureState.SEALING, CaptureState.SEALED)
ARCHIVES_OWN = (keys.EVENTS, keys.CHECKPOINTS, keys.CERTIFICATES)


@dataclass(frozen=True, slots=True)
class Extension:
    """A date that is to grow."""

    capture: str
    bound: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Renewal:
    """Extends dates and locks. `pre_roll` and `post_roll` are how far a capture's claim reaches beyond its window."""

    catalogue: Catalogue
    vault: Vault
    binding: Binding
    clock: Clock
    pre_roll: timedelta
    post_roll: timedelta

    def preview(self) -> list[Extension]:
        """What `renew_all` would extend now."""
        now = self.clock.now()
        with self.catalogue.reading() as tx:
            found = (self._extension(tx, capture, now) for capture in tx.captures.in_states(KEPT))
            return [extension for extension in found if extension]

    def renew_all(self, progress: Progress | None = None) -> list[Extension]:
        """Extend every date that is to grow, and the locks of the archive's own documents."""
        extensions = self.preview()
        for done, extension in enumerate(extensions):
            if progress:
                progress(done, len(extensions))
            self.renew(extension.capture)
        self.renew_archive()
        return extensions

    def renew_project(self, project: str) -> list[Extension]:
        """As `renew_all` for one project's captures, after its end was stated."""
        with self.catalogue.reading() as tx:
            captures = [capture.id for capture in tx.captures.of_project(project) if capture.state in KEPT]
        return [extension for id in captures if (extension := self.renew(id))]

    def renew(self, capture: str) -> Extension | None:
        """Extend one capture's date with the locks of all that it lists; None if it stays. NotFoundError."""
        now = self.clock.now()
        raised: set[str] = set()
        while True:
            with self.catalogue.transaction() as tx:
                known = tx.captures.get(capture)
                extension = self._extension(tx, known, now)
                if extension is None:
                    return None
                segments = self._segments(tx, known)
                # A deposit may have come in between: its lock is raised before any date is.
                missing = [segment for segment in segments if segment.key not in raised]
                if raised and not missing:
                    self._state(tx, known, extension, segments, now)
                    return extension
            raised |= self._raise_locks(known, missing, extension.until)

    def renew_archive(self) -> None:
        """Keep events, checkpoints and certificates a year longer than anything that they tell of."""
        now = self.clock.now()
        with self.catalogue.reading() as tx:
            captures = tx.captures.in_states(KEPT)
            needed = max([capture.retain_until for capture in captures if capture.retain_until] or [now])
            target = max(self.binding.archive_lock(tx, now), years_later(needed, 1, self.binding.zone))
        needed = max(needed, years_later(now, self.binding.minimum - 1, self.binding.zone))
        for prefix in ARCHIVES_OWN:
            for stored in self.vault.list(prefix):
                if keys.is_known(stored.key) and (stored.retain_until is None or stored.retain_until <= needed):
                    self.vault.extend(stored.key, stored.version, target)

    def _extension(self, tx: Transaction, capture: Capture, now: datetime) -> Extension | None:
        if capture.retain_until is None:
            return None
        _, keeping = self.binding.decide(tx, capture, now)
        if keeping.until <= capture.retain_until:
            return None
        return Extension(capture.id, capture.retain_until, keeping.until)

    def _segments(self, tx: Transaction, capture: Capture) -> list[Segment]:
        rolls = Rolls(self.pre_roll, self.post_roll)
        return [segment for source in capture.sources for segment in rolls.segments(tx, capture, source)]

    def _raise_locks(self, capture: Capture, segments: Sequence[Segment], until: datetime) -> set[str]:
        """The keys whose locks are raised now: segments, their sidecars, and every document of the seal."""
        raised = set()
        for segment in segments:
            self.vault.extend(segment.key, segment.version, until)
            side = self.vault.stat(keys.sidecar(segment.key))
            self.vault.extend(side.key, side.version, until)
            raised.add(segment.key)
        for stored in self.vault.list(f"{capture.site}/{keys.CAPTURES}/{capture.id}"):
            self.vault.extend(stored.key, stored.version, until)
        return raised | {capture.id}

    def _state(
        self, tx: Transaction, capture: Capture, extension: Extension, segments: Sequence[Segment], now: datetime
    ) -> None:
        for segment in segments:
            tx.segments.extend(segment.key, extension.until)
        record, keeping = self.binding.decide(tx, capture, now)
        payload = date_payload(capture, record, keeping)
        about = (capture.project,)
        tx.events.append(Draft(capture.id, EventType.RETENTION_EXTENDED, now, ARCHIVE, payload, about))
