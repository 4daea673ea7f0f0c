"""Evidence rule 4: the end is the latest of acceptance, query reply, complaint decision and termination."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from archiver.vocabulary import EndBasis
from retention.policy import project_end
from tests.retention_records import days, end

bases = st.sampled_from(EndBasis)


@given(st.dictionaries(bases, days, min_size=1))
def test_the_latest_of_the_facts_is_the_end(stated):
    """In whatever order they were stated."""
    found = project_end([end(day, basis) for basis, day in stated.items()])
    assert found is not None
    assert found.day == max(stated.values())


def test_only_configured_bases_count():
    """An archive may leave query replies out."""
    stated = [end(date(2027, 1, 1), EndBasis.ACCEPTANCE), end(date(2027, 5, 1), EndBasis.QUERY_REPLY)]
    assert project_end(stated) == stated[1]
    assert project_end(stated, {EndBasis.ACCEPTANCE}) == stated[0]
    assert project_end(stated[1:], {EndBasis.ACCEPTANCE}) is None
