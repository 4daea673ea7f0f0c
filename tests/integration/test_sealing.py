"""Seals on a real vault and catalogue: revisions, unfinished ones, and what a stranger's openssl says of them."""

import logging
import subprocess
from dataclasses import replace
from datetime import timedelta

import pytest

from archiver import keys, manifest
from archiver.canonical import digest_of
from archiver.errors import StateError
from archiver.surveying import Surveying
from archiver.timeline import Interval
from archiver.times import to_text
from archiver.values import RecordingRow
from archiver.vocabulary import CaptureState, EventType, GapCause
from tests.archive_rig import Archive, cut
from tests.catalogue_facts import START, a_duty, append, new_id, span


def sealed_manifest(archive: Archive, capture: str, revision: int = 1) -> manifest.Manifest:
    return manifest.parse(b"".join(archive.vault.read(keys.seal("main", capture, revision))))


def test_openssl_accepts_the_signature_with_the_archives_root(archive, sealed, tmp_path):
    """By hand, as a stranger would: detached CAdES, chain included."""
    for kind in ("json", "p7s"):
        (tmp_path / f"seal.{kind}").write_bytes(b"".join(archive.vault.read(keys.seal("main", sealed, 1, kind))))
    command = ["openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", tmp_path / "seal.p7s"]
    command += ["-content", tmp_path / "seal.json", "-CAfile", archive.root, "-out", "/dev/null"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    with (tmp_path / "seal.json").open("ab") as file:
        file.write(b" ")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_a_seal_lists_every_segment_and_accounts_for_every_microsecond(archive, sealed, segments):
    """Both sources, complete; the row and the event say the same."""
    made = sealed_manifest(archive, sealed)
    assert len(made.segments) == len(segments) == 4
    assert made.completeness.recorded_us == 8_000_000
    assert all(not statement.gaps for statement in made.sources)
    with archive.catalogue.reading() as tx:
        capture, (row,) = tx.captures.get(sealed), tx.seals.of_capture(sealed)
        assert capture.state is CaptureState.SEALED
        assert (row.recorded_us, row.missing_us) == (8_000_000, 0)
        assert row.digest == digest_of(manifest.to_bytes(made))
        assert all(tx.seals.listing(entry.key) == [sealed] for entry in made.segments)


def test_a_hole_stands_in_the_seal_with_its_cause(archive, capture, tmp_path):
    """One source was lost after four of ten seconds, the other never answered."""
    wide = archive.book(span(0, 10))
    recorded, silent = archive.sources(wide)
    archive.deposit(cut(tmp_path, recorded))
    with archive.catalogue.transaction() as tx:
        for source, start, cause in ((recorded, 4, "lost"), (silent, 0, "unreachable")):
            gap = {"source": source, "start": to_text(START + timedelta(seconds=start)), "cause": cause}
            gap |= {"end": to_text(START + timedelta(seconds=10)), "evidence": "", "worker": "w", "epoch": 1}
            append(tx, EventType.GAP_STATED, source, gap)
    archive.finish(wide)
    archive.seal(wide)
    gaps = {
        statement.source: [(gap.span, gap.cause) for gap in statement.gaps]
        for statement in sealed_manifest(archive, wide).sources
    }
    assert gaps == {
        recorded: [(span(4, 10), GapCause.LOST)],
        silent: [(span(0, 10), GapCause.UNREACHABLE)],
    }
    assert archive.verifying().verify_all().ok


def test_a_capture_that_caught_nothing_is_sealed_with_an_alarm(archive, capture, caplog):
    """A failed recording is evidence too."""
    archive.finish(capture)
    with caplog.at_level(logging.ERROR):
        row = archive.seal(capture)
    assert (row.recorded_us, row.missing_us) == (0, 8_000_000)
    assert f"capture {capture} caught nothing" in caplog.text
    assert archive.verifying().verify_all().ok


def test_a_capture_that_was_stopped_and_sealed_early_is_shown_as_it_was_sealed(archive, tmp_path):
    """Faces and seal speak of the same window, though it is not over yet."""
    end = archive.clock.now() + timedelta(hours=1)
    capture = archive.book(Interval(START, end))
    archive.deposit(cut(tmp_path, archive.sources(capture)[0]))
    with archive.catalogue.transaction() as tx:
        for type in (EventType.CAPTURE_STARTED, EventType.CAPTURE_STOPPED, EventType.CAPTURE_ENDED):
            append(tx, type, capture, {"id": capture, "at": to_text(START + timedelta(seconds=4))})
    archive.seal(capture)
    with archive.catalogue.reading() as tx:
        organisation = tx.captures.get(capture).organisation
    shown = Surveying(archive.catalogue, archive.clock).one(organisation, capture)
    assert shown.total == sealed_manifest(archive, capture).completeness


def test_a_capture_that_is_not_over_is_not_sealed(archive, capture):
    """Only a recorded one is."""
    with pytest.raises(StateError):
        archive.sealing.seal(capture)


def test_a_seal_waits_for_a_spool_and_then_names_what_is_missing(archive, capture, segments):
    """A recording of which one segment is still on its way, for a day."""
    first = segments[0].side.place
    with archive.catalogue.transaction() as tx:
        duty = a_duty(first.source, span(-5, 9))
        tx.duties.put(duty)
        row = RecordingRow(first.recording, "centre", "main", first.source, duty.id, "worker", 1, START)
        tx.recordings.open(row)
        tx.recordings.close(first.recording, 2)
    archive.deposit(segments[:1])
    archive.finish(capture)
    with pytest.raises(StateError, match=first.recording):
        archive.sealing.seal(capture)
    archive.clock.pass_s(24 * 3600)
    archive.seal(capture)
    outstanding = sealed_manifest(archive, capture).outstanding
    assert any(f"recording {first.recording} has 1 of 2 segments deposited" in words for words in outstanding)
    assert any(f"duty {duty.id} has not ended" in words for words in outstanding)


def test_late_footage_makes_the_next_revision(archive, sealed, tmp_path):
    """It carries the digest of the one before, and lists everything (I13)."""
    told = []
    depositing = replace(archive.depositing, on_late=lambda tx, capture: told.append(capture.id))
    for footage in cut(tmp_path, archive.sources(sealed)[0], start_s=1):
        depositing.deposit(footage.media, footage.sidecar)
    assert told == [sealed, sealed]
    row = archive.seal(sealed)
    made = sealed_manifest(archive, sealed, 2)
    assert row.revision == 2
    assert made.previous == (1, digest_of(manifest.to_bytes(sealed_manifest(archive, sealed))))
    assert len(made.segments) == 6
    assert archive.verifying().verify_all().findings == ()


def test_nothing_new_makes_no_revision(archive, sealed):
    """Asked again, the seal is the same."""
    with archive.catalogue.reading() as tx:
        (row,) = tx.seals.of_capture(sealed)
    assert archive.sealing.seal(sealed) == row


@pytest.mark.parametrize("signed", [False, True])
def test_an_unfinished_seal_is_finished_from_its_own_bytes(archive, capture, segments, monkeypatch, signed):
    """The job was cut off after the manifest, or after its signature too."""
    archive.deposit(segments)
    archive.finish(capture)

    def cut_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    step = "_state" if signed else "_sign"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(type(archive.sealing), step, cut_off)
        archive.sealing.seal(capture)
    before = b"".join(archive.vault.read(keys.seal("main", capture, 1)))
    archive.clock.pass_s(60)
    row = archive.seal(capture)
    assert row.digest == digest_of(before)
    assert archive.verifying().verify_all().findings == ()


def test_sealing_raises_the_lock_of_everything_listed(archive, capture, segments, tmp_path):
    """Two captures list one segment: its date is the later one's, whoever seals first."""
    archive.deposit(segments)
    source = archive.sources(capture)[0]
    with archive.catalogue.transaction() as tx:
        first = tx.captures.get(capture)
        payload = dict(tx.events.chain(capture)[0].payload)
        later = new_id()
        payload |= {"id": later, "sources": [source], "end": to_text(START + timedelta(days=40))}
        append(tx, EventType.CAPTURE_BOOKED, later, payload)
    archive.finish(later)
    archive.seal(later)
    with archive.catalogue.reading() as tx:
        until = tx.captures.get(later).retain_until
        rows = [row for row in tx.segments.each() if row.source == source]
        assert until > first.retain_until
        assert all(row.retain_until == until for row in rows)
    for row in rows:
        assert archive.vault.stat(row.key).retain_until == until
        assert archive.vault.stat(keys.sidecar(row.key)).retain_until == until
    assert archive.vault.stat(keys.seal("main", later, 1)).retain_until == until
