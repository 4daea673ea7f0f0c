"""RTSP requests read, responses and descriptions written."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.loops import AudioLoop, Picture, Sound, VideoLoop
from ingest.cameras.protocol import (
    RequestError,
    description,
    interleaved_channel,
    parse_request,
    response,
)

SETUP = (
    b"SETUP rtsp://127.0.0.1:554/cam1/track0 RTSP/1.0\r\nCSeq: 3\r\n"
    b"transport:RTP/AVP/TCP;unicast;interleaved=4-5 \r\nContent-Length: 2\r\n\r\n"
)
SETS_264 = (bytes.fromhex("6742c01e01"), bytes.fromhex("68ce3c80"))
SETS_265 = (b"\x40\x01v", b"\x42\x01s", b"\x44\x01p")


def video(codec: VideoCodec, sets: tuple[bytes, ...]) -> VideoLoop:
    return VideoLoop(Picture(codec), sets, ())


def test_a_request_is_read():
    """Method, address, headers whatever their case, number and length of the body."""
    request = parse_request(SETUP)
    assert (request.method, request.url) == ("SETUP", "rtsp://127.0.0.1:554/cam1/track0")
    assert (request.cseq, request.body_bytes) == ("3", 2)
    assert interleaved_channel(request.headers["transport"]) == 4


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET / HTTP/1.1\r\nCSeq: 1\r\n\r\n",
        b"OPTIONS rtsp://h/ RTSP/2.0\r\nCSeq: 1\r\n\r\n",
        b"OPTIONS rtsp://h/ RTSP/1.0\r\n\r\n",
        b"OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: one\r\n\r\n",
        b"OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 99999999\r\n\r\n",
        b"OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: 1\r\nContent-Length: -1\r\n\r\n",
        b"OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: 1\r\nno header\r\n\r\n",
        b"OPTIONS rtsp://h/\xff RTSP/1.0\r\nCSeq: 1\r\n\r\n",
    ],
)
def test_what_is_no_request_is_answered_400(head):
    """Other protocols, no number, absurd lengths, bytes beyond ASCII."""
    with pytest.raises(RequestError) as caught:
        parse_request(head)
    assert caught.value.status == 400


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_else(head):
    """The parser's only error is RequestError."""
    try:
        parse_request(head)
    except RequestError as error:
        assert error.status == 400


@given(st.data())
def test_damaged_requests_raise_nothing_else(data):
    """Nor does a real request with some bytes changed or cut."""
    head = bytearray(SETUP)
    for _ in range(data.draw(st.integers(1, 6))):
        head[data.draw(st.integers(0, len(head) - 1))] = data.draw(st.integers(0, 255))
    try:
        request = parse_request(bytes(head[: data.draw(st.integers(0, len(head)))]))
    except RequestError:
        return
    assert request.cseq.isdigit()
    assert 0 <= request.body_bytes <= 65_536


@pytest.mark.parametrize("transport", ["RTP/AVP;unicast;client_port=5000-5001", "", "RTP/AVP/UDP;unicast"])
def test_udp_is_refused(transport):
    """With 461, so that clients try TCP next."""
    with pytest.raises(RequestError) as caught:
        interleaved_channel(transport)
    assert caught.value.status == 461


def test_the_first_offer_that_fits_is_taken():
    """A client may offer UDP first; channels default to 0 and have to fit into a byte."""
    assert interleaved_channel("RTP/AVP;client_port=1-2,RTP/AVP/TCP;interleaved=6-7") == 6
    assert interleaved_channel("RTP/AVP/TCP;unicast") == 0
    with pytest.raises(RequestError):
        interleaved_channel("RTP/AVP/TCP;interleaved=255-256")


def test_a_response_by_the_byte():
    """Status line, number, headers, body with its length."""
    assert response(200, "7", {"Session": "ab"}, b"v=0") == (
        b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nSession: ab\r\nContent-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0"
    )


def test_a_description_of_h264_and_aac():
    """RFC 6184 and RFC 3640: parameter sets, level, configuration."""
    audio = AudioLoop(Sound(AudioCodec.AAC), bytes.fromhex("1288"), ())
    lines = description("cam1", video(VideoCodec.H264, SETS_264), audio).decode().split("\r\n")
    sets = ",".join(base64.b64encode(block).decode() for block in SETS_264)
    assert f"a=fmtp:96 packetization-mode=1;profile-level-id=42C01E;sprop-parameter-sets={sets}" in lines
    assert "a=rtpmap:97 MPEG4-GENERIC/32000/1" in lines
    assert any(line.endswith("indexdeltalength=3;config=1288") for line in lines)


def test_a_description_of_h265_and_g711():
    """RFC 7798; PCMU has its static type 0."""
    audio = AudioLoop(Sound(AudioCodec.PCMU), b"", ())
    lines = description("cam1", video(VideoCodec.H265, SETS_265), audio).decode().split("\r\n")
    vps, sps, pps = (base64.b64encode(block).decode() for block in SETS_265)
    assert f"a=fmtp:96 sprop-vps={vps};sprop-sps={sps};sprop-pps={pps}" in lines
    assert "m=audio 0 RTP/AVP 0" in lines


@pytest.mark.parametrize(("codec", "sets"), [(VideoCodec.H264, SETS_264), (VideoCodec.H265, SETS_265)])
def test_a_description_may_lack_the_parameter_sets(codec, sets):
    """The fault no_sprop: the stream alone tells them."""
    assert b"sprop" not in description("cam1", video(codec, sets), None, sprop=False)
    assert b"m=audio" not in description("cam1", video(codec, sets), None)
