"""The API of a test archive behind the real server."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from granian.constants import Interfaces
from granian.server.embed import Server

from tests.api_rig import open_api
from tests.archive_rig import Archive

DEADLINE_S = 10


@contextmanager
def serving(archive: Archive) -> Iterator[tuple[str, str]]:
    """Its address and an administrator's token. Granian runs in a thread of the test."""
    api = open_api(archive.home, archive.clock)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = {"address": "127.0.0.1", "port": port, "interface": Interfaces.ASGI}
    server = Server(api.app, **where, log_enabled=False, websockets=False)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve()))
    thread.start()
    try:
        _wait(port)
        yield f"http://127.0.0.1:{port}", api.token
    finally:
        loop.call_soon_threadsafe(server.stop)
        thread.join(DEADLINE_S)
        loop.close()
        api.archive.close()


def _wait(port: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
