"""Every fault that a verification knows is made to happen on a real vault, and gives its finding and no other."""

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from archiver import keys, manifest, sidecar
from archiver.adapters import authority
from archiver.adapters.catalogue import tables
from archiver.canonical import digest_of
from archiver.completeness import Completeness
from archiver.manifest import Manifest
from archiver.times import to_text
from archiver.values import Gap
from archiver.vocabulary import EventType, FindingCode, GapCause
from tests.archive_rig import WINDOW, Archive, Footage, cut, pretend
from tests.catalogue_facts import START, append, new_id, span

Corrupt = Callable[[bytes], bytes]


def rewrite(path: Path, corrupt: Corrupt) -> None:
    """Change a stored file behind the vault's back. A corruption that changes nothing is a mistake of the test."""
    before = path.read_bytes()
    after = corrupt(before)
    assert after != before
    path.chmod(0o644)
    path.write_bytes(after)


def remove(path: Path) -> None:
    assert path.is_file()
    path.unlink()


def flipped(data: bytes) -> bytes:
    """One bit in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def found(archive: Archive, *, catalogue: bool = False) -> list[tuple[FindingCode, str]]:
    outcome = archive.verifying(catalogue=catalogue).verify_all()
    assert outcome.ok is not bool(outcome.findings)
    return [(finding.code, finding.object) for finding in outcome.findings]


def first_segment(archive: Archive) -> str:
    with archive.catalogue.reading() as tx:
        return tx.segments.each()[0].key


def seal_key(capture: str, kind: str = "json", revision: int = 1) -> str:
    return keys.seal("main", capture, revision, kind)


def batches(archive: Archive) -> list[str]:
    return [stored.key for stored in archive.vault.list(keys.EVENTS)]


@pytest.fixture(autouse=True)
def sealed_capture(sealed: str) -> str:
    return sealed


def test_a_sound_archive_has_no_findings(archive, sealed):
    """Also capture by capture, and with the catalogue's help."""
    assert found(archive) == []
    assert found(archive, catalogue=True) == []
    outcome = archive.verifying().verify(sealed)
    assert outcome.ok and not outcome.findings
    assert [check.number for check in outcome.checks] == list(range(1, 14))
    assert all(check.ok for check in outcome.checks)


def test_a_copied_home_verifies_without_its_catalogue(archive, sealed, tmp_path):
    """Nothing in a home names its own place."""
    shutil.copytree(archive.home, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "catalogue.db").unlink()
    copy = Archive(tmp_path / "elsewhere", archive.clock)
    shutil.rmtree(archive.home)
    assert found(copy) == []
    copy.close()


def test_manifest_missing(archive, sealed):
    """The only manifest was removed."""
    remove(archive.object(seal_key(sealed)))
    assert found(archive) == [(FindingCode.MANIFEST_MISSING, seal_key(sealed))]


@pytest.mark.parametrize("corrupt", [flipped, lambda data: data.replace(b'"revision":1', b'"revision":2'), bytes.upper])
def test_manifest_edited(archive, sealed, corrupt):
    """It is no longer what was signed and stated."""
    rewrite(archive.object(seal_key(sealed)), corrupt)
    assert found(archive) == [(FindingCode.MANIFEST_EDITED, seal_key(sealed))]


@pytest.mark.parametrize("corrupt", [flipped, lambda data: b"", lambda data: data[:-100]])
def test_signature_invalid(archive, sealed, corrupt):
    """The signature was damaged."""
    rewrite(archive.object(seal_key(sealed, "p7s")), corrupt)
    assert found(archive) == [(FindingCode.SIGNATURE_INVALID, seal_key(sealed, "p7s"))]


def test_a_removed_signature_is_invalid(archive, sealed):
    """A seal that was stated had one."""
    remove(archive.object(seal_key(sealed, "p7s")))
    assert found(archive) == [(FindingCode.SIGNATURE_INVALID, seal_key(sealed, "p7s"))]


def test_signer_untrusted(archive, sealed, tmp_path):
    """The chain doesn't reach the root that the verifier holds; without a root that is said, and is no finding."""
    authority.ensure(tmp_path / "others", "Somebody", archive.clock.now())
    outcome = archive.verifying(roots=(tmp_path / "others" / "ca.pem").read_bytes()).verify_all()
    signer = keys.certificate(archive.signer.fingerprint)
    assert [(finding.code, finding.object) for finding in outcome.findings] == [(FindingCode.SIGNER_UNTRUSTED, signer)]
    without = replace(archive.verifying(), roots=None).verify_all()
    assert without.ok
    assert without.checks[3].name == "the signer is not checked against a root that you hold"


