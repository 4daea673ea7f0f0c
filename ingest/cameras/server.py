"""RTSP server of one virtual camera (RFC 2326): RTP over TCP, interleaved, with digest authentication."""

import asyncio
import re
import secrets
import socket
import ssl
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from archiver.errors import InputError
from ingest.cameras import digest
from ingest.cameras.camera import Camera
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.faults import Fault, FaultKind, Request, parse_query
from ingest.cameras.loops import SAMPLE_RATE, Loops
from ingest.cameras.protocol import (
    AUDIO_TYPE,
    HEAD_MAX_BYTES,
    METHODS,
    VIDEO_CLOCK,
    VIDEO_TYPE,
    RequestError,
    RtspRequest,
    description,
    interleaved_channel,
    parse_request,
    response,
)
from ingest.cameras.rtp import Sender
from ingest.cameras.stream import Stream

_TRACK = re.compile(r"/track([01])/?$")
_IDLE_S = 120.0  # a client that sends nothing for so long before PLAY is gone
_OPEN_METHODS = ("OPTIONS",)


class CameraServer:
    """Listens for one camera. The port stays its own while the camera refuses connections."""

    def __init__(
        self,
        camera: Camera,
        loops: Loops,
        login: digest.Login | None,
        clock: Callable[[], int],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.camera = camera
        self.loops = loops
        self.login = login
        self.clock = clock
        self.port = 0
        self._tls = tls
        self._host = ""
        self._holder: socket.socket | None = None
        self._listener: asyncio.Server | None = None
        self._connections: set[Connection] = set()

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

    def refuse(self) -> None:
        """Ends every connection and accepts none until `listen`."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.drop()

    def drop(self) -> None:
        """Ends every connection at once, as a pulled cable's camera does when it is back."""
        for connection in list(self._connections):
            connection.abort()

    async def stop(self) -> None:
        """Ends every connection and gives the port back."""
        self.refuse()
        ending = [connection.task for connection in self._connections]
        await asyncio.gather(*ending, return_exceptions=True)
        if self._holder is not None:
            self._holder.close()
            self._holder = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 start_server runs this in a task
        connection = Connection(self, reader, writer, task)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)


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


