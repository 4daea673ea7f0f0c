"""What a virtual camera can send, and the NAL units of its picture."""

import re
from enum import StrEnum

START_CODE = re.compile(b"\x00*\x00\x00\x01")


class VideoCodec(StrEnum):
    """Picture of a camera; NONE is a microphone."""

    H264 = "h264"
    H265 = "h265"
    NONE = "none"


class AudioCodec(StrEnum):
    """Sound of a camera; PCMU is G.711 mu-law."""

    AAC = "aac"
    PCMU = "pcmu"
    NONE = "none"


_KEY_TYPES = {VideoCodec.H264: range(5, 6), VideoCodec.H265: range(16, 24)}
_PARAMETER_TYPES = {VideoCodec.H264: range(7, 9), VideoCodec.H265: range(32, 35)}
_SLICE_TYPES = {VideoCodec.H264: range(1, 6), VideoCodec.H265: range(32)}


def nal_type(codec: VideoCodec, nal: bytes) -> int:
    """Type of a NAL unit (H.264 clause 7.3.1, H.265 clause 7.3.1.2)."""
    return nal[0] & 0x1F if codec is VideoCodec.H264 else (nal[0] >> 1) & 0x3F


def is_key(codec: VideoCodec, nal: bytes) -> bool:
    """Whether decoding can begin at this NAL unit's picture (IDR, or IRAP in H.265)."""
    return nal_type(codec, nal) in _KEY_TYPES[codec]


def is_parameter_set(codec: VideoCodec, nal: bytes) -> bool:
    """Whether it is an SPS, PPS or VPS."""
    return nal_type(codec, nal) in _PARAMETER_TYPES[codec]


def is_slice(codec: VideoCodec, nal: bytes) -> bool:
    """Whether it carries picture (a VCL NAL unit)."""
    return nal_type(codec, nal) in _SLICE_TYPES[codec]


def split_annex_b(stream: bytes) -> list[bytes]:
    """The NAL units between the start codes of a byte stream (H.264 and H.265 annex B)."""
    return [nal for nal in START_CODE.split(stream) if nal]
