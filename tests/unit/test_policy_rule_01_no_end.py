"""Evidence rule 1: no end event, no disposal date."""

from datetime import UTC, datetime

from hypothesis import given

from retention.policy import decide
from tests.retention_records import SHANGHAI, moments, record, records


@given(records.filter(lambda record: record.end is None), moments)
def test_without_an_end_event_there_is_no_due_date_and_nothing_is_ever_eligible(facts, now):
    """Whatever was bound and however late it is."""
    keeping = decide(facts, now, SHANGHAI)
    assert keeping.due is None
    assert not keeping.eligible


def test_the_reason_says_that_the_procurement_has_not_ended():
    """In both languages, with the day."""
    keeping = decide(record(), datetime(2026, 11, 23, tzinfo=UTC), SHANGHAI)
    assert keeping.reason.en.startswith("kept until 2041-11-23 because the procurement has not ended")
    assert keeping.reason.zh.startswith("保存至2041-11-23,因为采购活动尚未结束")
