"""A finished segment on its way into a real vault and catalogue (I1 to I3)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from archiver import keys, sidecar
from archiver.adapters.vault_local import LocalVault
from archiver.errors import FormatError, NotFoundError, TamperError, VaultUnavailableError
from archiver.times import to_text
from archiver.vocabulary import EventType
from retention.policy import after_day, last_day, local_day
from tests.archive_rig import SHANGHAI, WINDOW, Archive, cut
from tests.catalogue_facts import START, append, book, span


def locked_until(archive: Archive, key: str):
    return archive.vault.stat(key).retain_until


def test_a_segment_and_its_sidecar_lie_locked_and_catalogued(archive, capture, segments):
    """Until fifteen years after the capture's end, in the archive's time zone."""
    first, *_ = segments
    row = archive.depositing.deposit(first.media, first.sidecar)
    until = after_day(last_day(local_day(WINDOW.end, SHANGHAI), 15), SHANGHAI)
    assert row.retain_until == locked_until(archive, row.key) == locked_until(archive, keys.sidecar(row.key)) == until
    assert b"".join(archive.vault.read(row.key)) == first.media.read_bytes()
    assert b"".join(archive.vault.read(keys.sidecar(row.key))) == first.sidecar
    with archive.catalogue.reading() as tx:
        assert tx.segments.get(row.key) == row
        assert sidecar.unpack(tx.segments.fragments(row.key)) == first.side.fragments
        assert tx.captures.get(capture).retain_until == until
    assert first.media.exists()


def test_a_repetition_gives_the_same_row(archive, segments):
    """Also when only the spool's removal was cut off; the capture is bound once."""
    first, *_ = segments
    rows = [archive.depositing.deposit(first.media, first.sidecar) for _ in range(3)]
    assert rows[0] == rows[1] == rows[2]
    with archive.catalogue.reading() as tx:
        chain = tx.events.chain(tx.captures.touching(rows[0].source, WINDOW)[0].id)
    assert [event.type for event in chain].count(EventType.RETENTION_BOUND) == 1


def test_other_bytes_under_the_same_key_are_an_alarm(archive, segments):
    """Nothing is replaced, and the spool's file stays."""
    first, *_ = segments
    row = archive.depositing.deposit(first.media, first.sidecar)
    with pytest.raises(TamperError):
        archive.depositing.deposit(first.media, sidecar.to_bytes(replace(first.side, end_cause="another")))
    assert b"".join(archive.vault.read(keys.sidecar(row.key))) == first.sidecar
    assert first.media.exists()


def test_media_that_is_not_what_its_sidecar_says_is_not_taken(archive, segments):
    """Nothing lies in the vault and no row is there."""
    first, second, *_ = segments
    with pytest.raises(TamperError):
        archive.depositing.deposit(second.media, first.sidecar)
    key = keys.segment("main", first.side.place.source, first.side.place.recording, 0)
    with pytest.raises(NotFoundError):
        archive.vault.stat(key)
    with archive.catalogue.reading() as tx:
        assert not tx.segments.each()


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff" * 9])
def test_an_unreadable_sidecar_is_not_taken(archive, segments, data):
    """It is the keeper's to derive one from the bytes."""
    with pytest.raises(FormatError):
        archive.depositing.deposit(segments[0].media, data)


def test_a_sidecar_that_names_no_key_is_not_taken(archive, segments):
    """A place is part of a key, and a key is part of a path."""
    first, *_ = segments
    elsewhere = replace(first.side, place=replace(first.side.place, recording="../../elsewhere"))
    with pytest.raises(FormatError):
        archive.depositing.deposit(first.media, sidecar.to_bytes(elsewhere))


class ForgetfulVault:
    """The real vault, but for one answer about a lock."""

    def __init__(self, archive: Archive) -> None:
        self._vault = archive.vault

    def __getattr__(self, name: str):
        return getattr(self._vault, name)

    def stat(self, key: str, version: str | None = None):
        stored = self._vault.stat(key, version)
        return replace(stored, retain_until=stored.retain_until - timedelta(seconds=1))


