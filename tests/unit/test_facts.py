"""What a worker writes down can be read again, and nothing else can."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.canonical import decode_object, encode, plain
from archiver.errors import FormatError
from archiver.timeline import Interval
from archiver.values import Assignment, Duty, Outage
from archiver.vocabulary import DutyState, GapCause
from ingest.facts import ClockStepped, DutyEnded, Fact, fact_json, open_json, parse_fact, parse_open
from ingest.outages import OpenOutage
from ingest.plans import parse_plan, plan_json

NOW = datetime(2026, 1, 1, 8, tzinfo=UTC)
SPAN = Interval(NOW, NOW + timedelta(seconds=9, microseconds=1))
DUTY = Duty("duty", "org", "site", "room", "cam", SPAN, DutyState.HELD, 3, "worker")
FACTS: list[Fact] = [
    Outage("cam", SPAN, GapCause.LOST, "the stream ended 流", "worker", 3),
    DutyEnded.of(DUTY),
    ClockStepped("worker", NOW, -3_600_000_000),
]


@pytest.mark.parametrize("fact", FACTS)
def test_facts_survive_the_disk(fact: Fact) -> None:
    """To the microsecond."""
    assert parse_fact(plain(fact_json(fact))) == fact


def test_plans_and_open_outages_survive_the_disk() -> None:
    """Also empty ones."""
    plan = [Assignment(DUTY, b"\x00\xffsealed")]
    open_ = {"duty": OpenOutage(NOW, GapCause.RESTARTED, "a torn tail")}
    assert (parse_plan(plain(plan_json(plan))), parse_open(plain(open_json(open_)))) == (plan, open_)
    assert (parse_plan(plan_json([])), parse_open(open_json({}))) == ([], {})


WHOLE = [
    encode(document)
    for document in (
        *map(fact_json, FACTS),
        plan_json([Assignment(DUTY, b"sealed")]),
        open_json({"d": OpenOutage(NOW, GapCause.LOST, "")}),
    )
]


@settings(deadline=None)
@given(st.sampled_from(WHOLE), st.data())
def test_damage_is_a_format_error(whole: bytes, data: st.DataObject) -> None:
    """A parser of files leaks nothing else."""
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.binary(max_size=2))
    for parse in (parse_fact, parse_plan, parse_open):
        try:
            parse(decode_object(whole[:at] + byte + whole[at + 1 :]))
        except FormatError:
            continue


@pytest.mark.parametrize("parse", [parse_fact, parse_plan, parse_open])
def test_other_documents_are_refused(parse) -> None:
    """So is one of a later version."""
    for document in ({}, {"v": 1}, {"v": 2, "type": "outage", "assignments": [], "outages": []}):
        with pytest.raises(FormatError):
            parse(document)


def test_an_outage_takes_only_new_words_and_not_without_end() -> None:
    """A camera that is away for a week doesn't fill the disk with its complaints."""
    open_ = OpenOutage(NOW, GapCause.LOST, "ended")
    for number in range(1000):
        open_ = open_.noting("refused").noting(f"refused by number {number}")
    assert open_.evidence.startswith("ended; then refused; then refused by number 0")
    assert len(open_.evidence) < 1100
