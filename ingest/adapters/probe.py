"""Looks at a source with PyAV. Not for the recorder process, which stays lean: PyAV takes 30 MiB."""

import time

import av
from av.container import InputContainer

from archiver.errors import AddressError, SourceUnavailableError
from archiver.vocabulary import GapCause
from ingest.arguments import PROTOCOLS, RTSP, redacted, scheme, script, start_failure
from ingest.preflight import Seen

ANALYSIS_US = 5_000_000
MAX_PACKETS = 5_000


class AvProbe:
    """The `Probe` that is libav."""

    def look(self, address: str, limit_s: float) -> Seen:
        if scheme(address) not in RTSP:
            raise AddressError("only rtsp and rtsps sources can be tested: enter such an address")
        script(address, 0, 0)  # refuses what the recorder would
        began = time.monotonic()
        try:
            with av.open(address, options=_options(address, limit_s), timeout=limit_s) as container:
                return _seen(container, began, limit_s)
        except av.FFmpegError as problem:
            words = str(problem).replace(address, "…")
            cause = start_failure(words)
            raise _unavailable(cause, redacted(words, address)) from None  # the chain would carry the address


def _options(address: str, limit_s: float) -> dict[str, str]:
    unproved = {"tls_verify": "0"} if scheme(address) == "rtsps" else {}  # as the recorder has it
    return unproved | {
        "rtsp_transport": "tcp",
        "protocol_whitelist": PROTOCOLS,
        "timeout": str(round(limit_s * 1e6)),
        "analyzeduration": str(ANALYSIS_US),
        "fpsprobesize": "0",
    }


def _unavailable(cause: GapCause, words: str) -> SourceUnavailableError:
    return SourceUnavailableError(f"the source can't be recorded: {words}", errors={"cause": cause})


def _seen(container: InputContainer, began: float, limit_s: float) -> Seen:
    video = next(iter(container.streams.video), None)
    audio = next(iter(container.streams.audio), None)
    watched = video or audio
    if watched is None:
        raise _unavailable(GapCause.UNKNOWN, "it sends neither picture nor sound")
    for _, packet in zip(range(MAX_PACKETS), container.demux(watched), strict=False):
        if time.monotonic() - began > limit_s:
            break
        if packet.decode():
            return Seen(
                video=video.codec_context.name if video else None,
                width=video.codec_context.width if video else 0,
                height=video.codec_context.height if video else 0,
                audio=audio.codec_context.name if audio else None,
                sample_rate=audio.codec_context.sample_rate if audio else 0,
                channels=audio.codec_context.channels if audio else 0,
                first_picture_s=time.monotonic() - began,
            )
    raise _unavailable(GapCause.STALLED, "it answers, and no picture or sound came in time")
