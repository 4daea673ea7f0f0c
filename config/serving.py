"""`archiver serve`: the API and the page on granian, in one process."""

import asyncio
import logging
import signal
import socket
from pathlib import Path

from fastapi import FastAPI
from granian.constants import Interfaces
from granian.server.embed import Server

from archiver.errors import UnavailableError

log = logging.getLogger(__name__)
ADDRESS_FILE = "api"


def usable_port(host: str, port: int) -> int:
    """`port` of `host`, or for 0 one that nothing listens on at this moment. UnavailableError if it can't be had: the
    server itself would end in a panic.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise UnavailableError(f"can't listen on {address(host, port)}: {reason}; set api.listen") from None
        return int(probe.getsockname()[1])


def address(host: str, port: int) -> str:
    """The page's address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: FastAPI, host: str, port: int, home: Path) -> int:
    """Until SIGTERM or SIGINT. Port 0 takes a free one; the address stands in `<home>/api` meanwhile."""
    port = usable_port(host, port)
    note = home / ADDRESS_FILE
    note.write_text(address(host, port) + "\n", encoding="utf-8")
    try:
        asyncio.run(_serve(app, host, port))
    finally:
        note.unlink(missing_ok=True)
    return 0


async def _serve(app: FastAPI, host: str, port: int) -> None:
    server = Server(app, address=host, port=port, interface=Interfaces.ASGI, log_enabled=False, websockets=False)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    log.info("listening on %s", address(host, port))
    await server.serve()