class Connection:
    """One client: DESCRIBE, SETUP of one or two tracks, PLAY; then its stream until it goes."""

    def __init__(
        self,
        server: CameraServer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        task: "asyncio.Task[None]",
    ) -> None:
        self.task = task
        self._server = server
        self._camera = server.camera
        self._reader = reader
        self._writer = writer
        self._nonce = digest.new_nonce()
        self._session = secrets.token_hex(8)
        self._requests: tuple[Request, ...] = ()
        self._senders: dict[int, Sender] = {}
        self._streaming: asyncio.Task[None] | None = None

    def abort(self) -> None:
        """Ends the connection without a word."""
        self._writer.transport.abort()

    async def run(self) -> None:
        """Answers requests until the client goes."""
        try:
            while await self._answer_next():
                pass
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            pass  # the client is gone, silent, or speaks no RTSP: nothing is owed to it
        finally:
            await self._end()

    async def _end(self) -> None:
        if self._streaming is not None:
            self._streaming.cancel()
            await asyncio.gather(self._streaming, return_exceptions=True)
        self._writer.close()

    async def _answer_next(self) -> bool:
        """Reads one request or one packet from the client; false when that was the last."""
        limit = None if self._streaming else _IDLE_S
        async with asyncio.timeout(limit):
            first = await self._reader.readexactly(1)
            if first == b"$":
                await self._skip_packet()
                return True
            head = first + await self._reader.readuntil(b"\r\n\r\n")
        try:
            request = parse_request(head)
            await self._reader.readexactly(request.body_bytes)
        except RequestError as error:
            self._writer.write(response(error.status, "0"))
            await self._writer.drain()
            return False
        self._writer.write(await self._answer(request))
        if request.method == "PLAY" and self._senders and self._streaming is None:
            self._play()
        return request.method != "TEARDOWN"

    async def _skip_packet(self) -> None:
        header = await self._reader.readexactly(3)
        await self._reader.readexactly(int.from_bytes(header[1:], "big"))

    async def _answer(self, request: RtspRequest) -> bytes:
        try:
            self._check(request)
            headers, body = await self._handle(request)
        except RequestError as error:
            extra = {"WWW-Authenticate": digest.challenge(self._nonce)} if error.status == 401 else None
            return response(error.status, request.cseq, extra)
        return response(200, request.cseq, headers, body)

    def _check(self, request: RtspRequest) -> None:
        if request.method not in METHODS:
            raise RequestError(405, f"{request.method} is not served")
        login = self._server.login
        if login is None or request.method in _OPEN_METHODS:
            return
        header = request.headers.get("authorization", "")
        if not digest.accepts(header, login, self._nonce, request.method, request.url):
            raise RequestError(401, "not authorised")

    async def _handle(self, request: RtspRequest) -> tuple[dict[str, str], bytes]:
        match request.method:
            case "DESCRIBE":
                return await self._describe(request)
            case "SETUP":
                return self._set_up(request), b""
            case "PLAY":
                return self._playing(request), b""
            case "OPTIONS":
                return {"Public": ", ".join(METHODS)}, b""
        return {"Session": self._session}, b""

    async def _describe(self, request: RtspRequest) -> tuple[dict[str, str], bytes]:
        parts = _split(request.url)
        if parts.path.strip("/") != self._camera.name:
            raise RequestError(404, "no such camera")
        try:
            self._requests = parse_query(parts.query)
        except InputError as error:
            raise RequestError(400, error.message) from error
        kinds = {asked.kind for asked in self._requests}
        if FaultKind.REFUSE in kinds:
            raise RequestError(503, "refused, as the address asks")
        loops = self._server.loops
        await loops.prepare(*self._camera.loops_for(self._requests))
        body = self._description(kinds)
        return {"Content-Base": f"{parts.scheme}://{parts.netloc}/{self._camera.name}/"}, body

    def _description(self, kinds: set[FaultKind]) -> bytes:
        loops, camera, now_us = self._server.loops, self._camera, self._server.clock()
        faults = [*camera.faults, *self._begun(now_us)]
        has_video = camera.picture.codec is not VideoCodec.NONE
        video = loops.video(camera.picture_at(now_us, faults)) if has_video else None
        audio = loops.audio(camera.sound) if camera.sound.codec is not AudioCodec.NONE else None
        shown = {fault.kind for fault in faults if fault.active(now_us)}
        return description(camera.name, video, audio, sprop=FaultKind.NO_SPROP not in shown)

    def _begun(self, now_us: int) -> list[Fault]:
        return [asked.begin(now_us) for asked in self._requests]

    def _set_up(self, request: RtspRequest) -> dict[str, str]:
        match = _TRACK.search(request.url)
        track = int(match[1]) if match else -1
        kinds = self._tracks()
        if track not in kinds:
            raise RequestError(404, "no such track")
        if self._streaming is not None:
            raise RequestError(455, "the stream is playing")
        channel = interleaved_channel(request.headers.get("transport", ""))
        payload_type, clock_rate = kinds[track]
        sender = Sender(
            channel,
            payload_type,
            clock_rate,
            ssrc=secrets.randbits(32),
            first_timestamp=secrets.randbits(32),
            sequence=secrets.randbits(16),
            cname=self._camera.name,
        )
        self._senders[track] = sender
        transport = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1};ssrc={sender.ssrc:08X}"
        return {"Transport": transport, "Session": f"{self._session};timeout=60"}

    def _tracks(self) -> dict[int, tuple[int, int]]:
        """Payload type and clock rate by track."""
        tracks = {}
        if self._camera.picture.codec is not VideoCodec.NONE:
            tracks[0] = (VIDEO_TYPE, VIDEO_CLOCK)
        codec = self._camera.sound.codec
        if codec is not AudioCodec.NONE:
            tracks[1] = (AUDIO_TYPE[codec], SAMPLE_RATE[codec])
        return tracks

    def _playing(self, request: RtspRequest) -> dict[str, str]:
        """RTP-Info gives both tracks' timestamps of one moment (RFC 2326 section 12.33)."""
        if not self._senders:
            raise RequestError(455, "nothing was set up")
        if not request.headers.get("session", "").startswith(self._session):
            raise RequestError(454, "no such session")
        elapsed_us = self._server.clock() - self._camera.start_us
        parts = _split(request.url)
        base = f"{parts.scheme}://{parts.netloc}/{self._camera.name}"
        info = ",".join(
            f"url={base}/track{track};seq={sender.sequence}"
            f";rtptime={sender.timestamp(elapsed_us * sender.clock_rate // 1_000_000)}"
            for track, sender in self._senders.items()
        )
        return {"Session": self._session, "Range": "npt=0.000-", "RTP-Info": info}

    def _play(self) -> None:
        stream = Stream(
            self._camera,
            self._server.loops,
            self._begun(self._server.clock()),
            self._writer.transport,
            self._server.clock,
            video=self._senders.get(0),
            audio=self._senders.get(1),
        )
        self._streaming = asyncio.create_task(stream.run())


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise RequestError(400, "no address") from error
