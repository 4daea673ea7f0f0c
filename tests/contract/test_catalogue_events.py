"""Chains of events, batches and checkpoints; and a catalogue made again from its events (I9)."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from archiver import events
from archiver.adapters.catalogue import tables
from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.errors import ConflictError, FormatError, NotFoundError, TamperError
from archiver.times import to_text
from archiver.values import Batch, Draft
from archiver.vocabulary import EventType, GapCause
from tests import catalogue_facts as facts


def step(tx, subject: str = "system", **more):
    return facts.append(tx, EventType.CLOCK_STEPPED, subject, {"worker": "w", "offset_s": 1.5}, **more)


def test_an_appended_event_is_chained_and_comes_back_whole(catalogue: SqlCatalogue):
    """What is read back is what was hashed: ids, principal, time to the microsecond, payload."""
    payload = {"worker": "w", "offset_s": -0.000001, "名": ["é", None, {"deep": 2**53 - 1}]}
    at = facts.START + timedelta(microseconds=1)
    with catalogue.transaction() as tx:
        made = facts.append(tx, EventType.CLOCK_STEPPED, "system", payload, about=("a", "b"), time=at)
        second = step(tx)
        step(tx, "another")
    with catalogue.reading() as tx:
        chain = tx.events.chain("system")
        assert tx.events.chain("system", after=0) == [second]
        assert tx.events.chain("nothing") == []
        assert tx.events.heads()["system"] == (1, second.hash)
        assert tx.events.heads()["another"][0] == 0
    assert chain == [made, second]
    assert (made.payload, made.about, made.time, made.principal) == (payload, ("a", "b"), at, facts.CLERK)
    assert events.check_chain(chain) is None


def test_what_can_not_be_hashed_is_refused(catalogue: SqlCatalogue):
    """NaN has no canonical form; nothing of the transaction stands."""
    with pytest.raises(FormatError), catalogue.transaction() as tx:
        facts.append(tx, EventType.CLOCK_STEPPED, "system", {"offset_s": float("nan")})
    with catalogue.reading() as tx:
        assert tx.events.heads() == {}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM event",
        "UPDATE event SET document = '{}'",
        "UPDATE event SET seq = seq + 1",
        "UPDATE event SET batch = NULL",
        "UPDATE event SET batch = 'b2'",
        "UPDATE event SET batch = 'b2', hash = 'x' WHERE batch IS NULL",
    ],
)
def test_the_database_itself_keeps_events(catalogue: SqlCatalogue, statement: str):
    """Not even a statement by hand deletes or changes an event, or takes it out of its batch."""
    with catalogue.transaction() as tx:
        step(tx)
        tx.events.take_batch("b1")
        tx.events.batch_stored("b1", facts.DIGEST)
        step(tx)
        tx.connection.exec_driver_sql("INSERT INTO batch (id, number) VALUES ('b2', 2)")
        before = tx.connection.execute(sa.select(tables.event).order_by(tables.event.c.position)).all()
    with pytest.raises((ConflictError, DBAPIError)), catalogue.transaction() as tx:
        tx.connection.exec_driver_sql(statement)
    with catalogue.reading() as tx:
        assert tx.connection.execute(sa.select(tables.event).order_by(tables.event.c.position)).all() == before


# ------------------------------------------------------------------ batches


def test_waiting_tells_the_oldest_event_and_the_oldest_urgent_one(catalogue: SqlCatalogue):
    """Both by the events' own times, until a batch takes them."""
    with catalogue.transaction() as tx:
        assert tx.events.waiting() == (None, None)
        step(tx, time=facts.START + facts.HOUR)
        step(tx, time=facts.START + 2 * facts.HOUR, urgent=True)
        step(tx, time=facts.START)
        assert tx.events.waiting() == (facts.START, facts.START + 2 * facts.HOUR)
        tx.events.take_batch("b1")
        assert tx.events.waiting() == (None, None)


def test_a_batch_takes_every_waiting_event_once(catalogue: SqlCatalogue):
    """Asked again with the same id it is the same, whatever came since; the next one links to its digest."""
    with catalogue.transaction() as tx:
        assert tx.events.take_batch("b0") is None
        first = [step(tx), step(tx, "another"), step(tx)]
    with catalogue.transaction() as tx:
        batch = tx.events.take_batch("b1")
        later = step(tx)
    with catalogue.transaction() as tx:
        assert tx.events.take_batch("b1") == batch == Batch("b1", None, tuple(first))
        assert tx.events.unstored_batches() == ["b1"]
        tx.events.batch_stored("b1", facts.DIGEST)
        tx.events.batch_stored("b1", facts.DIGEST)
        assert tx.events.unstored_batches() == []
        assert tx.events.take_batch("b2") == Batch("b2", facts.DIGEST, (later,))
        assert tx.events.take_batch("b1") == batch
        assert tx.events.take_batch("b3") is None


