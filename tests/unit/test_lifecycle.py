"""A capture moves only as the one table says."""

from itertools import product

import pytest

from archiver.errors import StateError
from archiver.lifecycle import TRANSITIONS, after
from archiver.vocabulary import CaptureState, EventType


def walk(*events) -> CaptureState:
    state = CaptureState.BOOKED
    for event in events:
        state = after(state, event)
    return state


def test_the_way_of_a_capture():
    """Booked, changed, recorded, extended, stopped, ended, sealed, and sealed again by a later revision (I13)."""
    E = EventType
    assert walk(E.CAPTURE_CHANGED, E.CAPTURE_STARTED, E.CAPTURE_CHANGED, E.CAPTURE_STOPPED) is CaptureState.RECORDING
    assert walk(E.CAPTURE_STARTED, E.CAPTURE_ENDED) is CaptureState.SEALING
    assert walk(E.CAPTURE_STARTED, E.CAPTURE_ENDED, E.CAPTURE_SEALED, E.CAPTURE_SEALED) is CaptureState.SEALED
    assert walk(E.CAPTURE_CANCELLED) is CaptureState.CANCELLED


@pytest.mark.parametrize(("state", "event"), sorted(set(product(CaptureState, EventType)) - set(TRANSITIONS)))
def test_everything_else_is_refused(state, event):
    """What the table doesn't have is a StateError that names both."""
    with pytest.raises(StateError, match=f"{state}.*{event}"):
        after(state, event)


@pytest.mark.parametrize("state", [CaptureState.CANCELLED, CaptureState.DISPOSED])
def test_ends_are_ends(state):
    """Nothing leads out of a cancelled or disposed capture."""
    assert not [event for known, event in TRANSITIONS if known is state]


def test_a_sealed_capture_only_gets_more_seals():
    """A seal is never taken back: recording can't begin again, and nothing but another revision follows."""
    assert [event for state, event in TRANSITIONS if state is CaptureState.SEALED] == [EventType.CAPTURE_SEALED]
