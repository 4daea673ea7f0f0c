"""Backoff of reconnects."""

from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.vocabulary import GapCause
from ingest.reconnect import CAP_S, REFUSED_CAP_S, STEADY_S, Backoff

chances = st.floats(0, 1, exclude_max=True)
losses = st.lists(st.floats(0, STEADY_S, exclude_max=True), max_size=40)


def after(media: list[float], cause: GapCause = GapCause.LOST) -> Backoff:
    backoff = Backoff()
    for media_s in media:
        backoff = backoff.after_loss(media_s, cause)
    return backoff


@settings(deadline=None)
@given(losses, chances)
def test_waits_stay_under_the_cap(media: list[float], chance: float) -> None:
    """However long a source is away, its return is noticed within the cap."""
    assert 0 <= after(media).delay_s(chance) <= CAP_S


@settings(deadline=None)
@given(losses, chances)
def test_a_brief_success_does_not_reset(media: list[float], chance: float) -> None:
    """Without a steady stream every loss makes the next wait as long or longer."""
    before = after(media)
    assert before.after_loss(STEADY_S - 1, GapCause.LOST).delay_s(chance) >= before.delay_s(chance)


def test_steady_media_resets() -> None:
    """A source that was fine for a minute is tried again at once."""
    tired = after([0.0] * 20)
    assert tired.delay_s(0) >= CAP_S / 2
    assert tired.after_loss(STEADY_S, GapCause.LOST).delay_s(0.99) < 1


def test_a_refused_password_is_not_tried_every_three_seconds() -> None:
    """Cameras lock out who fails too often; once another cause comes up the short cap holds again."""
    refused = after([0.0] * 20, GapCause.AUTH_FAILED)
    assert CAP_S < refused.delay_s(0) <= refused.delay_s(0.99) <= REFUSED_CAP_S
    assert refused.after_loss(0, GapCause.UNREACHABLE).delay_s(0.99) <= CAP_S


def test_the_first_attempt_does_not_wait() -> None:
    """Nothing failed yet."""
    assert Backoff().delay_s(0.5) == 0
