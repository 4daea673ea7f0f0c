"""RTSP 1.0 messages (RFC 2326): requests read, responses and descriptions written."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archiver.errors import InputError
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.loops import SAMPLE_RATE, AudioLoop, VideoLoop

HEAD_MAX_BYTES = 16_384
BODY_MAX_BYTES = 65_536
VIDEO_TYPE = 96
AUDIO_TYPE = {AudioCodec.AAC: 97, AudioCodec.PCMU: 0}
VIDEO_CLOCK = 90_000
METHODS = ("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "GET_PARAMETER", "SET_PARAMETER", "TEARDOWN")
REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    461: "Unsupported Transport",
    503: "Service Unavailable",
}
_REQUEST_LINE = re.compile(r"([A-Z_]{1,32}) (rtsps?://[!-~]{1,2048}|\*) RTSP/1\.0")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}):[ \t]*(.*?)[ \t]*")
_INTERLEAVED = re.compile(r"interleaved=([0-9]{1,3})-([0-9]{1,3})")


class RequestError(InputError):
    """Bytes that are no RTSP request, or one that is refused: `status` is the answer."""

    code = "RTSP_REQUEST"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class RtspRequest:
    """One request; names of headers are in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]

    @property
    def cseq(self) -> str:
        """Its number, which the response repeats."""
        return self.headers["cseq"]

    @property
    def body_bytes(self) -> int:
        """Length of the body that follows the head."""
        return int(self.headers.get("content-length", "0"))


def parse_request(head: bytes) -> RtspRequest:
    """A request from its head (up to the empty line); RequestError (400) for anything else."""
    try:
        first, *lines = head.decode("ascii").rstrip("\r\n").split("\r\n")
    except UnicodeDecodeError as error:
        raise RequestError(400, "a request that isn't ASCII") from error
    line = _REQUEST_LINE.fullmatch(first)
    pairs = [_HEADER.fullmatch(text) for text in lines]
    if line is None or any(pair is None for pair in pairs):
        raise RequestError(400, f"no RTSP request: {first[:80]!r}")
    headers = {pair[1].lower(): pair[2] for pair in pairs if pair}
    if not re.fullmatch(r"[0-9]{1,10}", headers.get("cseq", "")):
        raise RequestError(400, "a request without a CSeq")
    length = headers.get("content-length", "0")
    if not re.fullmatch(r"[0-9]{1,6}", length) or int(length) > BODY_MAX_BYTES:
        raise RequestError(400, f"a body of {length[:20]} bytes")
    return RtspRequest(line[1], line[2], headers)


def interleaved_channel(transport: str) -> int:
    """The channel that a client's Transport header offers for RTP over TCP (section 10.12).

    Raises RequestError (461) where it offers none.
    """
    for offer in transport.split(","):
        match = _INTERLEAVED.search(offer)
        if "TCP" in offer.upper() and (match is None or int(match[1]) < 255):
            return int(match[1]) if match else 0
    raise RequestError(461, "only RTP over the RTSP connection (TCP, interleaved) is served")


def response(status: int, cseq: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
    """The bytes of a response."""
    lines = [f"RTSP/1.0 {status} {REASONS[status]}", f"CSeq: {cseq}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def description(name: str, video: VideoLoop | None, audio: AudioLoop | None, *, sprop: bool = True) -> bytes:
    """Session description (RFC 4566); `sprop` gives the parameter sets in it."""
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", f"s={name}", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*"]
    lines += ["a=range:npt=now-"]
    if video:
        lines += _video_lines(video, sprop)
    if audio:
        lines += _audio_lines(audio)
    return "\r\n".join([*lines, ""]).encode("ascii")


def _video_lines(loop: VideoLoop, sprop: bool) -> list[str]:
    codec = loop.picture.codec
    name = "H264" if codec is VideoCodec.H264 else "H265"
    parameters = _h264_parameters(loop.parameter_sets, sprop) if name == "H264" else ""
    if name == "H265" and sprop:
        sets = zip(("vps", "sps", "pps"), _base64(loop.parameter_sets), strict=True)
        parameters = ";".join(f"sprop-{kind}={text}" for kind, text in sets)
    lines = [f"m=video 0 RTP/AVP {VIDEO_TYPE}", f"a=rtpmap:{VIDEO_TYPE} {name}/{VIDEO_CLOCK}"]
    lines += [f"a=fmtp:{VIDEO_TYPE} {parameters}"] if parameters else []
    return [*lines, f"a=framerate:{loop.picture.fps}", "a=control:track0"]


def _h264_parameters(parameter_sets: Sequence[bytes], sprop: bool) -> str:
    """RFC 6184 section 8.1."""
    if not sprop:
        return "packetization-mode=1"
    level = parameter_sets[0][1:4].hex().upper()
    sets = ",".join(_base64(parameter_sets))
    return f"packetization-mode=1;profile-level-id={level};sprop-parameter-sets={sets}"


def _audio_lines(loop: AudioLoop) -> list[str]:
    codec = loop.sound.codec
    kind, rate = AUDIO_TYPE[codec], SAMPLE_RATE[codec]
    if codec is AudioCodec.PCMU:
        return [f"m=audio 0 RTP/AVP {kind}", f"a=rtpmap:{kind} PCMU/{rate}", "a=control:track1"]
    mode = "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3"
    return [
        f"m=audio 0 RTP/AVP {kind}",
        f"a=rtpmap:{kind} MPEG4-GENERIC/{rate}/1",
        f"a=fmtp:{kind} {mode};config={loop.config.hex().upper()}",
        "a=control:track1",
    ]


def _base64(blocks: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(block).decode("ascii") for block in blocks]
