"""The listener of one virtual camera: RTSP, or RTSPS with a certificate."""

import asyncio
import socket
import ssl
from collections.abc import Callable

from ingest.cameras.camera import Camera
from ingest.cameras.connection import Connection
from ingest.cameras.digest import Login
from ingest.cameras.faults import Request
from ingest.cameras.loops import Loops
from ingest.cameras.protocol import HEAD_MAX_BYTES


class CameraServer:
    """Listens for one camera. The port stays its own while the camera refuses connections."""

    def __init__(
        self,
        camera: Camera,
        loops: Loops,
        login: Login | None,
        clock: Callable[[], int],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.camera = camera
        self.loops = loops
        self.login = login
        self.clock = clock
        self.port = 0
        self.accepted = 0
        self._tls = tls
        self._host = ""
        self._holder: socket.socket | None = None
        self._listener: asyncio.Server | None = None
        self._connections: dict[Connection, asyncio.Task[None]] = {}

    @property
    def url(self) -> str:
        """Its address, with the login in it."""
        scheme = "rtsps" if self._tls else "rtsp"
        login = f"{self.login.user}:{self.login.password}@" if self.login else ""
        return f"{scheme}://{login}{self._host}:{self.port}/{self.camera.name}"

    async def start(self, host: str, port: int) -> None:
        """Takes the port (0: a free one) and listens; OSError when it is taken."""
        self._host = host
        self._holder = _bound(host, port)
        self.port = self._holder.getsockname()[1]
        await self.listen()

    async def listen(self) -> None:
        """Accepts connections (again)."""
        if self._listener is None:
            listening = _bound(self._host, self.port)
            self._listener = await asyncio.start_server(
                self._serve, sock=listening, ssl=self._tls, limit=HEAD_MAX_BYTES
            )

    async def prepare(self, asked: Request) -> None:
        """Makes every loop ready that a fault needs, also beside those that clients ask for by address."""
        by_address = [request for connection in self._connections for request in connection.requests]
        await self.loops.prepare(*self.camera.loops_for([*by_address, asked]))

    def refuse(self) -> None:
        """Ends every connection and accepts none until `listen`."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.drop()

    def drop(self) -> None:
        """Ends every connection at once; clients may come again."""
        for connection in self._connections:
            connection.abort()

    async def stop(self) -> None:
        """Ends every connection and gives the port back."""
        self.refuse()
        while self._connections:
            await asyncio.wait(list(self._connections.values()))
        if self._holder is not None:
            self._holder.close()
            self._holder = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 start_server runs this in a task
        connection = Connection(self.camera, self.loops, self.login, self.clock, reader, writer)
        self._connections[connection] = task
        self.accepted += 1
        try:
            await connection.run()
        finally:
            del self._connections[connection]


def _bound(host: str, port: int) -> socket.socket:
    """A bound socket. Several may be bound to one port as long as one of them listens: that keeps the port."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
