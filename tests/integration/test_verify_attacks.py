"""Who can write the vault but has no key of the archive: what he makes is found, and never stops a verification."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from archiver import events, keys, manifest
from archiver.canonical import digest_of
from archiver.custody import checkpoint_bytes, parse_checkpoint
from archiver.errors import TamperError
from archiver.values import ARCHIVE, Batch, Draft
from archiver.vocabulary import EventType, FindingCode
from tests.archive_rig import Archive, cut
from tests.catalogue_facts import START, append, new_id, span


def found(archive: Archive, *, catalogue: bool = False) -> list[tuple[FindingCode, str]]:
    outcome = archive.verifying(catalogue=catalogue).verify_all()
    return [(finding.code, finding.object) for finding in outcome.findings]


@pytest.fixture
def attacker(archive: Archive, tmp_path: Path):
    """An archive of his own, with keys of his own."""
    made = Archive(tmp_path / "attacker", archive.clock)
    yield made
    made.close()


def plant(archive: Archive, key: str, data: bytes) -> None:
    path = archive.object(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def test_a_custody_made_anew_is_not_trusted(archive: Archive, attacker: Archive, sealed: str) -> None:
    """He removes a capture with all that tells of it, and signs other events and checkpoints himself."""
    with attacker.catalogue.transaction() as tx:
        append(tx, EventType.ACCESS_REFUSED, "system", {"what": "nothing ever was here", "permission": "none"})
    attacker.custody.store()
    shutil.rmtree(archive.home / "vault" / "objects" / "main")
    for folder in (keys.EVENTS, keys.CHECKPOINTS):
        shutil.rmtree(archive.object(folder))
        shutil.copytree(attacker.object(folder), archive.object(folder))
    assert found(archive) == [(FindingCode.SIGNER_UNTRUSTED, keys.certificate(attacker.signer.fingerprint))]


def test_events_that_the_catalogue_never_stated_are_found(archive: Archive, sealed: str) -> None:
    """He adds a batch that follows the last one: chained as it should be, and signed by nobody."""
    last = sorted(archive.vault.list(keys.EVENTS), key=lambda stored: stored.key)[-1]
    with archive.catalogue.reading() as tx:
        seq, previous = tx.events.heads()[sealed]
    payload = {"capture": sealed, "segments": ["main/x"], "why": "so that nobody asks"}
    forged = events.chain(Draft(sealed, EventType.FOOTAGE_LATE, START, ARCHIVE, payload), new_id(), seq + 1, previous)
    batch = Batch(new_id(), last.digest, (forged,))
    plant(archive, keys.batch(batch.id), events.batch_bytes(batch))
    assert found(archive, catalogue=True) == [(FindingCode.CUSTODY_BROKEN, f"{sealed}#{forged.seq}")]


def test_another_captures_seal_is_no_further_revision(archive: Archive, sealed: str, tmp_path: Path) -> None:
    """Truly signed, and of something else: the capture's own seal stays the one that counts."""
    other = archive.book(span(100, 104))
    archive.deposit(cut(tmp_path, archive.sources(other)[0], start_s=100))
    archive.finish(other)
    archive.seal(other)
    for kind in ("json", "p7s"):
        data = b"".join(archive.vault.read(keys.seal("main", other, 1, kind)))
        plant(archive, keys.seal("main", sealed, 2, kind), data)
    assert (FindingCode.MANIFEST_EDITED, keys.seal("main", sealed, 2)) in found(archive)


def test_a_revision_must_name_the_one_before(archive: Archive, sealed: str) -> None:
    """A signed manifest that follows another first revision is none of this capture's."""
    true = manifest.parse(b"".join(archive.vault.read(keys.seal("main", sealed, 1))))
    data = manifest.to_bytes(replace(true, revision=2, previous=(1, digest_of(b"another"))))
    until = archive.binding.archive_lock(None, archive.clock.now())
    for kind, each in (("json", data), ("p7s", archive.signer.sign(data))):
        archive.vault.put(keys.seal("main", sealed, 2, kind), each, digest=digest_of(each), retain_until=until)
    assert found(archive) == [(FindingCode.MANIFEST_EDITED, keys.seal("main", sealed, 2))]


@pytest.mark.parametrize("name", ["a\nb", "main/\x7f.mp4", "b\\c", "\udcff"])
def test_a_file_whose_name_can_be_no_key_is_unlisted(archive: Archive, sealed: str, name: str) -> None:
    """It is named, and stops nothing."""
    plant(archive, name, b"who put this here?")
    (only,) = found(archive)
    assert only[0] is FindingCode.SEGMENT_UNLISTED


