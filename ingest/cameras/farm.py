"""A farm of virtual cameras in one event loop, for tests, benchmarks and the demo."""

import asyncio
import os
import secrets
import ssl
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from archiver.errors import InputError, NotFoundError
from ingest.adapters.ffmpeg import find_ffmpeg
from ingest.cameras.camera import Camera
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.digest import Login
from ingest.cameras.faults import FaultKind, Request
from ingest.cameras.loops import Loops, Picture, Sound, cache_folder
from ingest.cameras.server import CameraServer

MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """A camera to run: `video` and `audio` name its codecs, `picture` the loop's other parameters."""

    name: str
    video: VideoCodec = VideoCodec.H264
    audio: AudioCodec = AudioCodec.AAC
    picture: Picture | None = None

    def wanted_picture(self) -> Picture:
        """The loop that it shows."""
        return replace(self.picture, codec=self.video) if self.picture else Picture(self.video)


@dataclass(frozen=True, slots=True)
class FarmOptions:
    """Where and how the cameras listen: `port` is the first camera's, the next have the following ones, and
    with 0 each takes a free one. `login` None asks for no password. A certificate makes it RTSPS.
    """

    host: str = "127.0.0.1"
    port: int = 0
    login: Login | None = field(default_factory=lambda: Login("viewer", secrets.token_urlsafe(9)))
    certificate: Path | None = None
    key: Path | None = None
    ffmpeg: str | None = None
    cache: Path | None = None


class CameraClock:
    """UTC microseconds that never step: read once from the host, then counted by the monotonic clock."""

    def __init__(self) -> None:
        self._offset_us = time.time_ns() // 1000 - time.monotonic_ns() // 1000

    def __call__(self) -> int:
        return self._offset_us + time.monotonic_ns() // 1000


class Farm:
    """Runs cameras while its context lasts.

    Raises OSError when a port is taken, ProgramError or MediaError when a loop can't be made.
    """

    def __init__(self, cameras: list[CameraSpec], options: FarmOptions | None = None) -> None:
        self._options = options or FarmOptions()
        self._clock = CameraClock()
        self._loops = Loops(self._options.cache or cache_folder(os.environ), find_ffmpeg(self._options.ffmpeg))
        self._servers = {spec.name: self._server(spec, i, len(cameras)) for i, spec in enumerate(cameras)}
        if len(self._servers) != len(cameras):
            raise InputError("two cameras have one name")
        self._cuts: dict[asyncio.Task[None], CameraServer] = {}

    @property
    def urls(self) -> dict[str, str]:
        """Address of each camera by name, with the login in it."""
        return {name: server.url for name, server in self._servers.items()}

    def accepted(self, camera: str) -> int:
        """How many connections a camera has had until now. Raises NotFoundError for a name that isn't there."""
        return self._find(camera).accepted

    def now_us(self) -> int:
        """The cameras' own time: what their marks tell (UTC, microseconds)."""
        return self._clock()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Ends every connection and gives the ports back."""
        for cut in self._cuts:
            cut.cancel()
        await asyncio.gather(*self._cuts, return_exceptions=True)
        for server in self._servers.values():
            await server.stop()

    async def fault(
        self,
        camera: str,
        kind: FaultKind,
        *,
        value: float = 0.0,
        after_s: float = 0.0,
        seconds: float | None = None,
    ) -> None:
        """Lets a fault begin `after_s` seconds from now, for `seconds` (None: for good).

        Returns once it is under way or planned: loops that it needs are encoded before. NotFoundError for a
        name that no camera has.
        """
        server = self._find(camera)
        asked = Request(kind, value, after_s, seconds)
        if kind in (FaultKind.REFUSE, FaultKind.DROP):
            self._plan(server, _cut(server, asked))
            await asyncio.sleep(0)  # so that a cut at once is made when this returns
            return
        await server.prepare(asked)
        server.camera.faults.append(asked.begin(self._clock()))

    async def mend(self, camera: str) -> None:
        """Ends every fault that `fault` began or planned."""
        server = self._find(camera)
        server.camera.faults.clear()
        for cut, cut_off in self._cuts.items():
            if cut_off is server:
                cut.cancel()
        await server.listen()

    def _find(self, camera: str) -> CameraServer:
        if camera not in self._servers:
            raise NotFoundError(f"no camera {camera!r}: there are {', '.join(self._servers)}")
        return self._servers[camera]

    async def _start(self) -> None:
        for server in self._servers.values():
            await self._loops.prepare(*server.camera.loops_for(()))
        for index, server in enumerate(self._servers.values()):
            port = self._options.port + index if self._options.port else 0
            await server.start(self._options.host, port)

    def _server(self, spec: CameraSpec, index: int, count: int) -> CameraServer:
        picture = spec.wanted_picture()
        phase_us = 1_000_000 // picture.fps * index // count  # so that they don't all send at once
        minute_us = self._clock() // MINUTE_US * MINUTE_US
        camera = Camera(spec.name, picture, Sound(spec.audio), minute_us + phase_us)
        return CameraServer(camera, self._loops, self._options.login, self._clock, self._tls())

    def _tls(self) -> ssl.SSLContext | None:
        if self._options.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._options.certificate, self._options.key)
        return context

    def _plan(self, server: CameraServer, cut: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(cut)
        self._cuts[task] = server
        task.add_done_callback(self._cuts.pop)


async def _cut(server: CameraServer, asked: Request) -> None:
    if asked.after_s:
        await asyncio.sleep(asked.after_s)
    if asked.kind is FaultKind.DROP:
        server.drop()
        return
    server.refuse()
    if asked.seconds is not None:
        await asyncio.sleep(asked.seconds)
        await server.listen()
