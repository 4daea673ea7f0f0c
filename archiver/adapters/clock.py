"""The host's clock, and whether its kernel calls it synchronised."""

import ctypes
import os
import time
from datetime import UTC, datetime

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5
_STATUS_AT = 40
_TIMEX_BYTES = 256


class SystemClock:
    """`ports.Clock` of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def ntp_state(self) -> str:
        status = _kernel_status()
        if status is None:
            return "unknown"
        return "unsynchronised" if status & _STA_UNSYNC else "synchronised"


def _kernel_status() -> int | None:
    """`status` of adjtimex(2), None where the kernel can't be asked.

    A struct timex of zeros changes nothing (modes is 0). On 64-bit Linux `status` is an int at byte 40: modes, offset,
    freq, maxerror and esterror, padded to 8 bytes each, lie before it.
    """
    if os.name != "posix" or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
    except (AttributeError, OSError):
        return None
    if state < 0:
        return None
    status = ctypes.c_int.from_buffer(timex, _STATUS_AT).value
    return status | _STA_UNSYNC if state == _TIME_ERROR else status
