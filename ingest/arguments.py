"""What ffmpeg is told: its options, and the script with the address that it reads from its standard input.

Pure. argv is public (/proc/*/cmdline), so an address stands in the script alone (I10).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from archiver.errors import AddressError
from archiver.vocabulary import GapCause

ANALYSIS_US = (500_000, 5_000_000, 15_000_000)
"""How long a start may analyse the stream (microseconds), by attempt; the last also for every later one.

Half of all starts fail at 0.5 s on cameras that don't announce their parameter sets."""

RTSP = frozenset({"rtsp", "rtsps"})
PROTOCOLS = "pipe,fd,rtsp,rtsps,rtp,tcp,tls"
FRAGMENT_US = 1_000_000

Options = Mapping[str, str | int]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_USER_INFO = re.compile(r"(?<=://)[^/\s]*@")
_MEMORY = re.compile(r" @ 0x[0-9a-f]+")
"""Where ffmpeg kept something: noise, and never the same twice."""
_MOVFLAGS = "+frag_keyframe+delay_moov+default_base_moof+skip_trailer"


@dataclass(frozen=True, slots=True)
class Opening:
    """How to start a stream: what earlier starts of the same source taught."""

    attempt: int = 0
    mov: bool = False


def input_options(attempt: int) -> Options:
    """Of the script on standard input; the streams in it are analysed for as long as the attempt allows."""
    return {
        "protocol_whitelist": PROTOCOLS,
        "fpsprobesize": 0,
        "analyzeduration": analysis_us(attempt),
        "safe": 0,
        "f": "concat",
    }


def output_options(*, mov: bool) -> Options:
    """Fragmented MP4 on standard output, copied, cut at key frames and after 1 s, each fragment written at once.

    MP4 as ffmpeg writes it refuses G.711 sound: then MOV, whose fragments read the same.
    """
    return {
        "map": 0,
        "c": "copy",
        "write_prft": "wallclock",
        "movflags": _MOVFLAGS,
        "frag_duration": FRAGMENT_US,
        "flush_packets": 1,
        "f": "mov" if mov else "mp4",
    }


def analysis_us(attempt: int) -> int:
    """How long that attempt may analyse the stream, in microseconds."""
    return ANALYSIS_US[min(attempt, len(ANALYSIS_US) - 1)]


def script(address: str, attempt: int, timeout_us: int) -> str:
    """The ffconcat script that opens `address`. `timeout_us` bounds each wait for the camera, in microseconds.

    AddressError for an address that can't stand on one line: control characters are never part of one.
    """
    if not address or _CONTROL.search(address):
        raise AddressError("a source address is one line without control characters: enter it again")
    options: dict[str, str | int] = {"analyzeduration": analysis_us(attempt), "fpsprobesize": 0}
    if scheme(address) in RTSP:
        options |= {"rtsp_transport": "tcp", "timeout": timeout_us}
    if scheme(address) == "rtsps":
        options["tls_verify"] = 0  # cameras sign their own certificates: the stream is encrypted, its end not proved
    lines = ["ffconcat version 1.0", f"file {quoted(address)}"]
    lines += [f"option {name} {value}" for name, value in options.items()]
    return "\n".join(lines) + "\n"


def scheme(address: str) -> str:
    """Its scheme in lower case, empty if it has none."""
    head, separator, _ = address.partition("://")
    return head.lower() if separator else ""


def quoted(text: str) -> str:
    """`text` as one word of an ffconcat script (ffmpeg-utils, "Quoting and escaping")."""
    return "'" + text.replace("'", "'\\''") + "'"


def redacted(text: str, address: str) -> str:
    """`text` without the address, its parts that may be secret (user, password, path, query), or any user-info."""
    for secret in sorted(_secrets(address), key=len, reverse=True):
        text = text.replace(secret, "…")
    return _MEMORY.sub("", _USER_INFO.sub("…@", text))


def _secrets(address: str) -> set[str]:
    """Parts of 3 characters and more (shorter ones would blot out half of any text), as written and decoded."""
    rest = address.partition("://")[2]
    authority, _, path = rest.partition("/")
    user_info, _, _ = authority.rpartition("@")
    parts = {address, rest, path, "/" + path, user_info, *user_info.split(":", 1)}
    parts |= set(path.split("?")) | set(re.split("[?&=/]", path)) if path else set()
    return {form for part in parts for form in (part, unquote(part)) if len(form) >= 3}


_CAUSES = (
    (GapCause.AUTH_FAILED, re.compile(r"\b40[13]\b|unauthorized|forbidden|authentication failed", re.IGNORECASE)),
    (
        GapCause.UNREACHABLE,
        re.compile(
            r"connection refused|timed out|no route to host|network is unreachable|host is unreachable|resolve"
            r"|name or service not known|\b40[45]\b|\b5\d\d\b|server returned|connection reset|end of file",
            re.IGNORECASE,
        ),
    ),
)


def start_failure(words: str) -> GapCause:
    """Why a stream that never gave a byte ended, by ffmpeg's own (redacted) words."""
    return next((cause for cause, pattern in _CAUSES if pattern.search(words)), GapCause.UNKNOWN)


def better_opening(opening: Opening, words: str) -> Opening | None:
    """How to start again at once after ffmpeg said `words` and gave nothing; None if that won't help."""
    if not opening.mov and "not currently supported in container" in words:
        return Opening(opening.attempt, mov=True)
    unclear = "dimensions not set" in words or "unspecified" in words or "codec parameters" in words
    if unclear and opening.attempt + 1 < len(ANALYSIS_US):
        return Opening(opening.attempt + 1, opening.mov)
    return None
