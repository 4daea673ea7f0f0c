"""Codec names, parameter sets, and whether they changed."""

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from archiver.errors import MediaError
from archiver.mp4.boxes import build, build_full
from archiver.mp4.codecs import (
    ParameterSets,
    codec_string,
    codecs_string,
    fragment_parameters,
    parameter_sets,
    parameters_changed,
    picture_format,
    same_parameters,
    still,
)
from archiver.mp4.init import parse_init
from archiver.mp4.pictures import PictureFormat, parse_sps
from tests import mp4_streams as mp4

SIZE_CHANGE = ("size_change_h264.mp4", "size_change_h265.mp4")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("h264_aac.mp4", "avc1.64000A,mp4a.40.2"),
        ("h265_aac.mp4", "hvc1.1.6.L30.90,mp4a.40.2"),
        ("size_change_h265.mp4", "hev1.1.6.L30.90"),
        ("h264_mulaw.mov", "avc1.64000A,ulaw"),
        ("aac_only.mp4", "mp4a.40.2"),
    ],
)
def test_codec_strings(name, expected):
    """RFC 6381 names of what ffmpeg wrote."""
    assert codecs_string(mp4.read(mp4.asset(name))[0]) == expected


def test_h265_string_of_main_10_high_tier():
    """Profile space, reversed compatibility flags, tier, and constraint bytes without their trailing
    zeros."""
    config = bytes([1, 0x62, 0x20, 0, 0, 0, 0xB0, 0, 0, 0, 0, 0, 120]) + bytes(10)
    init = parse_init(mp4.init([mp4.video_trak(codec=b"hvc1", config=build(b"hvcC", config))]))
    assert codec_string(init.tracks[0]) == "hvc1.A2.4.H120.B0"


@pytest.mark.parametrize(
    ("codec", "box"), [(b"avc1", b"avcC"), (b"hvc1", b"hvcC"), (b"mp4a", b"esds")], ids=["avcC", "hvcC", "esds"]
)
@given(config=st.binary(max_size=80))
@example(config=bytes([1, 100, 0, 10, 255, 225, 0, 200]))
def test_any_configuration(codec, box, config):
    """A damaged decoder configuration gives a name and sets, or MediaError."""
    if codec == b"mp4a":
        init = parse_init(mp4.init([mp4.audio_trak(codec=codec, config=build(box, config))]))
    else:
        init = parse_init(mp4.init([mp4.video_trak(codec=codec, config=build(box, config))]))
    for read in (codec_string, parameter_sets, picture_format):
        try:
            read(init.tracks[0])
        except MediaError as problem:
            assert problem.message


@pytest.mark.parametrize(("name", "vps"), [("h264_aac.mp4", 0), ("h265_aac.mp4", 1)])
def test_parameter_sets_of_the_init(name, vps):
    """One SPS and PPS each, and a VPS for H.265; the SPS states the size of the picture."""
    track = mp4.read(mp4.asset(name))[0].reference
    sets = parameter_sets(track)
    assert (len(sets.vps), len(sets.sps), len(sets.pps)) == (vps, 1, 1)
    picture = picture_format(track)
    assert picture
    assert (picture.width, picture.height, picture.chroma, picture.depth) == (64, 36, 1, 8)


@pytest.mark.parametrize(
    ("sps", "expected"),
    [
        # 1920x1080 from a camera of profile Main: 68 rows of macroblocks, 8 pixels cropped.
        ("674d0028da01e0089f961000000300100000030320f1832a", PictureFormat(77, 40, 1920, 1080, 1, 8)),
        # Baseline, level 3.0, 640x480, no cropping.
        ("6742c01ed900a03db0110000030001000003003c0f162e48", PictureFormat(66, 30, 640, 480, 1, 8)),
    ],
)
def test_h264_sps(sps, expected):
    """Profile, level and size after cropping, emulation prevention bytes included."""
    assert parse_sps("avc1", bytes.fromhex(sps)) == expected


@pytest.mark.parametrize("codec", ["avc1", "hvc1"])
@given(sps=st.binary(max_size=100))
def test_any_sps(codec, sps):
    """Any bytes are a picture of at least one pixel, or MediaError."""
    try:
        picture = parse_sps(codec, sps)
    except MediaError:
        return
    assert min(picture.width, picture.height) > 0


@pytest.mark.parametrize("name", SIZE_CHANGE)
def test_size_change_is_noticed(name):
    """A camera that changes size in mid stream keeps one init; its keyframes tell."""
    init, fragments = mp4.read(mp4.asset(name))
    assert [parameters_changed(init, fragment) for fragment in fragments] == [False, False, True, True]
    sizes = [parse_sps(init.reference.codec, fragment_parameters(init, f).sps[0]) for f in fragments]
    assert [(size.width, size.height) for size in sizes] == [(64, 36)] * 2 + [(96, 64)] * 2


@pytest.mark.parametrize("name", mp4.REAL)
def test_no_change(name):
    """Streams without parameter sets in band, or without a picture, have not changed."""
    init, fragments = mp4.read(mp4.asset(name))
    assert not any(parameters_changed(init, fragment) for fragment in fragments)
    assert fragment_parameters(init, fragments[-1]) == ParameterSets()


