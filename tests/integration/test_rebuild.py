"""The catalogue made again from the vault alone (I9)."""

from datetime import timedelta
from pathlib import Path

import pytest

from archiver import keys
from archiver.errors import ConflictError, NotFoundError, TamperError
from archiver.rebuilding import Rebuilding, Rebuilt
from archiver.times import to_text
from archiver.values import Assignment, Principal
from archiver.vocabulary import DutyState, EventType, Role
from ingest.scheduling import Replanner
from retention.ending import Ending
from retention.policies import Policies
from tests.archive_rig import ROLLS, SHANGHAI, Archive, cut
from tests.catalogue_facts import START, append, new_id, span
from tests.catalogue_rows import fact_rows

CLERK = Principal("clerk", "person", Role.ADMINISTRATOR)


def rebuild(archive: Archive, plans: list[Assignment] | None = None) -> Rebuilt:
    replan = Replanner(ROLLS.pre, ROLLS.post, new_id)
    return Rebuilding(archive.catalogue, archive.vault, archive.clock, replan).rebuild(plans or [])


def without_catalogue(archive: Archive) -> Archive:
    """The same home after its catalogue was deleted."""
    archive.close()
    for path in archive.home.glob("catalogue.db*"):
        path.unlink()
    return Archive(archive.home, archive.clock)


@pytest.fixture
def rich(archive: Archive, sealed: str, tmp_path: Path) -> Archive:
    """Facts of every kind that has rows: two captures, a second revision, a gap, a policy, an end, tokens."""
    second = archive.book(span(0, 10))
    source = archive.sources(second)[0]
    Policies(archive.catalogue, archive.clock, new_id).set("centre", 30, "the centre's own rule", CLERK)
    with archive.catalogue.transaction() as tx:
        gap = {"source": source, "start": to_text(START), "end": to_text(START + timedelta(seconds=3))}
        append(tx, EventType.GAP_STATED, source, gap | {"cause": "lost", "evidence": "EOF", "worker": "w", "epoch": 1})
        token = {"id": new_id(), "organisation": "centre", "name": "portal", "role": "administrator"}
        append(tx, EventType.TOKEN_CREATED, "system", token | {"digest": "d" * 64, "expires_at": None})
        append(tx, EventType.TOKEN_REVOKED, "system", {"id": token["id"]})
        project = tx.captures.get(sealed).project
    archive.deposit(cut(tmp_path, source, "h265_aac.mp4", start_s=3))
    archive.finish(second)
    archive.seal(second)
    Ending(archive.catalogue, archive.clock, SHANGHAI).end(
        project, START.date(), "acceptance", "doc 7", "Li Hua", CLERK
    )
    archive.renewal.renew_all()
    archive.deposit(cut(tmp_path, archive.sources(sealed)[0], start_s=1))
    assert archive.seal(sealed).revision == 2
    return archive


def test_every_fact_row_is_the_same_again(rich):
    """The catalogue is deleted; what the vault holds gives the same rows, and verification agrees."""
    before = fact_rows(rich.catalogue)
    assert all(before.values())
    again = without_catalogue(rich)
    rebuilt = rebuild(again)
    assert fact_rows(again.catalogue) == before
    assert (rebuilt.segments, rebuilt.seals) == (len(before["segment"]), 3)
    again.custody.store()
    outcome = again.verifying(catalogue=True).verify_all()
    assert outcome.findings == ()
    again.close()


def test_what_is_gone_is_named_and_every_chain_says_so(rich, sealed):
    """Source addresses are in no vault; each chain says that later events may be lost."""
    again = without_catalogue(rich)
    rebuilt = rebuild(again)
    for source in again.sources(sealed):
        assert any(source in gone for gone in rebuilt.gone)
    with again.catalogue.reading() as tx:
        for source in again.sources(sealed):
            with pytest.raises(NotFoundError):
                tx.registry.sealed_address(source)
        for subject in (sealed, *again.sources(sealed)):
            last = tx.events.chain(subject)[-1]
            assert last.type == EventType.CHAIN_RESUMED
            assert last.payload == {"after": last.seq - 1}
        assert tx.events.chain("system")[-1].type == EventType.CATALOGUE_REBUILT
    again.close()


def test_windows_still_open_get_their_duties_and_addresses_from_the_plans(archive):
    """A worker's plan on disk holds the sealed address of what is about to be recorded."""
    capture = archive.book(span(3600, 7200))
    planned, other = archive.sources(capture)
    with archive.catalogue.transaction() as tx:
        Replanner(ROLLS.pre, ROLLS.post, new_id)(tx, planned, archive.clock.now())
        (assignment,) = tx.duties.plan("main", timedelta(hours=24))
    archive.custody.store()
    again = without_catalogue(archive)
    rebuilt = rebuild(again, [assignment])
    with again.catalogue.reading() as tx:
        assert tx.registry.sealed_address(planned) == assignment.sealed_address
        for source in (planned, other):
            (duty,) = tx.duties.of_source(source, span(0, 7200))
            assert (duty.span, duty.state) == (span(3595, 7205), DutyState.PLANNED)
    assert not any(planned in gone for gone in rebuilt.gone)
    again.close()


def test_an_interrupted_rebuild_is_run_again(rich):
    """Everything but the last step may be repeated; after that step the catalogue is not the vault's any more."""
    again = without_catalogue(rich)

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Rebuilding(again.catalogue, again.vault, again.clock, cut_off).rebuild()
    rebuild(again)
    with pytest.raises(ConflictError):
        rebuild(again)
    again.close()


def test_a_catalogue_with_facts_of_its_own_is_not_rebuilt_into(archive, sealed):
    """They would be lost among the vault's."""
    archive.book()
    with pytest.raises(ConflictError):
        rebuild(archive)


def test_a_tampered_batch_is_not_rebuilt_from(archive, sealed):
    """The error names it, and verification says more."""
    (batch, *_) = [stored.key for stored in archive.vault.list(keys.EVENTS)]
    path = archive.object(batch)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace("视频会议".encode(), "视频电话".encode()))
    again = without_catalogue(archive)
    with pytest.raises(TamperError):
        rebuild(again)
    again.close()


def test_a_segment_without_its_sidecar_is_named(archive, sealed):
    """Its place in time can't be known; the rest is there."""
    with archive.catalogue.reading() as tx:
        segments = tx.segments.each()
    archive.object(keys.sidecar(segments[0].key)).unlink()
    again = without_catalogue(archive)
    rebuilt = rebuild(again)
    assert rebuilt.segments == len(segments) - 1
    assert any(segments[0].key in gone for gone in rebuilt.gone)
    again.close()
