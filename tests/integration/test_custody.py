"""Events on their way to the vault: batches that name each other, and signed checkpoints over all chains."""

import pytest

from archiver import events, keys
from archiver.canonical import digest_of
from archiver.custody import Custody, parse_checkpoint, root_of
from archiver.errors import FormatError
from archiver.vocabulary import EventType
from tests.archive_rig import Archive
from tests.catalogue_facts import append

STEPS = ("_checkpoint", "_sign")


def refuse(archive: Archive, what: str) -> None:
    with archive.catalogue.transaction() as tx:
        append(tx, EventType.ACCESS_REFUSED, "system", {"what": what, "permission": "none"})


def in_vault(archive: Archive) -> list[str]:
    return [stored.key for stored in archive.vault.list(keys.EVENTS)]


def read(archive: Archive, key: str) -> bytes:
    return b"".join(archive.vault.read(key))


def test_each_batch_names_the_one_before_and_holds_every_event(archive, capture):
    """Nothing is in two, nothing in none; a store with nothing new stores nothing."""
    assert archive.custody.store() == 1
    refuse(archive, "page 1")
    assert archive.custody.store() == 1
    assert archive.custody.store() == 0
    first, second = (read(archive, key) for key in in_vault(archive))
    assert events.parse_batch(first).previous is None
    assert events.parse_batch(second).previous == digest_of(first)
    ids = [event.id for data in (first, second) for event in events.parse_batch(data).events]
    with archive.catalogue.reading() as tx:
        chained = [event.id for subject in tx.events.heads() for event in tx.events.chain(subject)]
        assert tx.events.waiting() == (None, None)
    assert sorted(ids) == sorted(chained)


def test_a_checkpoint_signs_where_every_chain_stands(archive, capture):
    """Its root is that of the catalogue's heads, and it names its batch and the checkpoint before."""
    archive.custody.store()
    refuse(archive, "page 1")
    archive.custody.store()
    data = read(archive, keys.checkpoint(2))
    checkpoint = parse_checkpoint(data)
    with archive.catalogue.reading() as tx:
        heads = tx.events.heads()
        assert tx.events.last_checkpoint() == (2, digest_of(data))
    assert (checkpoint.root, checkpoint.subjects) == (root_of(heads), len(heads))
    assert checkpoint.previous == digest_of(read(archive, keys.checkpoint(1)))
    assert keys.batch(checkpoint.batch[0]) == in_vault(archive)[-1]
    check = archive.checker.check(data, read(archive, keys.checkpoint(2, "p7s")), archive.root.read_bytes())
    assert check.intact and check.trusted


@pytest.mark.parametrize("step", [*STEPS, "batch_stored"])
@pytest.mark.parametrize("more", [False, True])
def test_a_run_that_was_cut_off_is_finished(archive, capture, monkeypatch, step, more):
    """After any step, and whether or not further events came meanwhile: the same objects, no event twice."""

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if step == "batch_stored":
            with archive.catalogue.reading() as tx:
                patch.setattr(type(tx.events), step, cut_off)
        else:
            patch.setattr(Custody, step, cut_off)
        archive.custody.store()
    before = {key: read(archive, key) for key in in_vault(archive)}
    assert before
    archive.clock.pass_s(60)
    if more:
        refuse(archive, "page 1")
    archive.custody.store()
    assert {key: read(archive, key) for key in before} == before
    assert len(in_vault(archive)) == (2 if more else 1)
    assert archive.verifying(catalogue=True).verify_all().findings == ()


@pytest.mark.parametrize("data", [b"", b"{}", b'{"v":2}', b"[]", b'{"v":1,"number":1}'])
def test_a_document_that_is_no_checkpoint_is_a_format_error(data):
    """Whatever it is."""
    with pytest.raises(FormatError):
        parse_checkpoint(data)