def test_a_batch_waits_for_the_one_before(catalogue: SqlCatalogue):
    """Its bytes carry the digest of the batch before, so that one must be stored first."""
    with catalogue.transaction() as tx:
        step(tx)
        tx.events.take_batch("b1")
        step(tx)
    with pytest.raises(ConflictError, match="b1"), catalogue.transaction() as tx:
        tx.events.take_batch("b2")
    with catalogue.transaction() as tx:
        tx.events.batch_stored("b1", facts.DIGEST)
        assert tx.events.take_batch("b2") is not None


def test_a_stored_batch_has_one_digest(catalogue: SqlCatalogue):
    """Another digest for the same batch or checkpoint is a tamper alarm; an unknown batch is not found."""
    with catalogue.transaction() as tx:
        assert tx.events.last_checkpoint() == (0, None)
        step(tx)
        tx.events.take_batch("b1")
        tx.events.batch_stored("b1", facts.DIGEST)
        for number in (1, 2, 2, 1):
            tx.events.checkpoint_stored(number, facts.DIGEST)
        assert tx.events.last_checkpoint() == (2, facts.DIGEST)
        with pytest.raises(TamperError):
            tx.events.batch_stored("b1", facts.OTHER_DIGEST)
        with pytest.raises(TamperError):
            tx.events.checkpoint_stored(2, facts.OTHER_DIGEST)
        with pytest.raises(NotFoundError):
            tx.events.batch_stored("b9", facts.DIGEST)


# ------------------------------------------------------------------ rebuild


def tell_a_story(catalogue: SqlCatalogue, version: int = 1) -> None:
    """Every type of event that changes a row, over several transactions."""
    with catalogue.transaction() as tx:
        project = facts.add_project(tx)
        rooms = [facts.add_location(tx), facts.add_location(tx, "开标室B")]
        sources = [facts.add_source(tx, rooms[0]) for _ in range(2)]
        policy = {"id": "statutory", "organisation": "centre", "version": version, "years": 15, "basis": "Art. 42"}
        facts.append(tx, EventType.POLICY_SET, "system", policy | {"effective_from": to_text(facts.START)})
        token = {"id": facts.new_id(), "organisation": "centre", "name": "first", "role": "administrator"}
        token |= {"digest": f"sha256:{version:064x}", "expires_at": to_text(facts.START + facts.HOUR)}
        facts.append(tx, EventType.TOKEN_CREATED, "system", token)
    with catalogue.transaction() as tx:
        captures = [facts.book(tx, project, rooms[0], sources, title=title) for title in ("开标", None, "评标")]
        facts.append(tx, EventType.CAPTURE_CHANGED, captures[2], {"id": captures[2], "title": "再评标"})
        facts.move(tx, captures[1], EventType.CAPTURE_CANCELLED)
        facts.move(tx, captures[0], EventType.CAPTURE_STARTED)
        facts.move(tx, captures[0], EventType.CAPTURE_STOPPED)
        facts.move(tx, captures[0], EventType.CAPTURE_ENDED)
        gap = {"source": sources[0], "start": to_text(facts.START), "end": to_text(facts.START + facts.HOUR)}
        gap |= {"cause": GapCause.LOST, "evidence": "end of stream", "worker": "w", "epoch": 1}
        facts.append(tx, EventType.GAP_STATED, sources[0], gap)
    with catalogue.transaction() as tx:
        until = {"capture": captures[0], "until": to_text(facts.START + 9999 * facts.HOUR), "reason": "15 years"}
        facts.append(tx, EventType.RETENTION_BOUND, captures[0], until | {"policy": "statutory", "policy_version": 1})
        facts.seal(tx, captures[0])
        facts.seal(tx, captures[0], revision=2)
        end = {"id": project, "day": "2027-01-01", "basis": "acceptance", "document": "YS-1", "signer": "王"}
        facts.append(tx, EventType.PROJECT_ENDED, project, end)
        facts.append(tx, EventType.PROJECT_CHANGED, project, {"id": project, "changes": {"title": "新名称"}})
        facts.append(tx, EventType.LOCATION_CHANGED, rooms[0], {"id": rooms[0], "changes": {"name": "大开标室"}})
        removed = {"id": sources[1], "changes": {"name": "旧机", "address": "rtsp://x:1/…", "removed": True}}
        facts.append(tx, EventType.SOURCE_CHANGED, sources[1], removed)
        facts.append(tx, EventType.TOKEN_REVOKED, "system", {"id": token["id"]})
        facts.append(tx, EventType.TAMPER_FOUND, captures[0], {"object": "k", "expected": "a", "found": "b"})


def batches_of(catalogue: SqlCatalogue, *ids: str) -> list[tuple[Batch, str]]:
    """The waiting events as stored batches, through their bytes."""
    found = []
    for id in ids:
        with catalogue.transaction() as tx:
            batch = tx.events.take_batch(id)
            assert batch is not None
            digest = events.canonical.digest_of(events.batch_bytes(batch))
            tx.events.batch_stored(id, digest)
            found.append((events.parse_batch(events.batch_bytes(batch)), digest))
    return found