def test_other_bytes_for_the_same_picture_are_no_change():
    """A camera may announce other parameter sets than it sends: that must not close the recording at each
    keyframe."""
    init, fragments = mp4.read(mp4.asset("size_change_h264.mp4"))
    (sps,) = parameter_sets(init.reference).sps
    other = sps[:3] + bytes([sps[3] + 1]) + sps[4:]
    assert parse_sps("avc1", other).same_picture(parse_sps("avc1", sps))
    announced = parse_init(init.data.replace(sps, other))
    assert not parameters_changed(announced, fragments[0])
    assert parameters_changed(announced, fragments[2])


@pytest.mark.parametrize("name", SIZE_CHANGE)
@settings(max_examples=100)
@given(data=st.data())
def test_any_sample(name, data):
    """Damaged samples give parameter sets or MediaError."""
    init, fragments = mp4.read(mp4.asset(name))
    run = fragments[0].tracks[1]
    broken = bytearray(fragments[0].data)
    for _ in range(data.draw(st.integers(1, 5))):
        at = run.first_offset + data.draw(st.integers(0, 99))
        broken[at] = data.draw(st.integers(0, 255))
    fragment = replace(fragments[0], data=bytes(broken))
    for read in (fragment_parameters, parameters_changed, still):
        try:
            read(init, fragment)
        except MediaError as problem:
            assert problem.message


def test_endless_small_units():
    """A sample of nothing but tiny NAL units before any slice is refused, not walked to its end."""
    init, _ = mp4.read(mp4.asset("size_change_h264.mp4"))
    size = 5 * 5000
    stream = bytearray(mp4.fragment(1, [(1, 0, [(1, size)], 0)]))
    stream[-size:] = b"\0\0\0\1\6" * 5000
    ours = mp4.read(init.data + bytes(stream))[1][0]
    with pytest.raises(MediaError, match="1024 NAL units"):
        fragment_parameters(init, ours)


def test_same_parameters():
    """Two recordings of one camera can be joined whatever their edit lists; other sizes, codecs or scales
    can't."""
    first, late = (mp4.read(mp4.asset(name))[0] for name in ("h264_aac.mp4", "late_picture.mp4"))
    assert first.data != late.data
    assert same_parameters(first, late)
    assert not same_parameters(first, mp4.read(mp4.asset("h265_aac.mp4"))[0])
    assert not same_parameters(first, mp4.read(mp4.asset("size_change_h264.mp4"))[0])
    assert not same_parameters(first, mp4.read(mp4.asset("aac_only.mp4"))[0])


def test_bit_rates_of_sound_do_not_matter():
    """An esds states bit rates, which differ from one connection to the next."""
    data = mp4.asset("aac_only.mp4")
    init = mp4.read(data)[0]
    at = init.data.index(b"esds") + 8
    changed = bytearray(init.data)
    rates = init.data.index(b"\x40\x15", at) + 5
    changed[rates : rates + 8] = bytes(8)
    other = parse_init(bytes(changed))
    assert other.tracks[0].config != init.tracks[0].config
    assert same_parameters(init, other)


def test_still():
    """A keyframe's picture with its parameter sets in front, each unit after a start code."""
    init, fragments = mp4.read(mp4.asset("h264_aac.mp4"))
    stream = still(init, fragments[0])
    kinds = [unit[0] & 31 for unit in stream.split(b"\0\0\0\1")[1:]]
    assert kinds[:2] == [7, 8]
    assert 5 in kinds
    with pytest.raises(MediaError, match="decoded alone"):
        still(init, fragments[1])


def test_unknown_video_codec():
    """Another codec (Motion JPEG) has its code as its name, no sets, and its sample as it is."""
    data = mp4.init([mp4.video_trak(codec=b"jpeg")]) + mp4.fragment(3, [(1, 0, [(40, 5)], 0)])
    init, (fragment,) = mp4.read(data)
    assert codec_string(init.reference) == "jpeg"
    assert parameter_sets(init.reference) == fragment_parameters(init, fragment) == ParameterSets()
    assert still(init, fragment) == b"\3" * 5


def test_quicktime_sound():
    """QuickTime's sound entries: version 1 with its esds inside wave, version 2 with a floating-point
    rate."""
    esds = mp4.read(mp4.asset("aac_only.mp4"))[0].tracks[0].config
    plain = mp4.sound_entry(b"mp4a")[8:]
    wave = build(b"wave", build(b"frma", b"mp4a"), build(b"esds", esds), build(b"\0\0\0\0"))
    one = build(b"mp4a", plain[:8], b"\0\1", plain[10:28], bytes(16), wave)
    two = build(
        b"lpcm",
        plain[:8],
        b"\0\2",
        plain[10:28],
        b"\0\0\0\x48",
        bytes.fromhex("40e7700000000000"),
        b"\0\0\0\2",
        bytes(20),
    )
    inits = [parse_init(mp4.init([mp4.trak(2, b"soun", 8000, entry)], brand=b"qt  ")) for entry in (one, two)]
    assert codec_string(inits[0].tracks[0]) == "mp4a.40.2"
    assert (inits[1].tracks[0].sample_rate, inits[1].tracks[0].channels) == (48000, 2)


def test_unused_box_is_ignored():
    """A box that isn't known beside the configuration changes nothing."""
    entry = build(b"pasp", bytes(8)) + build_full(b"avcC", 1, 0x64000A, b"\xff\xe0\0")
    assert codec_string(parse_init(mp4.init([mp4.video_trak(config=entry)])).tracks[0]) == "avc1.64000A"