def test_segment_missing(archive):
    """Its object is gone."""
    key = first_segment(archive)
    remove(archive.object(key))
    assert found(archive) == [(FindingCode.SEGMENT_MISSING, key)]


def test_a_missing_sidecar_is_named(archive):
    """It was sealed with its segment."""
    key = keys.sidecar(first_segment(archive))
    remove(archive.object(key))
    assert found(archive) == [(FindingCode.SEGMENT_MISSING, key)]


@pytest.mark.parametrize("kept", [0, 1, -1])
def test_segment_truncated(archive, kept):
    """It is shorter than it was."""
    key = first_segment(archive)
    rewrite(archive.object(key), lambda data: data[:kept])
    assert found(archive) == [(FindingCode.SEGMENT_TRUNCATED, key)]


@pytest.mark.parametrize("corrupt", [flipped, lambda data: data + b"\0"])
def test_segment_digest(archive, corrupt):
    """One bit is enough."""
    key = first_segment(archive)
    rewrite(archive.object(key), corrupt)
    assert found(archive) == [(FindingCode.SEGMENT_DIGEST, key)]


def test_a_changed_sidecar_is_named(archive):
    """Its digest is sealed too."""
    key = keys.sidecar(first_segment(archive))
    rewrite(archive.object(key), flipped)
    assert found(archive) == [(FindingCode.SEGMENT_DIGEST, key)]


@pytest.mark.parametrize("key", ["note.txt", "main/note.txt", "_captures/x/seal-1.json"])
def test_an_extra_file_is_unlisted(archive, key):
    """Whatever is no key of the archive."""
    path = archive.object(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"who put this here?")
    assert found(archive) == [(FindingCode.SEGMENT_UNLISTED, key)]


def test_an_extra_segment_is_unlisted(archive, sealed, tmp_path):
    """Media of the window that no seal lists, though it is of the right form; also when only that capture is
    verified."""
    (extra, *_) = cut(tmp_path, archive.sources(sealed)[0])
    place = extra.side.place
    key = keys.segment(place.site, place.source, place.recording, place.seq)
    until = archive.binding.archive_lock(None, archive.clock.now())
    for each, data in ((key, extra.media.read_bytes()), (keys.sidecar(key), extra.sidecar)):
        archive.vault.put(each, data, digest=digest_of(data), retain_until=until)
    assert found(archive) == [(FindingCode.SEGMENT_UNLISTED, key)]
    assert [finding.object for finding in archive.verifying().verify(sealed).findings] == [key]


def test_an_unfinished_seal_counts_for_nothing(archive, sealed):
    """A next manifest that is neither signed nor stated can't take the place of the sealed one."""
    true = manifest.parse(b"".join(archive.vault.read(seal_key(sealed))))
    data = manifest.to_bytes(replace(drop_a_source(true), revision=2))
    until = archive.binding.archive_lock(None, archive.clock.now())
    archive.vault.put(seal_key(sealed, revision=2), data, digest=digest_of(data), retain_until=until)
    assert found(archive) == []


def test_a_planted_manifest_is_edited(archive, sealed):
    """A second revision of strange bytes."""
    path = archive.object(seal_key(sealed, revision=2))
    path.write_bytes(b"{}")
    assert found(archive) == [(FindingCode.MANIFEST_EDITED, seal_key(sealed, revision=2))]


def test_segment_unreadable(archive, tmp_path):
    """Deposited and sealed, and not the media that it claims to be."""
    capture = archive.book(span(100, 104))
    (real, *_) = cut(tmp_path, archive.sources(capture)[0], start_s=100, count=1)
    (segment,) = archive.deposit([pretend(tmp_path, b"no film, but it was sealed all the same", real.side)])
    archive.finish(capture)
    archive.seal(capture)
    assert found(archive) == [(FindingCode.SEGMENT_UNREADABLE, segment.key)]


