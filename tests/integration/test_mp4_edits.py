"""Stretches of real recordings, decoded: exactly the frames asked for, in MP4s made of stored bytes."""

import subprocess
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO

import av
import imageio_ffmpeg
import pytest

from archiver.mp4.codecs import same_parameters, still
from archiver.mp4.edits import joining_shifts, shift_tfdt, with_edit_list, with_steady_offset
from archiver.mp4.fragments import steady_offset
from archiver.mp4.index import covering, index
from archiver.mp4.init import parse_init
from archiver.mp4.progressive import Part, progressive_head
from archiver.mp4.reader import Fragment, Init
from tests import mp4_streams as mp4

WIDTH, HEIGHT, RATE, FRAMES = 64, 32, 10, 60
GOP = 20
BITS = 8
FLAGS = "+frag_keyframe+delay_moov+default_base_moof+skip_trailer"
CODERS = {
    "h264": ["-c:v", "libx264", "-bf", "0", "-x264-params", f"keyint={GOP}:scenecut=0"],
    "h264_b": ["-c:v", "libx264", "-bf", "3", "-x264-params", f"keyint={GOP}:scenecut=0:b-adapt=0"],
    "h265": ["-c:v", "libx265", "-x265-params", f"keyint={GOP}:scenecut=0:open-gop=0:log-level=none", "-tag:v", "hev1"],
}


