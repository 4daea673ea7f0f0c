"""Identifiers: 26 characters that sort by the time they were made (48 bits of milliseconds, 80 random bits,
Crockford's base 32).
"""

from collections.abc import Callable
from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 26

NewId = Callable[[], str]
"""Makes an identifier; wiring binds it to the clock and the system's randomness."""


def make_id(now: datetime, randomness: bytes) -> str:
    """The identifier of `now` (aware UTC) and 10 random bytes."""
    if now.tzinfo is None or len(randomness) != 10:
        raise ValueError("an identifier needs an aware time and 10 random bytes")
    number = int(now.timestamp() * 1000) << 80 | int.from_bytes(randomness, "big")
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_LENGTH)))


def is_id(text: str) -> bool:
    """Whether `text` has the form of an identifier (so it is safe as one part of a path or key)."""
    return len(text) == _LENGTH and all(character in _ALPHABET for character in text)
