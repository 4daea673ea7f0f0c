"""How long a spool lasts: the loud alarm before a disk is full (I5). Pure."""

from collections.abc import Iterable
from datetime import datetime

from archiver.timeline import Interval

RESERVE_BYTES = 512 * 2**20
"""Left for the catalogue and for closing what is open."""


def seconds_left(free_bytes: int, bytes_per_second: float) -> float:
    """For how long recording at that rate fits on the disk, without any deposit meanwhile; infinite at rate 0."""
    usable = max(free_bytes - RESERVE_BYTES, 0)
    return usable / bytes_per_second if bytes_per_second > 0 else float("inf")


def missing_bytes(free_bytes: int, now: datetime, planned: Iterable[tuple[Interval, float]]) -> int:
    """How many bytes are lacking to record everything planned, each a span and its bytes per second, if nothing can be
    deposited meanwhile; 0 when it fits."""
    needed = sum((span.end - max(span.start, now)).total_seconds() * rate for span, rate in planned if span.end > now)
    return max(round(needed) + RESERVE_BYTES - free_bytes, 0)
