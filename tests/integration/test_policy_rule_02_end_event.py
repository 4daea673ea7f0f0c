"""Evidence rule 2: an end event has a date, a legal basis, a document reference and a signer; a correction is a new
event."""

from datetime import date, timedelta

import pytest

from archiver.errors import InputError, NotFoundError
from archiver.vocabulary import EventType
from retention.due import DueDates
from retention.ending import Ending
from retention.policy import local_day
from tests.archive_rig import SHANGHAI, Archive
from tests.catalogue_facts import CLERK


@pytest.fixture
def ending(archive: Archive) -> Ending:
    return Ending(archive.catalogue, archive.clock, SHANGHAI)


@pytest.fixture
def project(archive: Archive, capture: str) -> str:
    with archive.catalogue.reading() as tx:
        return tx.captures.get(capture).project


def today(archive: Archive) -> date:
    return local_day(archive.clock.now(), SHANGHAI)


def test_an_end_event_states_all_four(archive, ending, project):
    """The project shows it, and the chain keeps it."""
    ended = ending.end(project, today(archive), "acceptance", " doc 7 ", "Li Hua", CLERK)
    assert ended.end is not None
    assert (ended.end.day, ended.end.basis, ended.end.document) == (today(archive), "acceptance", "doc 7")
    with archive.catalogue.reading() as tx:
        event = tx.events.chain(project)[-1]
    assert event.type == EventType.PROJECT_ENDED
    assert event.payload["signer"] == "Li Hua"
    assert event.principal == CLERK


@pytest.mark.parametrize(
    ("field", "value"),
    [("basis", "someone said so"), ("document", "  "), ("signer", ""), ("day", timedelta(days=1))],
)
def test_none_of_them_may_be_missing_and_the_day_not_in_the_future(archive, ending, project, field, value):
    """The error names the field; nothing is stated."""
    facts = {"day": today(archive), "basis": "acceptance", "document": "doc 7", "signer": "Li Hua"}
    facts[field] = facts["day"] + value if field == "day" else value
    with pytest.raises(InputError) as refused:
        ending.end(project, **facts, principal=CLERK)
    assert list(refused.value.errors) == [field]
    with archive.catalogue.reading() as tx:
        assert tx.registry.project(project).end is None


def test_a_correction_is_a_new_event(archive, ending, project, capture, segments):
    """The earlier statement stays in the chain; the date follows the correction, and is never lowered."""
    archive.deposit(segments)
    due = DueDates(archive.catalogue, archive.binding, archive.clock)
    for days in (0, 100, 10):
        ending.end(project, today(archive) - timedelta(days=days), "acceptance", f"doc {days}", "Li Hua", CLERK)
    with archive.catalogue.reading() as tx:
        chain = tx.events.chain(project)
    assert [event.payload["document"] for event in chain if event.type == EventType.PROJECT_ENDED] == [
        "doc 0",
        "doc 100",
        "doc 10",
    ]
    assert due.explain(capture).due == local_day(archive.clock.now(), SHANGHAI).replace(year=2041)


def test_an_unknown_project_has_no_end(ending, archive):
    """Nothing is stated of what isn't there."""
    with pytest.raises(NotFoundError):
        ending.end("nothing", today(archive), "acceptance", "doc 7", "Li Hua", CLERK)
