"""Bits of a NAL unit's payload (H.264 section 7.2, H.265 section 7.2)."""

from archiver.errors import MediaError

MAX_SYNTAX_BYTES = 4096
"""No parameter set is longer; what follows isn't read."""


class Bits:
    """Reads fields from the front of a NAL unit's payload, without its emulation prevention bytes."""

    def __init__(self, payload: bytes) -> None:
        clean = payload[:MAX_SYNTAX_BYTES].replace(b"\0\0\3", b"\0\0")
        self._value = int.from_bytes(clean, "big")
        self._left = 8 * len(clean)

    def read(self, count: int) -> int:
        """An unsigned number of `count` bits. Raises MediaError at the end."""
        if count > self._left:
            raise MediaError("a parameter set ends too early")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def flag(self) -> bool:
        return self.read(1) == 1

    def skip(self, count: int) -> None:
        self.read(count)

    def unsigned(self) -> int:
        """ue(v), section 9.1 (H.264), 9.2 (H.265)."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > 32:
                raise MediaError("a parameter set holds a number beyond 32 bits")
        return (1 << zeros) - 1 + self.read(zeros)

    def signed(self) -> int:
        """se(v)."""
        number = self.unsigned()
        return (number + 1) // 2 if number % 2 else -(number // 2)
