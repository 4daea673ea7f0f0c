"""Small fragmented MP4 streams for tests: built by hand, and real ones from tests/assets."""

from pathlib import Path
from struct import pack

from hypothesis import strategies as st

from archiver.mp4.boxes import build, build_full
from archiver.mp4.reader import Fragment, FragmentReader, Init

ASSETS = Path(__file__).parent / "assets"
REAL = ("h264_aac.mp4", "h265_aac.mp4", "h264_mulaw.mov", "late_picture.mp4", "aac_only.mp4")

VIDEO, AUDIO = 1, 2
VIDEO_SCALE, AUDIO_SCALE = 1000, 8000
NON_SYNC = 0x01010000


def asset(name: str) -> bytes:
    """A recording made by ffmpeg: 4 s of a 64x36 test picture at 10 frames a second and a sine, GOP 2 s."""
    return (ASSETS / name).read_bytes()


def with_first_offset(data: bytes, offset: int) -> bytes:
    """The same recording, its edit list written for a first picture of another composition offset (ticks) than all
    others have: ffmpeg does so when it guessed that one's decode time too early."""
    at = data.index(b"elst") + 16
    return data[:at] + pack(">i", offset) + data[at + 4 :]


def read(data: bytes) -> tuple[Init, list[Fragment]]:
    """The init and the fragments of a whole stream."""
    first, *rest = FragmentReader().feed(data)
    assert isinstance(first, Init)
    return first, [item for item in rest if isinstance(item, Fragment)]


def visual_entry(codec=b"avc1", config=b"", width=64, height=36) -> bytes:
    fields = pack(">6xH16xHHIII H32sHh", 1, width, height, 0x480000, 0x480000, 0, 1, b"", 24, -1)
    return build(codec, fields, config)


def sound_entry(codec=b"ulaw", config=b"", channels=1, rate=8000) -> bytes:
    return build(codec, pack(">6xH8xHHHHI", 1, channels, 16, 0, 0, rate << 16), config)


def trak(track_id, handler, timescale, entry, edits=()) -> bytes:
    elst = build_full(b"elst", 0, 0, pack(">I", len(edits)), *(pack(">Iihh", *edit, 1, 0) for edit in edits))
    return build(
        b"trak",
        build_full(b"tkhd", 0, 3, pack(">IIII", 0, 0, track_id, 0), bytes(64)),
        *([build(b"edts", elst)] if edits else []),
        build(
            b"mdia",
            build_full(b"mdhd", 0, 0, pack(">IIIIHH", 0, 0, timescale, 0, 0x55C4, 0)),
            build_full(b"hdlr", 0, 0, pack(">I4s13x", 0, handler)),
            build(b"minf", build(b"stbl", build_full(b"stsd", 0, 0, pack(">I", 1), entry))),
        ),
    )


def video_trak(edits=(), **entry) -> bytes:
    return trak(VIDEO, b"vide", VIDEO_SCALE, visual_entry(**entry), edits)


def audio_trak(edits=(), **entry) -> bytes:
    return trak(AUDIO, b"soun", AUDIO_SCALE, sound_entry(**entry), edits)


def trex(track_id, duration=0, size=0, flags=0) -> bytes:
    return build_full(b"trex", 0, 0, pack(">5I", track_id, 1, duration, size, flags))


def init(traks, trexes=None, brand=b"iso5", movie_scale=1000) -> bytes:
    defaults = trexes or [trex(VIDEO), trex(AUDIO)]
    mvhd = build_full(b"mvhd", 0, 0, pack(">IIII", 0, 0, movie_scale, 0), bytes(80))
    return build(b"ftyp", brand, bytes(4)) + build(b"moov", mvhd, *traks, build(b"mvex", *defaults))


def both(**options) -> bytes:
    return init([video_trak(), audio_trak()], **options)


def traf(
    track_id, decode_time, rows=(), *, samples=None, version=0, offset=None, first_flags=None, defaults=()
) -> bytes:
    """`rows`: per sample (duration, size); without them `samples` with the defaults (flag, value) of tfhd."""
    head = sum(flag for flag, _ in defaults) | 0x020000
    tfhd = build_full(b"tfhd", 0, head, pack(">I", track_id), *(pack(">I", value) for _, value in defaults))
    tfdt = build_full(b"tfdt", version, 0, pack(">Q" if version else ">I", decode_time))
    flags = (0x300 if rows else 0) | (offset is not None) | (4 if first_flags is not None else 0)
    fields = [] if offset is None else [pack(">i", offset)]
    fields += [] if first_flags is None else [pack(">I", first_flags)]
    count = len(rows) if samples is None else samples
    trun = build_full(b"trun", 0, flags, pack(">I", count), *fields, *(pack(">II", *row) for row in rows))
    return build(b"traf", tfhd, tfdt, trun)


def moof(*trafs, sequence=1) -> bytes:
    return build(b"moof", build_full(b"mfhd", 0, 0, pack(">I", sequence)), *trafs)


def fragment(sequence, tracks, before=b"", version=0) -> bytes:
    """`tracks`: per track (number, decode time, rows, first flags); all sample data are the sequence number's
    byte."""
    size = sum(row[1] for _, _, rows, _ in tracks for row in rows)

    def head(at: int) -> bytes:
        trafs = []
        for track_id, time, rows, first in tracks:
            trafs.append(traf(track_id, time, rows, version=version, offset=at, first_flags=first))
            at += sum(row[1] for row in rows)
        return moof(*trafs, sequence=sequence)

    return before + head(len(head(0)) + 8) + build(b"mdat", bytes([sequence % 256]) * size)


def plain_fragment(track_id, time, *, samples, size, defaults=(), offset=None) -> bytes:
    """One track whose trun has no columns."""

    def head(at: int) -> bytes:
        return moof(traf(track_id, time, samples=samples, offset=at, defaults=defaults))

    return head(len(head(0)) + 8 if offset is None else offset) + build(b"mdat", bytes(samples * size))


def prft(seconds, fraction=0, track_id=VIDEO, media_time=0) -> bytes:
    """`seconds`: NTP's 32 bits."""
    return build_full(b"prft", 1, 24, pack(">IIIQ", track_id, seconds, fraction, media_time))


@st.composite
def damaged(draw, original: bytes) -> bytes:
    """`original` cut somewhere, with some bytes overwritten, half of them near the beginning where the
    structure is."""
    stream = bytearray(original[: draw(st.integers(0, len(original)))])
    for _ in range(draw(st.integers(0, 6)) if stream else 0):
        limit = draw(st.sampled_from([min(4000, len(stream)), len(stream)]))
        stream[draw(st.integers(0, limit - 1))] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
    return bytes(stream)
