"""How a capture moves through its states: one table. What it doesn't have is refused."""

from archiver.errors import StateError
from archiver.vocabulary import CaptureState, EventType

TRANSITIONS: dict[tuple[CaptureState, EventType], CaptureState] = {
    (CaptureState.BOOKED, EventType.CAPTURE_CHANGED): CaptureState.BOOKED,
    (CaptureState.BOOKED, EventType.CAPTURE_CANCELLED): CaptureState.CANCELLED,
    (CaptureState.BOOKED, EventType.CAPTURE_STARTED): CaptureState.RECORDING,
    (CaptureState.RECORDING, EventType.CAPTURE_CHANGED): CaptureState.RECORDING,
    (CaptureState.RECORDING, EventType.CAPTURE_STOPPED): CaptureState.RECORDING,
    (CaptureState.RECORDING, EventType.CAPTURE_ENDED): CaptureState.SEALING,
    (CaptureState.SEALING, EventType.CAPTURE_SEALED): CaptureState.SEALED,
    (CaptureState.SEALED, EventType.CAPTURE_SEALED): CaptureState.SEALED,
}
"""(state, event) -> next state. A later revision of a seal leaves a capture sealed (I13)."""


def after(state: CaptureState, event: EventType) -> CaptureState:
    """The state that `event` leads to; StateError if `state` doesn't allow it."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise StateError(f"a capture that is {state} can't take {event}") from None
