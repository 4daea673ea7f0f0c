"""How a track is coded: its name for players, its parameter sets, and whether they changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from archiver.errors import MediaError
from archiver.mp4.fragments import Fragment, TrackRun
from archiver.mp4.init import Coding, Init, Track
from archiver.mp4.pictures import PictureFormat, parse_sps

MAX_UNITS = 1024
"""More NAL units than this before a sample's first slice is not a picture."""

_DESCRIPTOR_ES, _DESCRIPTOR_DECODER, _DESCRIPTOR_SPECIFIC = 3, 4, 5
_AAC = 0x40


@dataclass(frozen=True, slots=True)
class _Syntax:
    """Where H.264 and H.265 differ: a NAL unit's type, its parameter sets, its slices, the configuration
    record."""

    shift: int
    mask: int
    sets: Mapping[int, str]
    slices: range
    record_size: int
    length_at: int

    def kind(self, unit: bytes) -> int:
        return unit[0] >> self.shift & self.mask


_H264 = _Syntax(0, 0x1F, {7: "sps", 8: "pps"}, range(1, 6), record_size=7, length_at=4)
_H265 = _Syntax(1, 0x3F, {32: "vps", 33: "sps", 34: "pps"}, range(32), record_size=23, length_at=21)
_SYNTAX = {"avc1": _H264, "avc3": _H264, "hvc1": _H265, "hev1": _H265}


@dataclass(frozen=True, slots=True)
class ParameterSets:
    """NAL units with their headers, in the order found. H.264 has no VPS."""

    vps: tuple[bytes, ...] = ()
    sps: tuple[bytes, ...] = ()
    pps: tuple[bytes, ...] = ()


def codec_string(track: Track) -> str:
    """The track's codec for a playlist or a MIME type (RFC 6381): avc1.64001F, hvc1.1.6.L93.B0, mp4a.40.2,
    ulaw ...

    Raises MediaError for a decoder configuration that can't be read.
    """
    syntax = _SYNTAX.get(track.codec)
    if syntax:
        config = _configured(track, syntax)
        if syntax is _H265:
            return _h265_string(track.codec, config)
        return f"{track.codec}.{config[1:4].hex().upper()}"
    if track.codec == "mp4a" and track.config:
        return _sound_string(track.config)
    return track.codec.strip()


def codecs_string(init: Init) -> str:
    """Every video and audio track's codec, joined by commas."""
    return ",".join(codec_string(track) for track in init.tracks if track.kind != "other")


def _configured(track: Track, syntax: _Syntax) -> bytes:
    if len(track.config) < syntax.record_size:
        raise MediaError(f"track {track.track_id} ({track.codec}) has no usable decoder configuration")
    return track.config


def _h265_string(codec: str, config: bytes) -> str:
    """ISO/IEC 14496-15, annex E.3."""
    space = ("", "A", "B", "C")[config[1] >> 6]
    compatibility = int(f"{int.from_bytes(config[2:6], 'big'):032b}"[::-1], 2)
    tier = "H" if config[1] & 0x20 else "L"
    parts = [codec, f"{space}{config[1] & 0x1F}", f"{compatibility:X}", f"{tier}{config[12]}"]
    return ".".join(parts + [f"{byte:X}" for byte in config[6:12].rstrip(b"\0")])


def _sound_string(esds: bytes) -> str:
    kind, specific = _decoder(esds)
    if kind != _AAC or not specific:
        return f"mp4a.{kind:02X}"
    object_type = specific[0] >> 3
    if object_type == 31 and len(specific) > 1:
        object_type = 32 + ((specific[0] & 7) << 3 | specific[1] >> 5)
    return f"mp4a.{kind:02X}.{object_type}"


def _decoder(esds: bytes) -> tuple[int, bytes]:
    """objectTypeIndication and DecoderSpecificInfo of an esds's body (ISO/IEC 14496-1, section 7.2.6)."""
    es = _descriptor(esds[4:], _DESCRIPTOR_ES)
    if len(es) < 3:
        raise MediaError("the sound's esds is too short")
    flags, at = es[2], 3
    at += 2 if flags & 0x80 else 0
    if flags & 0x40:
        at += 1 + es[at] if at < len(es) else 1
    at += 2 if flags & 0x20 else 0
    decoder = _descriptor(es[at:], _DESCRIPTOR_DECODER)
    if len(decoder) < 13:
        raise MediaError("the sound's decoder configuration is too short")
    specific = decoder[13:]
    return decoder[0], _descriptor(specific, _DESCRIPTOR_SPECIFIC) if specific[:1] == b"\x05" else b""


def _descriptor(data: bytes, tag: int) -> bytes:
    """The body of the descriptor that begins `data`; its length has 7 bits a byte, in at most 4 bytes."""
    size, at, more = 0, 1, True
    while more and at < min(len(data), 5):
        size, more = size << 7 | data[at] & 0x7F, bool(data[at] & 0x80)
        at += 1
    if data[:1] != bytes([tag]) or at + size > len(data):
        raise MediaError(f"the sound's esds lacks descriptor {tag}")
    return data[at : at + size]


def parameter_sets(track: Track) -> ParameterSets:
    """Those in the track's avcC or hvcC; none for another codec. Raises MediaError for one that can't be
    read."""
    syntax = _SYNTAX.get(track.codec)
    if not syntax:
        return ParameterSets()
    config = _configured(track, syntax)
    return _grouped(syntax, _hevc_units(config) if syntax is _H265 else _avc_units(config))


