"""Deposited segments, their fragment indexes and their recordings."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.errors import NotFoundError, TamperError
from archiver.timeline import Interval
from archiver.vocabulary import Container
from tests import catalogue_facts as facts


def test_a_segment_comes_back_as_it_went_in(catalogue: SqlCatalogue):
    """Every field, and the packed index byte for byte."""
    segment = replace(facts.a_segment("s", "r"), container=Container.MOV, derived=True, media_end=2**40)
    with catalogue.transaction() as tx:
        assert tx.segments.add(segment, b"\x00\xffpacked")
    with catalogue.reading() as tx:
        assert tx.segments.get(segment.key) == segment
        assert tx.segments.fragments(segment.key) == b"\x00\xffpacked"


def test_depositing_twice_is_no_news(catalogue: SqlCatalogue):
    """The same digest again is False and changes nothing; another digest is a tamper alarm (I3)."""
    segment = facts.a_segment("s", "r")
    with catalogue.transaction() as tx:
        assert tx.segments.add(segment, b"index") is True
        assert tx.segments.add(replace(segment, version="2"), b"other") is False
        assert tx.segments.get(segment.key) == segment
        assert tx.segments.fragments(segment.key) == b"index"
    with pytest.raises(TamperError, match=facts.OTHER_DIGEST), catalogue.transaction() as tx:
        tx.segments.add(replace(segment, digest=facts.OTHER_DIGEST), b"index")


def test_unknown_segments_are_not_found(catalogue: SqlCatalogue):
    """By key, by index, and when a date should be raised."""
    with catalogue.transaction() as tx:
        for ask in (tx.segments.get, tx.segments.fragments, lambda key: tx.segments.extend(key, facts.START)):
            with pytest.raises(NotFoundError):
                ask("main/none.mp4")


def test_a_segment_s_date_only_rises(catalogue: SqlCatalogue):
    """An earlier date changes nothing (evidence rule 6)."""
    segment = facts.a_segment("s", "r")
    later = segment.retain_until + facts.HOUR
    with catalogue.transaction() as tx:
        tx.segments.add(segment, b"")
        tx.segments.extend(segment.key, facts.START)
        assert tx.segments.get(segment.key).retain_until == segment.retain_until
        tx.segments.extend(segment.key, later)
        tx.segments.extend(segment.key, segment.retain_until)
        assert tx.segments.get(segment.key).retain_until == later


def test_segments_are_read_by_recording_and_in_key_order(catalogue: SqlCatalogue):
    """A recording's in sequence; all of them in pieces, after a key."""
    with catalogue.transaction() as tx:
        for recording, seq in (("r2", 1), ("r1", 1), ("r2", 0), ("r1", 0)):
            tx.segments.add(facts.a_segment("s", recording, seq), b"")
        assert [segment.seq for segment in tx.segments.of_recording("r2")] == [0, 1]
        keys, after = [], ""
        while piece := tx.segments.each(after, limit=3):
            keys += [segment.key for segment in piece]
            after = keys[-1]
    assert keys == sorted(keys)
    assert len(keys) == 4


spans = st.tuples(st.integers(0, 5000), st.integers(1, 900)).map(lambda pair: facts.span(pair[0], sum(pair)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(spans, max_size=25), spans)
def test_touching_is_every_overlap(catalogue: SqlCatalogue, there: list[Interval], asked: Interval):
    """The indexed search finds exactly the segments whose span overlaps, long ones among short ones too."""
    source = facts.new_id()
    segments = [facts.a_segment(source, f"r{seq % 3}", seq, span) for seq, span in enumerate(there)]
    with catalogue.transaction() as tx:
        for segment in segments:
            tx.segments.add(replace(segment, key=f"{source}/{segment.key}", recording=source + segment.recording), b"")
        tx.segments.add(facts.a_segment(facts.new_id(), facts.new_id(), at=asked), b"")
        found = [(segment.recording, segment.seq) for segment in tx.segments.touching(source, asked)]
    expected = [segment for segment in segments if segment.span.overlaps(asked)]
    assert found == sorted((source + segment.recording, segment.seq) for segment in expected)


def test_a_search_in_time_uses_the_index(sqlite_catalogue: SqlCatalogue):
    """Neither segments nor captures are found by reading whole tables."""
    plans = []

    def note(_connection, cursor, statement, parameters, _context, _many) -> None:
        if statement.startswith("SELECT"):
            cursor.execute("EXPLAIN QUERY PLAN " + statement, parameters)
            plans.extend(row[3] for row in cursor.fetchall())

    with sqlite_catalogue.transaction() as tx:
        tx.segments.add(facts.a_segment("s", "r"), b"")
        tx.recordings.open(facts.a_recording("s", "r"))
        facts.event_listener(tx.connection, note)
        for ask in (tx.segments, tx.recordings, tx.outages, tx.captures):
            ask.touching("s", facts.span(0, 60))
        tx.duties.of_source("s", facts.span(0, 60))
    assert len(plans) >= 6
    assert [plan for plan in plans if plan.startswith("SCAN")] == [], plans


def test_a_recording_counts_what_is_deposited(catalogue: SqlCatalogue):
    """`deposited` follows the segments; `segments` is known once it is closed; opening again changes nothing."""
    row = facts.a_recording("s")
    with catalogue.transaction() as tx:
        tx.recordings.open(row)
        assert tx.recordings.touching("s", facts.span(0, 10)) == [row]
        for seq in range(2):
            tx.segments.add(facts.a_segment("s", row.id, seq), b"")
        assert tx.recordings.touching("s", facts.span(0, 10)) == [replace(row, deposited=2)]
        tx.recordings.close(row.id, 2)
        tx.recordings.close(row.id, 2)
        tx.recordings.open(replace(row, worker="another"))
        assert tx.recordings.touching("s", facts.span(0, 10)) == [replace(row, segments=2, deposited=2)]


def test_a_recording_touches_until_it_is_known_to_have_ended(catalogue: SqlCatalogue):
    """Open, or closed with segments missing, it may still reach any later span; complete, only to its last segment."""
    row, later = facts.a_recording("s"), facts.span(7200, 7260)
    with catalogue.transaction() as tx:
        tx.recordings.open(row)
        tx.segments.add(facts.a_segment("s", row.id, 0, facts.span(0, 60)), b"")
        assert len(tx.recordings.touching("s", later)) == 1
        tx.recordings.close(row.id, 2)
        assert len(tx.recordings.touching("s", later)) == 1
        tx.segments.add(facts.a_segment("s", row.id, 1, facts.span(60, 120)), b"")
        assert tx.recordings.touching("s", later) == []
        assert len(tx.recordings.touching("s", facts.span(119, 121))) == 1
        assert tx.recordings.touching("s", facts.span(-60, 0)) == []
        assert tx.recordings.touching("other", facts.span(0, 60)) == []


def test_a_recording_without_a_segment_ended_where_it_began(catalogue: SqlCatalogue):
    """A recorder that caught nothing keeps no seal waiting."""
    row = facts.a_recording("s")
    with catalogue.transaction() as tx:
        tx.recordings.open(row)
        tx.recordings.close(row.id, 0)
        assert tx.recordings.touching("s", facts.span(60, 120)) == []


def test_an_unknown_recording_can_not_be_closed(catalogue: SqlCatalogue):
    """Closing is never silent about a recording that nobody opened."""
    with pytest.raises(NotFoundError), catalogue.transaction() as tx:
        tx.recordings.close(facts.new_id(), 1)
