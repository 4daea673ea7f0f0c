"""Evidence rule 5: the longest of the legal minimum and every policy ever bound decides."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.errors import InputError
from retention.policy import MINIMUM_YEARS, check_years, decide, governing_years
from tests.retention_records import SHANGHAI, end, policy, record, year_counts

NOW = datetime(2027, 6, 1, tzinfo=UTC)


@given(st.lists(year_counts))
def test_the_longest_policy_decides(years):
    """Never less than fifteen years."""
    assert governing_years(policy(count) for count in years) == max([15, *years])


def test_the_date_and_its_reason_follow_the_longest_policy():
    """The reason names that policy's basis and the document of the end."""
    keeping = decide(record(policies=(policy(20), policy(30)), end=end(date(2027, 3, 1))), NOW, SHANGHAI)
    assert keeping.due == date(2057, 3, 1)
    assert "rule of 30 years asks for 30 years" in keeping.reason.en
    assert "doc 7" in keeping.reason.en
    assert "须保存30年" in keeping.reason.zh


@given(st.integers(-100, MINIMUM_YEARS - 1) | st.integers(101, 10000))
def test_nothing_configures_less_than_fifteen_years(years):
    """Nor a lock so long that it can only be a slip."""
    with pytest.raises(InputError) as refused:
        check_years(years)
    assert "years" in refused.value.errors