def _avc_units(config: bytes) -> Iterator[bytes]:
    """AVCDecoderConfigurationRecord, ISO/IEC 14496-15 section 5.3.3.1."""
    at = 5
    for mask in (0x1F, 0xFF):
        count = _number(config, at, 1) & mask
        at += 1
        for _ in range(count):
            unit, at = _unit(config, at, 2, len(config))
            yield unit


def _hevc_units(config: bytes) -> Iterator[bytes]:
    """HEVCDecoderConfigurationRecord, ISO/IEC 14496-15 section 8.3.3.1."""
    at = 23
    for _ in range(config[22]):
        count = _number(config, at + 1, 2)
        at += 3
        for _ in range(count):
            unit, at = _unit(config, at, 2, len(config))
            yield unit


def _number(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise MediaError("a list of NAL units ends too early")
    return int.from_bytes(data[at : at + size], "big")


def _unit(data: bytes, at: int, length_size: int, end: int) -> tuple[bytes, int]:
    """A NAL unit after its length, and where the next one begins."""
    size = _number(data, at, length_size)
    at += length_size
    if not size or at + size > end:
        raise MediaError(f"a NAL unit of {size} bytes doesn't fit its place")
    return data[at : at + size], at + size


def _grouped(syntax: _Syntax, units: Iterator[bytes]) -> ParameterSets:
    found: dict[str, list[bytes]] = {"vps": [], "sps": [], "pps": []}
    for unit in units:
        kind = syntax.sets.get(syntax.kind(unit))
        if kind:
            found[kind].append(unit)
    return ParameterSets(*(tuple(found[kind]) for kind in ("vps", "sps", "pps")))


def fragment_parameters(init: Init, fragment: Fragment) -> ParameterSets:
    """The parameter sets before the first slice of the fragment's first picture; none without a picture."""
    track = init.reference
    syntax = _SYNTAX.get(track.codec)
    run = fragment.tracks.get(track.track_id)
    if not syntax or not run:
        return ParameterSets()
    length_size = (_configured(track, syntax)[syntax.length_at] & 3) + 1
    return _grouped(syntax, _before_slice(syntax, length_size, fragment.data, run))


def _before_slice(syntax: _Syntax, length_size: int, data: bytes, run: TrackRun) -> Iterator[bytes]:
    at, end = run.first_offset, run.first_offset + run.first_size
    for _ in range(MAX_UNITS):
        if at == end:
            return
        unit, at = _unit(data, at, length_size, end)
        if syntax.kind(unit) in syntax.slices:
            return
        yield unit
    raise MediaError(f"more than {MAX_UNITS} NAL units before a picture's first slice")


def picture_format(track: Track) -> PictureFormat | None:
    """What the track's first SPS says; None for a codec without one."""
    sets = parameter_sets(track)
    return parse_sps(track.codec, sets.sps[0]) if sets.sps else None


def parameters_changed(init: Init, fragment: Fragment) -> bool:
    """Whether the fragment's first picture brings a profile, size, chroma format or depth that the init
    doesn't have.

    A muxer that copies packets lets such a change pass in silence. Parameter sets that differ in their bytes
    alone are no change: many cameras announce (in SDP) other ones than they send, and decoders take those in
    the stream.
    """
    known = parameter_sets(init.reference).sps
    new = [sps for sps in fragment_parameters(init, fragment).sps if sps not in known]
    codec = init.reference.codec
    formats = [parse_sps(codec, sps) for sps in known] if new else []
    return any(not any(parse_sps(codec, sps).same_picture(old) for old in formats) for sps in new)


def same_parameters(first: Init, second: Init) -> bool:
    """Whether fragments of both can stand in one file: equal tracks, time scales, codec parameters and
    defaults.

    Edit lists, dates and stated bit rates may differ.
    """
    return first.brand == second.brand and [_essence(track) for track in first.tracks] == [
        _essence(track) for track in second.tracks
    ]


def _essence(track: Track) -> tuple[object, ...]:
    return track.track_id, track.kind, track.timescale, track.defaults, _decoded_alike(track.coding)


def _decoded_alike(coding: Coding) -> tuple[object, ...]:
    """The coding without the bit rates that an esds states."""
    config: object = _decoder(coding.config) if coding.codec == "mp4a" and coding.config else coding.config
    return coding.codec, config, coding.width, coding.height, coding.sample_rate, coding.channels


def still(init: Init, fragment: Fragment) -> bytes:
    """A keyframe fragment's first picture as a stream of its own: H.264 and H.265 as an Annex B byte stream.

    Another codec's sample comes as it is. Raises MediaError for a fragment that doesn't begin with a
    keyframe.
    """
    track = init.reference
    run = fragment.tracks.get(track.track_id)
    if track.kind != "video" or not run or not fragment.keyframe:
        raise MediaError("a fragment that doesn't begin with a picture to be decoded alone")
    end = run.first_offset + run.first_size
    syntax = _SYNTAX.get(track.codec)
    if not syntax:
        return fragment.data[run.first_offset : end]
    length_size = (_configured(track, syntax)[syntax.length_at] & 3) + 1
    sets = parameter_sets(track)
    units = [*sets.vps, *sets.sps, *sets.pps]
    at = run.first_offset
    while at < end:
        unit, at = _unit(fragment.data, at, length_size, end)
        units.append(unit)
    return b"".join(b"\0\0\0\1" + unit for unit in units)