@pytest.mark.parametrize("lie", ["timescale", "media end", "place"])
def test_a_sidecar_that_lies_is_found(archive, tmp_path, lie):
    """Truly deposited and sealed, it claims more time than its media lasts, or to be of another recording."""
    capture = archive.book(span(100, 104))
    (real, *_) = cut(tmp_path, archive.sources(capture)[0], start_s=100, count=1)
    side = real.side
    false = {
        "timescale": replace(side, timescale=side.timescale // 2),
        "media end": replace(side, media_end=side.media_end + side.timescale),
        "place": side,
    }[lie]
    (segment,) = archive.deposit([Footage(real.media, false)])
    if lie == "place":
        other = sidecar.to_bytes(replace(side, place=replace(side.place, recording=new_id())))
        rewrite(archive.object(keys.sidecar(segment.key)), lambda _: other)
        with archive.catalogue.transaction() as tx:
            tx.connection.execute(
                sa.update(tables.segment)
                .where(tables.segment.c.key == segment.key)
                .values(sidecar_digest=digest_of(other))
            )
    archive.finish(capture)
    archive.seal(capture)
    assert found(archive) == [(FindingCode.SEGMENT_UNREADABLE, segment.key)]


def seal_falsely(archive: Archive, capture: str, falsify: Callable[[Manifest], Manifest]) -> str:
    """A next revision that says what isn't so, truly signed with the archive's key and stated as an event."""
    true = manifest.parse(b"".join(archive.vault.read(seal_key(capture))))
    previous = (true.revision, digest_of(manifest.to_bytes(true)))
    false = falsify(replace(true, revision=2, previous=previous))
    data = manifest.to_bytes(false)
    assert data != manifest.to_bytes(replace(true, revision=2, previous=previous))
    until = archive.binding.archive_lock(None, archive.clock.now())
    key = seal_key(capture, revision=2)
    for kind, each in (("json", data), ("p7s", archive.signer.sign(data))):
        archive.vault.put(seal_key(capture, kind, 2), each, digest=digest_of(each), retain_until=until)
    stated = {"id": capture, "revision": 2, "sha256": digest_of(data), "key": key, "merkle_root": false.merkle_root}
    stated |= {"signer": false.signer, "recorded_us": 0, "missing_us": 0, "sealed_at": to_text(false.sealed_at)}
    with archive.catalogue.transaction() as tx:
        append(tx, EventType.CAPTURE_SEALED, capture, stated)
    archive.custody.store()
    return key


def test_merkle_root(archive, sealed):
    """The root is not that of the segments listed, though the signature is good."""
    key = seal_falsely(archive, sealed, lambda true: replace(true, merkle_root=digest_of(b"another tree")))
    assert found(archive) == [(FindingCode.MERKLE_ROOT, key)]


def claim_more(true: Manifest) -> Manifest:
    """One second more than the window has."""
    first, *rest = true.sources
    stated = replace(first.completeness, recorded_us=first.completeness.recorded_us + 1_000_000)
    return replace(true, sources=(replace(first, completeness=stated), *rest))


def hide_a_hole(true: Manifest) -> Manifest:
    """A source without segments that claims the whole window."""
    first, *rest = true.sources
    whole = Completeness(4_000_000, 4_000_000, 0)
    return replace(true, sources=(replace(first, segments=(), completeness=whole, gaps=()), *rest), merkle_root="")


def misplace_a_gap(true: Manifest) -> Manifest:
    """The sums hold, but a gap is stated where there is media."""
    first, *rest = true.sources
    second = replace(
        first,
        completeness=Completeness(4_000_000, 3_000_000, 1_000_000),
        gaps=(Gap(span(1, 2), GapCause.LOST, "so they say"),),
    )
    return replace(true, sources=(second, *rest))


def drop_a_source(true: Manifest) -> Manifest:
    return replace(true, sources=true.sources[1:], merkle_root="")


@pytest.mark.parametrize("falsify", [claim_more, hide_a_hole, misplace_a_gap, drop_a_source])
def test_completeness(archive, sealed, falsify):
    """The statement doesn't add up, or isn't what the segments show, though the signature is good."""
    key = seal_falsely(archive, sealed, falsify)
    assert found(archive) == [(FindingCode.COMPLETENESS, key)]


def test_custody_broken_by_a_changed_event(archive):
    """One event says something else now."""
    (batch, *_) = batches(archive)
    rewrite(archive.object(batch), lambda data: data.replace("视频会议".encode(), "视频电话".encode()))
    assert found(archive) == [(FindingCode.CUSTODY_BROKEN, batch)]


def test_custody_broken_by_a_removed_middle(archive, sealed):
    """A batch that others follow is gone."""
    add_batches(archive, 2)
    middle = batches(archive)[1]
    remove(archive.object(middle))
    assert found(archive) == [(FindingCode.CUSTODY_BROKEN, middle)]


def test_custody_broken_by_a_forged_batch(archive):
    """A batch beside the true ones, that follows the same one."""
    add_batches(archive, 1)
    true = archive.object(batches(archive)[1])
    id, forged = new_id(), new_id()
    data = true.read_bytes().replace(true.stem.encode(), forged.encode())
    assert id != forged and data != true.read_bytes()
    true.with_name(f"{forged}.jsonl").write_bytes(data)
    assert found(archive) == [(FindingCode.CUSTODY_BROKEN, keys.batch(forged))]


@pytest.mark.parametrize("corrupt", [flipped, lambda data: data.replace(b'"subjects":', b'"subject":')])
@pytest.mark.parametrize("number", [1, 2])
def test_custody_broken_by_a_changed_checkpoint(archive, number, corrupt):
    """The next one or the signature knows better."""
    add_batches(archive, 1)
    rewrite(archive.object(keys.checkpoint(number)), corrupt)
    assert found(archive) == [(FindingCode.CUSTODY_BROKEN, keys.checkpoint(number))]


def test_custody_truncated_by_a_removed_last_batch(archive):
    """The last signed checkpoint says that it was there."""
    add_batches(archive, 1)
    last = batches(archive)[-1]
    remove(archive.object(last))
    assert found(archive) == [(FindingCode.CUSTODY_TRUNCATED, last)]


def test_custody_truncated_by_a_removed_last_seal(archive, sealed, tmp_path):
    """The chain says that there was a second revision."""
    archive.deposit(cut(tmp_path, archive.sources(sealed)[0], start_s=1))
    assert archive.seal(sealed).revision == 2
    assert found(archive) == []
    for kind in ("json", "p7s"):
        remove(archive.object(seal_key(sealed, kind, revision=2)))
    assert found(archive) == [(FindingCode.CUSTODY_TRUNCATED, seal_key(sealed, revision=2))]


def test_custody_truncated_with_its_checkpoint(archive):
    """Without the catalogue nobody knows; with it the missing checkpoint is named."""
    add_batches(archive, 1)
    for key in (batches(archive)[-1], keys.checkpoint(2), keys.checkpoint(2, "p7s")):
        remove(archive.object(key))
    assert found(archive, catalogue=True) == [(FindingCode.CUSTODY_TRUNCATED, keys.checkpoint(2))]


def test_custody_truncated_below_a_seal(archive, sealed):
    """A seal names the event that its capture's chain had reached."""
    for key in (*batches(archive), keys.checkpoint(1), keys.checkpoint(1, "p7s")):
        remove(archive.object(key))
    (only,) = found(archive)
    assert only[0] is FindingCode.CUSTODY_TRUNCATED
    assert only[1].startswith(f"{sealed}#")


@pytest.mark.parametrize("kind", ["media", "sidecar", "seal"])
def test_retention_short(archive, sealed, kind):
    """The lock ends a day before the date that the capture was bound to."""
    segment = first_segment(archive)
    key = {"media": segment, "sidecar": keys.sidecar(segment), "seal": seal_key(sealed)}[kind]
    with archive.catalogue.reading() as tx:
        until = tx.captures.get(sealed).retain_until
    lock = archive.home / "vault" / "locks" / key
    stated = json.loads(lock.read_bytes())
    assert stated["retain_until"] == to_text(until)
    lock.chmod(0o644)
    lock.write_text(json.dumps(stated | {"retain_until": to_text(until - (WINDOW.end - WINDOW.start) * 21600)}))
    assert found(archive) == [(FindingCode.RETENTION_SHORT, key)]


def add_batches(archive: Archive, count: int) -> None:
    """Further facts, each in a batch of its own."""
    for number in range(count):
        with archive.catalogue.transaction() as tx:
            append(tx, EventType.ACCESS_REFUSED, "system", {"what": f"page {number}", "permission": "none"}, time=START)
        archive.custody.store()


def test_two_faults_give_two_findings(archive, sealed, segments: list[Footage]):
    """One does not hide the other."""
    key = first_segment(archive)
    rewrite(archive.object(key), flipped)
    rewrite(archive.object(seal_key(sealed, "p7s")), flipped)
    assert {code for code, _ in found(archive)} == {FindingCode.SEGMENT_DIGEST, FindingCode.SIGNATURE_INVALID}
    assert os.path.lexists(archive.object(key))


def test_any_flipped_bit_of_any_object_gives_one_finding_that_names_it(archive, sealed):
    """Wherever it lies: media, sidecar, manifest, batch or checkpoint; and no error of the verifier's own.

    Not so the certificates in the vault and those carried in a signature: a bit that proves nothing may change unseen.
    """
    add_batches(archive, 2)
    choose = random.Random(7)
    for stored in list(archive.vault.list()):
        if stored.key.startswith(keys.CERTIFICATES) or stored.key.endswith(".p7s"):
            continue
        path = archive.object(stored.key)
        sound = path.read_bytes()
        for _ in range(4):
            at, bit = choose.randrange(len(sound)), 1 << choose.randrange(8)
            rewrite(path, lambda data, at=at, bit=bit: data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])
            assert [object for _, object in found(archive)] == [stored.key], (stored.key, at, bit)
            path.write_bytes(sound)
    assert found(archive) == []
