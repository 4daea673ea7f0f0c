"""RTP payloads (RFC 6184, RFC 7798, RFC 3640, RFC 3551), RTP packets and sender reports (RFC 3550)."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from ingest.cameras.codecs import VideoCodec

PAYLOAD_MAX_BYTES = 1400
NTP_EPOCH_S = 2_208_988_800  # from 1900 to 1970
_H264_FU_A = 28
_H265_FU = 49
_MARKER = 0x80
_INTERLEAVED_RTP = struct.Struct(">cBHBBHII")
_RTP_HEADER_BYTES = 12


def nal_payloads(codec: VideoCodec, nal: bytes, limit: int = PAYLOAD_MAX_BYTES) -> list[bytes]:
    """RTP payloads of one NAL unit: itself where it fits into `limit` bytes, else fragmentation units."""
    if len(nal) <= limit:
        return [nal]
    return _fragments_h264(nal, limit) if codec is VideoCodec.H264 else _fragments_h265(nal, limit)


def aac_payload(unit: bytes) -> bytes:
    """One access unit in AAC-hbr mode (RFC 3640 section 3.3.6): 13 bits of size, 3 bits of index."""
    return struct.pack(">HH", 16, len(unit) << 3) + unit


def _fragments_h264(nal: bytes, limit: int) -> list[bytes]:
    """FU-A (RFC 6184 section 5.8)."""
    indicator = bytes(((nal[0] & 0xE0) | _H264_FU_A,))
    return _fragments(nal[1:], indicator, nal[0] & 0x1F, limit)


def _fragments_h265(nal: bytes, limit: int) -> list[bytes]:
    """FU (RFC 7798 section 4.4.3)."""
    header = bytes(((nal[0] & 0x81) | (_H265_FU << 1), nal[1]))
    return _fragments(nal[2:], header, (nal[0] >> 1) & 0x3F, limit)


def _fragments(body: bytes, header: bytes, kind: int, limit: int) -> list[bytes]:
    room = limit - len(header) - 1
    starts = range(0, len(body), room)
    return [header + bytes((_fu_flags(at == 0, at == starts[-1]) | kind,)) + body[at : at + room] for at in starts]


def _fu_flags(first: bool, last: bool) -> int:
    return (0x80 if first else 0) | (0x40 if last else 0)


def ntp_time(us: int) -> tuple[int, int]:
    """Seconds since 1900 and their fraction in 2^-32 s, of UTC microseconds since 1970."""
    seconds, rest = divmod(us, 1_000_000)
    return (seconds + NTP_EPOCH_S) & 0xFFFFFFFF, (rest << 32) // 1_000_000


@dataclass(slots=True)
class Sender:
    """One RTP stream of one connection, interleaved into RTSP (RFC 2326 section 10.12).

    `channel` carries its packets and `channel + 1` its reports.
    """

    channel: int
    payload_type: int
    clock_rate: int
    ssrc: int
    first_timestamp: int
    sequence: int
    cname: str
    _random: Random = field(default_factory=lambda: Random(1))  # noqa: S311 a share of loss, no secret
    _packets: int = 0
    _octets: int = 0

    def timestamp(self, ticks: int) -> int:
        """RTP timestamp of a time in ticks of the clock since the camera's start."""
        return (self.first_timestamp + ticks) & 0xFFFFFFFF

    def packets(self, payloads: Iterable[bytes], ticks: int, *, marked: bool, loss: float = 0.0) -> list[bytes]:
        """Pieces to write for the payloads of one access unit; `marked` sets the marker on the last.

        `loss` is the share of packets that is left out as a network would: their numbers are used up.
        """
        payloads = list(payloads)
        timestamp = self.timestamp(ticks)
        pieces: list[bytes] = []
        for left, payload in zip(range(len(payloads) - 1, -1, -1), payloads, strict=True):
            marker = _MARKER if marked and left == 0 else 0
            if not (loss and self._random.random() < loss):
                pieces += (self._header(len(payload), marker, timestamp), payload)
            self.sequence = (self.sequence + 1) & 0xFFFF
        return pieces

    def report(self, ticks: int, now_us: int) -> bytes:
        """Sender report and source description (RFC 3550 sections 6.4.1 and 6.5): `ticks` are at `now_us`."""
        seconds, fraction = ntp_time(now_us)
        counts = (self._packets & 0xFFFFFFFF, self._octets & 0xFFFFFFFF)
        words = (self.ssrc, seconds, fraction, self.timestamp(ticks), *counts)
        packet = struct.pack(">BBH6I", 0x80, 200, 6, *words) + self._description()
        return struct.pack(">cBH", b"$", self.channel + 1, len(packet)) + packet

    def _header(self, size: int, marker: int, timestamp: int) -> bytes:
        self._packets += 1
        self._octets += size
        length = size + _RTP_HEADER_BYTES
        kind = marker | self.payload_type
        return _INTERLEAVED_RTP.pack(b"$", self.channel, length, 0x80, kind, self.sequence, timestamp, self.ssrc)

    def _description(self) -> bytes:
        name = self.cname.encode("ascii")
        chunk = struct.pack(">IBB", self.ssrc, 1, len(name)) + name + b"\x00"
        chunk += b"\x00" * (-len(chunk) % 4)
        return struct.pack(">BBH", 0x81, 202, len(chunk) // 4) + chunk
