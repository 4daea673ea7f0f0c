"""Evidence rule 6: nothing lowers an effective date."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from retention.policy import decide, ever_bound, governing_years
from tests.retention_records import SHANGHAI, days, end, moments, policy, record, records

BOUND = datetime(2027, 1, 1, tzinfo=UTC)
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@given(records, moments)
def test_no_fact_lowers_a_bound_date(facts, now):
    """Neither an end in the past, a shorter policy, nor a clock that went back."""
    until = decide(facts, now, SHANGHAI).until
    assert facts.bound is None or until >= facts.bound


@given(days, st.lists(days, min_size=1))
def test_a_corrected_end_only_extends(first, corrections):
    """Each correction is decided on top of what was bound before."""
    until = decide(record(end=end(first)), NOW, SHANGHAI).until
    for day in corrections:
        later = decide(record(bound=until, end=end(day)), NOW, SHANGHAI).until
        assert later >= until
        until = later


def test_a_shorter_policy_applies_only_to_records_bound_after_it():
    """The next version asks for 15 years where the first asked for 30."""
    versions = [policy(30), policy(15, version=2, since=datetime(2028, 1, 1, tzinfo=UTC))]
    assert governing_years(ever_bound(versions, BOUND, NOW)) == 30
    assert governing_years(ever_bound(versions, NOW, NOW)) == 15


def test_a_longer_policy_extends_all():
    """Also records bound before it."""
    versions = [policy(15), policy(30, version=2, since=datetime(2028, 1, 1, tzinfo=UTC))]
    bound = ever_bound(versions, BOUND, NOW)
    assert governing_years(bound) == 30
    assert decide(record(policies=bound, end=end(date(2027, 3, 1))), NOW, SHANGHAI).due == date(2057, 3, 1)


def test_a_policy_that_has_not_taken_effect_binds_nothing():
    """Its day comes later."""
    tomorrow = policy(30, since=NOW + timedelta(days=1))
    assert ever_bound([tomorrow], BOUND, NOW) == ()


def test_the_reason_says_that_the_date_was_kept():
    """When the end would allow an earlier day than the lock already has."""
    keeping = decide(record(bound=datetime(2060, 1, 1, tzinfo=UTC), end=end(date(2027, 3, 1))), NOW, SHANGHAI)
    assert keeping.due == date(2060, 1, 1)
    assert "never lowered" in keeping.reason.en
