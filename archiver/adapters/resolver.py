"""Host names to addresses, by the system's resolver."""

import socket
from collections.abc import Sequence


def resolve(host: str) -> Sequence[str]:
    """Every literal address of `host`; none if it has none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        return []
    return sorted({str(entry[4][0]) for entry in found})
