"""Evidence rule 8: a reopened complaint suspends eligibility."""

from datetime import UTC, date, datetime

from retention.policy import decide
from tests.retention_records import SHANGHAI, end, record

LONG_AFTER = datetime(2060, 1, 1, tzinfo=UTC)


def test_an_open_complaint_suspends_eligibility_and_says_so():
    """The date stays; only eligibility is suspended."""
    ended = record(end=end(date(2027, 3, 1)))
    suspended = record(end=end(date(2027, 3, 1)), complaint_open=True)
    assert decide(ended, LONG_AFTER, SHANGHAI).eligible
    keeping = decide(suspended, LONG_AFTER, SHANGHAI)
    assert not keeping.eligible
    assert keeping.due == date(2042, 3, 1)
    assert "a complaint is open" in keeping.reason.en
    assert "投诉处理期间不得销毁" in keeping.reason.zh