def test_a_lock_that_reads_back_shorter_is_no_deposit(archive, segments):
    """Lock first, then say archived (evidence rule 9)."""
    first, *_ = segments
    with pytest.raises(VaultUnavailableError):
        replace(archive.depositing, vault=ForgetfulVault(archive)).deposit(first.media, first.sidecar)
    with archive.catalogue.reading() as tx:
        assert not tx.segments.each()


def test_a_segment_of_two_captures_has_the_later_date(archive, capture, tmp_path):
    """Overlapping windows over one source share its recording."""
    source = archive.sources(capture)[0]
    long = span(0, 20 * 86400)
    with archive.catalogue.transaction() as tx:
        first = tx.captures.get(capture)
        book(tx, first.project, first.location, [source], long)
    (row, *_) = archive.deposit(cut(tmp_path, source))
    assert row.retain_until == after_day(last_day(local_day(long.end, SHANGHAI), 15), SHANGHAI)


def test_footage_of_no_window_is_kept_and_stated(archive, capture, tmp_path):
    """At least as long as everything else, and an event says that nobody asked for it."""
    source = archive.sources(capture)[0]
    (row, *_) = archive.deposit(cut(tmp_path, source, start_s=1000))
    with archive.catalogue.reading() as tx:
        assert row.retain_until == archive.binding.archive_lock(tx, archive.clock.now())
        late = [event for event in tx.events.chain(source) if event.type == EventType.FOOTAGE_LATE]
    assert late[0].payload["segments"] == [row.key]
    archive.custody.store()
    assert archive.verifying().verify_all().findings == ()


def test_a_stopped_capture_claims_nothing_after_its_stop(archive, capture, tmp_path):
    """What is recorded for another capture later is not its footage."""
    with archive.catalogue.transaction() as tx:
        append(tx, EventType.CAPTURE_STARTED, capture, {"id": capture, "at": to_text(START)})
        append(tx, EventType.CAPTURE_STOPPED, capture, {"id": capture, "at": to_text(START - timedelta(seconds=1))})
        assert archive.readiness.rolls.captures(tx, tx.captures.get(capture).sources[0], WINDOW) == []


@pytest.mark.parametrize("step", ["copied", "locked", "linked", "durable"])
@pytest.mark.parametrize("time", [1, 2])
def test_a_deposit_that_was_cut_off_is_completed_by_the_next(archive, segments, step, time):
    """At any step of either put: one object, one row, the same bytes (I3)."""
    first, *_ = segments
    seen: list[str] = []

    def cut_off(done: str) -> None:
        seen.append(done)
        if seen.count(step) == time:
            raise KeyboardInterrupt

    broken = LocalVault(archive.home / "vault", archive.clock, cut_off)
    with pytest.raises(KeyboardInterrupt):
        replace(archive.depositing, vault=broken).deposit(first.media, first.sidecar)
    with archive.catalogue.reading() as tx:
        assert not tx.segments.each()
    row = archive.depositing.deposit(first.media, first.sidecar)
    with archive.catalogue.reading() as tx:
        assert tx.segments.each() == [row]
    assert b"".join(archive.vault.read(row.key)) == first.media.read_bytes()
    assert b"".join(archive.vault.read(keys.sidecar(row.key))) == first.sidecar


def test_a_booking_that_comes_in_between_raises_the_lock_before_the_row(archive, capture, segments):
    """The vault's lock never ends before the date that the catalogue has for it."""
    first, *_ = segments
    long = span(0, 30 * 86400)

    class Slow(ForgetfulVault):
        """Somebody books a longer window while the bytes are on their way."""

        def stat(self, key: str, version: str | None = None):
            if not booked:
                with archive.catalogue.transaction() as tx:
                    known = tx.captures.get(capture)
                    booked.append(book(tx, known.project, known.location, [first.side.place.source], long))
            return self._vault.stat(key, version)

    booked: list[str] = []
    row = replace(archive.depositing, vault=Slow(archive)).deposit(first.media, first.sidecar)
    until = after_day(last_day(local_day(long.end, SHANGHAI), 15), SHANGHAI)
    assert row.retain_until == until
    assert locked_until(archive, row.key) == locked_until(archive, keys.sidecar(row.key)) == until
