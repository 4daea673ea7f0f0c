"""The process's heap, as glibc keeps it."""

import ctypes
from contextlib import suppress

KEPT_BYTES = 8 * 2**20
_LARGEST_BYTES = 16 * 2**20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_freed() -> None:
    """Keep what is freed, up to `KEPT_BYTES`, for the next allocations (mallopt(3)).

    A fragment's buffer would otherwise go back to the kernel and come again as new, cleared pages, once for each
    fragment. A C library without mallopt is left as it is.
    """
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGEST_BYTES)