def numbered(number: int) -> bytes:
    """A yuv420p picture that shows `number` as black and white columns, one per bit."""
    column = WIDTH // BITS
    row = b"".join((b"\xeb" if number >> bit & 1 else b"\x10") * column for bit in range(BITS))
    return row * HEIGHT + b"\x80" * (WIDTH * HEIGHT // 2)


def number_of(frame: av.VideoFrame) -> int:
    plane = frame.planes[0]
    row = bytes(plane)[plane.line_size * (HEIGHT // 2) :]
    column = WIDTH // BITS
    return sum(1 << bit for bit in range(BITS) if row[bit * column + column // 2] > 128)


@dataclass(frozen=True)
class Recording:
    init: Init
    fragments: list[Fragment]

    def covering(self, start: Fraction, end: Fraction) -> list[Fragment]:
        segment = index(self.init.data + b"".join(fragment.data for fragment in self.fragments))
        numbers = [segment.fragments.index(one) for one in covering(self.init, segment.fragments, start, end)]
        return [self.fragments[number] for number in numbers]


def record(coder: str, sound: str, *, first: int = 0, delay: str = "0") -> Recording:
    """What ffmpeg writes to a pipe for FRAMES numbered pictures and noise."""
    muxer = "mov" if sound.startswith("pcm") else "mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p"]
    command += ["-s", f"{WIDTH}x{HEIGHT}", "-framerate", str(RATE), "-itsoffset", delay, "-i", "pipe:0"]
    command += [
        "-f",
        "lavfi",
        "-i",
        f"anoisesrc=sample_rate=16000:seed=7:duration={FRAMES / RATE}",
        "-c:a",
        sound,
        "-ac",
        "1",
    ]
    command += [*CODERS[coder], "-threads", "1", "-write_prft", "wallclock", "-movflags", FLAGS]
    command += ["-frag_duration", "1000000", "-flush_packets", "1", "-f", muxer, "pipe:1"]
    pictures = b"".join(numbered(first + number) for number in range(FRAMES))
    done = subprocess.run(command, input=pictures, capture_output=True, check=True, timeout=60)
    return Recording(*mp4.read(done.stdout))


@pytest.fixture(
    scope="module",
    params=[("h264", "aac"), ("h264_b", "aac"), ("h265", "aac"), ("h264_b", "pcm_mulaw"), ("h264_b", "aac", "1.1")],
    ids="-".join,
)
def recording(request) -> Recording:
    """The last one's picture begins 1.1 s after its sound."""
    coder, sound, *delay = request.param
    return record(coder, sound, delay=delay[0] if delay else "0")


def shown(data: bytes) -> list[tuple[int, float]]:
    """(number, time) of every decoded picture."""
    with av.open(BytesIO(data)) as container:
        return [(number_of(frame), float(frame.time)) for frame in container.decode(video=0)]


def heard(data: bytes) -> tuple[float, float]:
    """When the decoded sound begins and ends, in seconds."""
    with av.open(BytesIO(data)) as container:
        frames = [(float(frame.time), frame.samples / frame.sample_rate) for frame in container.decode(audio=0)]
    return frames[0][0], frames[-1][0] + frames[-1][1]


def head_of(fragment: Fragment) -> bytes:
    return fragment.data[: min(run.first_offset for run in fragment.tracks.values())]


STRETCHES = [(0, 10), (7, 24), (20, 40), (25, 26), (33, 60), (0, 60)]


@pytest.mark.parametrize(("first", "last"), STRETCHES)
def test_plain_mp4_shows_exactly_the_stretch(recording, first, last):
    """Every frame of [from, to), none before, none after, at its time; the sound as long as the picture."""
    start, end = Fraction(first, RATE), Fraction(last, RATE)
    fragments = recording.covering(start, end)
    parts = [Part(head_of(fragment), len(fragment.data)) for fragment in fragments]
    data = progressive_head(recording.init, parts, start, end - start) + b"".join(f.data for f in fragments)
    assert shown(data) == [(number, pytest.approx((number - first) / RATE)) for number in range(first, last)]
    begin, finish = heard(data)
    assert begin == pytest.approx(0, abs=0.13)
    assert finish <= float(end - start) + 0.13


@pytest.mark.parametrize(("first", "last"), STRETCHES)
def test_a_first_picture_of_another_offset_moves_nothing(first, last):
    """An edit list made for it is told anew by the offset that the pictures of a later fragment have."""
    recorded = record("h264", "pcm_mulaw")
    odd = parse_init(mp4.with_first_offset(recorded.init.data, 700))
    assert odd.reference.media_start == 700
    later = recorded.fragments[-1]
    offset = steady_offset(odd, head_of(later), len(later.data))
    start, end = Fraction(first, RATE), Fraction(last, RATE)
    fragments = recorded.covering(start, end)
    parts = [Part(head_of(fragment), len(fragment.data)) for fragment in fragments]
    media = b"".join(fragment.data for fragment in fragments)
    wrong = progressive_head(odd, parts, start, end - start) + media
    right = progressive_head(with_steady_offset(odd, offset), parts, start, end - start) + media
    assert [number for number, _ in shown(right)] == list(range(first, last))
    assert shown(wrong) != shown(right)


@pytest.mark.parametrize(("first", "last"), STRETCHES)
def test_edit_list_places_the_stretch(recording, first, last):
    """In a fragmented file too the frames of [from, to) have the times 0 to its duration, and only they
    have."""
    start, end = Fraction(first, RATE), Fraction(last, RATE)
    data = with_edit_list(recording.init, start, end - start)
    data += b"".join(fragment.data for fragment in recording.covering(start, end))
    inside = [(number, time) for number, time in shown(data) if -0.01 < time < float(end - start) - 0.01]
    assert inside == [(number, pytest.approx((number - first) / RATE)) for number in range(first, last)]


def test_sound_and_picture_stay_together(recording):
    """A stretch's sound is as far from its picture as in the whole recording."""
    whole = recording.init.data + b"".join(fragment.data for fragment in recording.fragments)
    start, end = Fraction(5, 2), Fraction(9, 2)
    fragments = recording.covering(start, end)
    cut = with_edit_list(recording.init, start, end - start) + b"".join(f.data for f in fragments)
    with av.open(BytesIO(whole)) as container:
        pictures = {number_of(frame): frame.time for frame in container.decode(video=0)}
    with av.open(BytesIO(cut)) as container:
        moved = {number_of(frame): frame.time for frame in container.decode(video=0)}
    shift = pictures[30] - moved[30]
    sounds = [packets(data) for data in (whole, cut)]
    common = sounds[0].keys() & sounds[1].keys()
    assert len(common) > 2
    for content in common:
        assert sounds[0][content] - sounds[1][content] == pytest.approx(shift, abs=0.001)


def packets(data: bytes) -> dict[bytes, float]:
    """When each distinct packet of sound is presented."""
    with av.open(BytesIO(data)) as container:
        stream = container.streams.audio[0]
        found = [
            (bytes(packet), float(packet.pts * stream.time_base)) for packet in container.demux(stream) if packet.size
        ]
    contents = [content for content, _ in found]
    return {content: time for content, time in found if contents.count(content) == 1}


@pytest.mark.parametrize("plain", [False, True], ids=["fragmented", "plain"])
def test_two_recordings_in_one_file(plain):
    """Joined with shifted decode times, all frames of both decode, and the gap between them is kept."""
    first = record("h264_b", "aac")
    second = record("h264_b", "aac", first=100, delay="0.7")
    assert first.init.data != second.init.data
    assert same_parameters(first.init, second.init)
    shifts = joining_shifts(first.init, second.init, Fraction(10))
    stretch = Fraction(0), Fraction(16)
    if plain:
        parts = [Part(head_of(f), len(f.data)) for f in first.fragments]
        parts += [Part(head_of(f), len(f.data), shifts) for f in second.fragments]
        stored = b"".join(f.data for f in [*first.fragments, *second.fragments])
        data = progressive_head(first.init, parts, *stretch) + stored
    else:
        moved = shift_tfdt(b"".join(f.data for f in second.fragments), shifts, sequence=100)
        data = with_edit_list(first.init, *stretch) + b"".join(f.data for f in first.fragments) + moved
    expected = [(n, pytest.approx(n / RATE)) for n in range(FRAMES)]
    expected += [(100 + n, pytest.approx(10 + n / RATE)) for n in range(FRAMES)]
    assert shown(data) == expected
    assert complaints(data) == ""


def complaints(data: bytes) -> str:
    """What ffmpeg says of a file that it decodes from end to end."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "warning", "-i", "pipe:0", "-f", "null", "-"]
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=60).stderr.decode()


def test_still_decodes(recording):
    """A keyframe fragment's first picture decodes alone, to the frame that it is."""
    fragment = next(f for f in recording.fragments if f.keyframe and f.tfdt)
    decoder = av.CodecContext.create("h264" if recording.init.reference.codec == "avc1" else "hevc", "r")
    frames = [*decoder.decode(av.Packet(still(recording.init, fragment))), *decoder.decode(None)]
    assert [number_of(frame) for frame in frames] == [round(fragment.tfdt / recording.init.reference.timescale * RATE)]
