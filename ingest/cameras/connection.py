"""One client of a virtual camera: its RTSP requests answered, then its stream (RFC 2326)."""

import asyncio
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from archiver.errors import InputError, MediaError, ProgramError
from ingest.cameras import digest
from ingest.cameras.camera import Camera
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.faults import Fault, FaultKind, Request, parse_query
from ingest.cameras.loops import SAMPLE_RATE, Loops
from ingest.cameras.protocol import (
    AUDIO_TYPE,
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


class Connection:
    """One client: DESCRIBE, SETUP of one or two tracks, PLAY; then its stream until it goes."""

    def __init__(
        self,
        camera: Camera,
        loops: Loops,
        login: digest.Login | None,
        clock: Callable[[], int],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.requests: tuple[Request, ...] = ()
        self._camera = camera
        self._loops = loops
        self._login = login
        self._clock = clock
        self._reader = reader
        self._writer = writer
        self._nonce = digest.new_nonce()
        self._session = secrets.token_hex(8)
        self._senders: dict[int, Sender] = {}
        self._streaming: asyncio.Task[None] | None = None
        self._may_play = False
        self._torn_down = False

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
            with suppress(asyncio.CancelledError):
                await self._streaming
        self._writer.close()

    async def _answer_next(self) -> bool:
        """Answers one request; false when that was the last."""
        try:
            async with asyncio.timeout(None if self._streaming else _IDLE_S):
                request = await self._next_request()
        except RequestError as error:
            self._writer.write(response(error.status, "0"))
            return False
        self._writer.write(await self._answer(request))
        if self._may_play and self._streaming is None:
            self._play()
        return not self._torn_down

    async def _next_request(self) -> RtspRequest:
        """The next request; packets from the client (receiver reports) are passed over."""
        while (first := await self._reader.readexactly(1)) == b"$":
            await self._skip_packet()
        request = parse_request(first + await self._reader.readuntil(b"\r\n\r\n"))
        await self._reader.readexactly(request.body_bytes)
        return request

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
        login = self._login
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
            case "TEARDOWN":
                self._torn_down = True
        return {"Session": self._session}, b""

    async def _describe(self, request: RtspRequest) -> tuple[dict[str, str], bytes]:
        parts = _split(request.url)
        if parts.path.strip("/") != self._camera.name:
            raise RequestError(404, "no such camera")
        try:
            self.requests = parse_query(parts.query)
        except InputError as error:
            raise RequestError(400, error.message) from error
        if any(asked.kind is FaultKind.REFUSE for asked in self.requests):
            raise RequestError(503, "refused, as the address asks")
        await self._prepare()
        body = self._description()
        return {"Content-Base": f"{parts.scheme}://{parts.netloc}/{self._camera.name}/"}, body

    async def _prepare(self) -> None:
        try:
            await self._loops.prepare(*self._camera.loops_for(self.requests))
        except (MediaError, ProgramError) as error:
            raise RequestError(503, error.message) from error

    def _description(self) -> bytes:
        loops, camera, now_us = self._loops, self._camera, self._clock()
        faults = [*camera.faults, *self._begun(now_us)]
        has_video = camera.picture.codec is not VideoCodec.NONE
        video = loops.video(camera.picture_at(now_us, faults)) if has_video else None
        audio = loops.audio(camera.sound) if camera.sound.codec is not AudioCodec.NONE else None
        shown = {fault.kind for fault in faults if fault.active(now_us)}
        return description(camera.name, video, audio, sprop=FaultKind.NO_SPROP not in shown)

    def _begun(self, now_us: int) -> list[Fault]:
        return [asked.begin(now_us) for asked in self.requests]

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
        self._may_play = True
        elapsed_us = self._clock() - self._camera.start_us
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
            self._loops,
            self._begun(self._clock()),
            self._writer.transport,
            self._clock,
            video=self._senders.get(0),
            audio=self._senders.get(1),
        )
        self._streaming = asyncio.create_task(stream.run())
        self._streaming.add_done_callback(lambda done: None if done.cancelled() else self.abort())


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise RequestError(400, "no address") from error
