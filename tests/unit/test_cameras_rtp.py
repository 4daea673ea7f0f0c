"""RTP payloads, packets and sender reports, checked by reading them back by the RFCs."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from ingest.cameras.codecs import VideoCodec
from ingest.cameras.rtp import Sender, aac_payload, nal_payloads, ntp_time

LIMITS = st.integers(20, 60)


def sender(**changes) -> Sender:
    values = {"channel": 2, "payload_type": 96, "clock_rate": 90_000, "ssrc": 0xDEADBEEF}
    values |= {"first_timestamp": 0xFFFFFFF0, "sequence": 0xFFFE, "cname": "cam1"}
    return Sender(**(values | changes))


def join_h264(payloads: list[bytes]) -> bytes:
    """RFC 6184 section 5.8: the NAL unit's header is spread over FU indicator and FU header."""
    if len(payloads) == 1:
        return payloads[0]
    assert all(payload[0] & 0x1F == 28 for payload in payloads)
    flags = [payload[1] & 0xE0 for payload in payloads]
    assert flags == [0x80] + [0] * (len(payloads) - 2) + [0x40]
    header = (payloads[0][0] & 0xE0) | (payloads[0][1] & 0x1F)
    return bytes((header,)) + b"".join(payload[2:] for payload in payloads)


def join_h265(payloads: list[bytes]) -> bytes:
    """RFC 7798 section 4.4.3."""
    if len(payloads) == 1:
        return payloads[0]
    assert all((payload[0] >> 1) & 0x3F == 49 for payload in payloads)
    flags = [payload[2] & 0xC0 for payload in payloads]
    assert flags == [0x80] + [0] * (len(payloads) - 2) + [0x40]
    header = (payloads[0][0] & 0x81) | ((payloads[0][2] & 0x3F) << 1)
    return bytes((header, payloads[0][1])) + b"".join(payload[3:] for payload in payloads)


@given(st.integers(1, 23), st.integers(0, 3), st.binary(min_size=1, max_size=400), LIMITS)
def test_an_h264_nal_unit_survives_fragmentation(kind, importance, body, limit):
    """Joined by the RFC's rules the payloads give the NAL unit; none is longer than the limit."""
    nal = bytes(((importance << 5) | kind,)) + body
    payloads = nal_payloads(VideoCodec.H264, nal, limit)
    assert join_h264(payloads) == nal
    assert max(map(len, payloads)) <= limit


@given(st.integers(0, 40), st.integers(1, 7), st.binary(min_size=1, max_size=400), LIMITS)
def test_an_h265_nal_unit_survives_fragmentation(kind, layer, body, limit):
    """The same for H.265, whose header has two bytes."""
    nal = bytes((kind << 1, layer)) + body
    payloads = nal_payloads(VideoCodec.H265, nal, limit)
    assert join_h265(payloads) == nal
    assert max(map(len, payloads)) <= limit


@given(st.binary(min_size=1, max_size=8191))
def test_an_aac_unit_has_its_size_in_13_bits(unit):
    """RFC 3640, AAC-hbr: 16 bits of AU headers, 13 bits of size, 3 bits of index."""
    bits, header = struct.unpack(">HH", aac_payload(unit)[:4])
    assert (bits, header >> 3, header & 7) == (16, len(unit), 0)
    assert aac_payload(unit)[4:] == unit


def test_packets_are_numbered_timed_and_interleaved():
    """Sequence numbers and timestamps wrap; only the last packet of an access unit has the marker."""
    pieces = sender().packets([b"one", b"two", b"three"], 32, marked=True)
    assert pieces[1::2] == [b"one", b"two", b"three"]
    heads = [struct.unpack(">cBHBBHII", head) for head in pieces[::2]]
    common = (0x10, 0xDEADBEEF)
    assert heads == [
        (b"$", 2, 15, 0x80, 96, 0xFFFE, *common),
        (b"$", 2, 15, 0x80, 96, 0xFFFF, *common),
        (b"$", 2, 17, 0x80, 0x80 | 96, 0, *common),
    ]


def test_lost_packets_use_up_their_numbers():
    """A receiver can tell a loss by the hole in the sequence."""
    lossy = sender(sequence=0)
    pieces = [lossy.packets([b"x"], n, marked=True, loss=0.5) for n in range(200)]
    numbers = [struct.unpack(">H", sent[0][6:8])[0] for sent in pieces if sent]
    assert lossy.sequence == 200
    assert 50 < len(numbers) < 150
    assert numbers == [n for n, sent in enumerate(pieces) if sent]


def test_a_sender_report_by_the_byte():
    """RFC 3550 section 6.4.1: NTP and RTP time of one moment, packets and octets sent; then the CNAME."""
    reporting = sender()
    reporting.packets([b"1234", b"56"], 0, marked=True)
    report = reporting.report(0x20, 1_500_000)
    assert report[:4] == b"$\x03" + struct.pack(">H", len(report) - 4)
    assert struct.unpack(">BBH6I", report[4:32]) == (
        *(0x80, 200, 6, 0xDEADBEEF),
        *(2_208_988_801, 1 << 31, 0x10, 2, 6),
    )
    assert report[32:] == struct.pack(">BBHIBB", 0x81, 202, 3, 0xDEADBEEF, 1, 4) + b"cam1\x00\x00"


@given(st.integers(0, 2**52))
def test_ntp_time_is_exact_to_the_microsecond(us):
    """Seconds since 1900 modulo 2^32, and a fraction that rounds back to the microsecond."""
    seconds, fraction = ntp_time(us)
    assert (seconds - 2_208_988_800) % 2**32 == us // 1_000_000 % 2**32
    assert abs(fraction * 1_000_000 / 2**32 - us % 1_000_000) < 1