def test_a_seal_of_his_own_stops_no_verification(archive: Archive, attacker: Archive, sealed: str) -> None:
    """It lists keys that can't be, under his own signature."""
    true = manifest.parse(b"".join(archive.vault.read(keys.seal("main", sealed, 1))))
    first, *rest = true.sources
    evil = replace(first, segments=(replace(first.segments[0], key="../../../etc/passwd"),))
    previous = (1, digest_of(manifest.to_bytes(true)))
    data = manifest.to_bytes(replace(true, sources=(evil, *rest), revision=2, previous=previous, merkle_root=""))
    plant(archive, keys.seal("main", sealed, 2), data)
    plant(archive, keys.seal("main", sealed, 2, "p7s"), attacker.signer.sign(data))
    codes = {code for code, _ in found(archive)}
    assert codes & {FindingCode.SIGNER_UNTRUSTED, FindingCode.MANIFEST_EDITED}


@pytest.mark.parametrize("lie", ["less", "more", "elsewhere", "another head"])
def test_the_archive_signs_no_manifest_that_it_did_not_make(archive: Archive, tmp_path: Path, lie: str) -> None:
    """He plants one under the key of a seal to come, where an unfinished seal of the archive's own would lie."""
    capture = archive.book(span(100, 104))
    source = archive.sources(capture)[0]
    archive.deposit(cut(tmp_path, source, start_s=100))
    archive.finish(capture)
    other = Archive(tmp_path / "scratch", archive.clock)
    shutil.rmtree(other.home)
    other.close()
    shutil.copytree(archive.home, other.home)
    other = Archive(other.home, archive.clock)
    other.seal(capture)
    true = manifest.parse(b"".join(other.vault.read(keys.seal("main", capture, 1))))
    other.close()
    filled = next(each for each in true.sources if each.segments)
    rest = [each for each in true.sources if each is not filled]
    false = {
        "less": replace(true, sources=(replace(filled, segments=filled.segments[:1]), *rest), merkle_root=""),
        "more": replace(true, merkle_root=digest_of(b"another tree")),
        "elsewhere": replace(
            true,
            sources=(replace(filled, segments=(replace(filled.segments[0], digest=digest_of(b"x")),)), *rest),
            merkle_root="",
        ),
        "another head": replace(true, head=(0, "0" * 64)),
    }[lie]
    data = manifest.to_bytes(false)
    until = archive.binding.archive_lock(None, archive.clock.now())
    archive.vault.put(keys.seal("main", capture, 1), data, digest=digest_of(data), retain_until=until)
    with pytest.raises(TamperError):
        archive.seal(capture)
    with archive.catalogue.reading() as tx:
        assert not tx.seals.of_capture(capture)


def test_the_archive_signs_no_checkpoint_that_it_did_not_make(archive: Archive, sealed: str) -> None:
    """He plants the next one, over chains that are not the archive's."""
    last = parse_checkpoint(b"".join(archive.vault.read(keys.checkpoint(1))))
    before = digest_of(b"".join(archive.vault.read(keys.checkpoint(1))))
    data = checkpoint_bytes(replace(last, number=2, previous=before, root=digest_of(b"other chains")))
    until = archive.binding.archive_lock(None, archive.clock.now())
    archive.vault.put(keys.checkpoint(2), data, digest=digest_of(data), retain_until=until)
    with archive.catalogue.transaction() as tx:
        append(tx, EventType.ACCESS_REFUSED, "system", {"what": "a page", "permission": "none"})
    with pytest.raises(TamperError):
        archive.custody.store()


def test_an_event_of_a_site_that_can_be_no_key_stops_no_verification(archive: Archive, sealed: str) -> None:
    """A forged booking and seal in a batch that follows the last one."""
    last = sorted(archive.vault.list(keys.EVENTS), key=lambda stored: stored.key)[-1]
    with archive.catalogue.reading() as tx:
        booked = tx.events.chain(sealed)[0]
    id = new_id()
    evil = {**booked.payload, "id": id, "site": "../.."}
    first = events.chain(Draft(id, EventType.CAPTURE_BOOKED, START, ARCHIVE, evil), new_id(), 0, events.FIRST_PREVIOUS)
    stated = {"id": id, "revision": 1, "sha256": digest_of(b"")}
    second = events.chain(Draft(id, EventType.CAPTURE_SEALED, START, ARCHIVE, stated), new_id(), 1, first.hash)
    batch = Batch(new_id(), last.digest, (first, second))
    plant(archive, keys.batch(batch.id), events.batch_bytes(batch))
    assert FindingCode.CUSTODY_BROKEN in {code for code, _ in found(archive)}