def dump(catalogue: SqlCatalogue, *more: sa.Table) -> dict[str, list]:
    """Every row, without the numbers that a database gives by itself."""
    with catalogue.reading() as tx:
        return {
            table.name: sorted(map(repr, tx.connection.execute(sa.select(*_told(table)))))
            for table in (*tables.FACTS, *more)
        }


def _told(table: sa.Table) -> list[sa.Column]:
    return [column for column in table.columns if column.autoincrement is not True]


def test_a_replay_of_every_event_gives_the_same_rows(catalogue: SqlCatalogue, another: SqlCatalogue):
    """Fact rows, chains and batches of a catalogue rebuilt from its batches equal the first one's, byte for byte."""
    tell_a_story(catalogue)
    stored = batches_of(catalogue, "b1")
    tell_a_story(catalogue, version=2)
    stored += batches_of(catalogue, "b2")
    with another.transaction() as tx:
        assert [tx.events.replay(*batch) for batch in stored] == [len(batch.events) for batch, _ in stored]
    assert all(rows for rows in dump(catalogue).values())
    assert dump(another, tables.batch) == dump(catalogue, tables.batch)
    with another.transaction() as tx:
        assert [tx.events.take_batch(batch.id) for batch, _ in stored] == [batch for batch, _ in stored]
        assert tx.events.waiting() == (None, None)


def test_a_replay_again_is_no_news(catalogue: SqlCatalogue, another: SqlCatalogue):
    """Also when only a part of a batch is there."""
    tell_a_story(catalogue)
    [(batch, digest)] = batches_of(catalogue, "b1")
    before = dump(catalogue)
    with catalogue.transaction() as tx:
        assert tx.events.replay(batch, digest) == 0
    assert dump(catalogue) == before
    with another.transaction() as tx:
        tx.events.replay(replace(batch, events=batch.events[:3]), digest)
        assert tx.events.replay(batch, digest) == len(batch.events) - 3


def test_a_later_program_s_events_are_kept(catalogue: SqlCatalogue, another: SqlCatalogue):
    """An unknown type and unknown fields survive a replay with their hash, and change no row."""
    draft = Draft("system", EventType.CLOCK_STEPPED, facts.START, facts.CLERK, {"new": [1]})
    event = replace(
        events.chain(draft, facts.new_id(), 0, events.FIRST_PREVIOUS), type="moon.seen", extra={"hue": "red"}
    )
    event = replace(event, hash=events.hash_of(event))
    with another.transaction() as tx:
        assert tx.events.replay(Batch("b1", None, (event,)), facts.DIGEST) == 1
        assert tx.events.chain("system") == [event]


def test_a_changed_event_is_not_replayed(catalogue: SqlCatalogue, another: SqlCatalogue):
    """Edited content, a cut out event, another event under a known id, another digest of a batch: tamper alarms."""
    with catalogue.transaction() as tx:
        for _ in range(3):
            step(tx)
    [(batch, digest)] = batches_of(catalogue, "b1")
    first, second, third = batch.events
    edited = replace(second, payload={"worker": "w", "offset_s": 0})
    rehashed = replace(edited, hash=events.hash_of(edited))
    for damaged in ((first, edited, third), (first, third), (second,), (first, rehashed, third)):
        with pytest.raises(TamperError), another.transaction() as tx:
            tx.events.replay(replace(batch, events=damaged), digest)
    assert dump(another)["chain_head"] == []
    with pytest.raises(TamperError), catalogue.transaction() as tx:
        tx.events.replay(replace(batch, events=(first, rehashed, third)), digest)
    with pytest.raises(TamperError), catalogue.transaction() as tx:
        tx.events.replay(batch, facts.OTHER_DIGEST)


def test_a_resumed_chain_goes_on(catalogue: SqlCatalogue, another: SqlCatalogue):
    """After a rebuild `chain.resumed` is chained like any other; one that begins anew is taken from the vault too."""
    with catalogue.transaction() as tx:
        step(tx)
    [(batch, digest)] = batches_of(catalogue, "b1")
    with another.transaction() as tx:
        tx.events.replay(batch, digest)
        facts.append(tx, EventType.CHAIN_RESUMED, "system", {"why": "rebuilt"})
        assert events.check_chain(tx.events.chain("system")) is None
    anew = Draft("system", EventType.CHAIN_RESUMED, facts.START, facts.CLERK, {"why": "rebuilt"})
    event = events.chain(anew, facts.new_id(), 7, events.FIRST_PREVIOUS)
    with catalogue.transaction() as tx:
        assert tx.events.replay(Batch("b2", digest, (event,)), facts.DIGEST) == 1
        assert tx.events.heads()["system"] == (7, event.hash)
