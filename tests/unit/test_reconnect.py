"""Backoff of reconnects."""

from hypothesis import given
from hypothesis import strategies as st

from archiver.vocabulary import GapCause
from ingest.reconnect import CAP_S, STEADY_S, Backoff

chances = st.floats(0, 1, exclude_max=True)
losses = st.lists(st.tuples(st.floats(0, STEADY_S, exclude_max=True), st.sampled_from(GapCause)), max_size=40)


def after(events: list[tuple[float, GapCause]]) -> Backoff:
    backoff = Backoff()
    for media_s, cause in events:
        backoff = backoff.after_loss(media_s, cause)
    return backoff


@given(losses, chances)
def test_waits_stay_under_the_cap(events: list[tuple[float, GapCause]], chance: float) -> None:
    """However long a source is away, its return is noticed within the cap."""
    assert 0 <= after(events).delay_s(chance) <= CAP_S


@given(losses, chances)
def test_a_brief_success_does_not_reset(events: list[tuple[float, GapCause]], chance: float) -> None:
    """Without a steady stream every loss makes the next wait as long or longer."""
    before = after(events)
    assert before.after_loss(STEADY_S - 1, GapCause.LOST).delay_s(chance) >= before.delay_s(chance)


def test_steady_media_resets() -> None:
    """A source that was fine for a minute is tried again at once."""
    tired = after([(0.0, GapCause.LOST)] * 20)
    assert tired.delay_s(0) > 7
    assert tired.after_loss(STEADY_S, GapCause.LOST).delay_s(0.99) < 1


def test_the_first_attempt_does_not_wait() -> None:
    """Nothing failed yet."""
    assert Backoff().delay_s(0.5) == 0


def test_analyses_longer_only_after_a_source_that_answered_without_media() -> None:
    """A camera that was unreachable is started as fast as ever when it returns."""
    assert after([(0.0, GapCause.UNREACHABLE), (0.0, GapCause.AUTH_FAILED), (5.0, GapCause.LOST)]).attempt == 0
    assert after([(0.0, GapCause.UNKNOWN), (0.0, GapCause.STALLED), (70.0, GapCause.LOST)]).attempt == 2
