"""Encoded picture and sound that all cameras share: encoded once, kept in the user's cache folder.

A loop is as long as a minute and starts with it, so its burnt-in seconds are those of the wall clock.
"""

import asyncio
import hashlib
import json
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import av
import ffmpeg

from archiver.errors import MediaError, ProgramError
from ingest.cameras.codecs import (
    AudioCodec,
    VideoCodec,
    is_key,
    is_parameter_set,
    is_slice,
    split_annex_b,
)
from ingest.cameras.rtp import aac_payload, nal_payloads

LOOP_SECONDS = 60
RECIPE = 1  # part of every file name: raise it when the same parameters shall encode to other bytes
SAMPLE_RATE = {AudioCodec.AAC: 32_000, AudioCodec.PCMU: 8_000}  # a minute is a whole number of units
UNIT_SAMPLES = {AudioCodec.AAC: 1024, AudioCodec.PCMU: 160}
_ENCODE_LIMIT_S = 600


@dataclass(frozen=True, slots=True)
class Picture:
    """Parameters of a video loop. `still` shows one picture all the time."""

    codec: VideoCodec
    width: int = 640
    height: int = 360
    fps: int = 25
    gop_seconds: int = 2
    bits_per_second: int = 600_000
    noise: int = 7
    still: bool = False

    def smaller(self) -> "Picture":
        """The same at half the size: what a camera sends after a change of its settings."""
        return replace(self, width=self.width // 4 * 2, height=self.height // 4 * 2)


@dataclass(frozen=True, slots=True)
class Sound:
    """Parameters of an audio loop: a tone at each second, or silence."""

    codec: AudioCodec
    silent: bool = False


@dataclass(frozen=True, slots=True)
class VideoUnit:
    """RTP payloads of one access unit: `head` (parameter sets), then the mark's place, then `body`."""

    head: tuple[bytes, ...]
    body: tuple[bytes, ...]

    @property
    def key(self) -> bool:
        """Whether decoding can begin here: exactly these carry parameter sets."""
        return bool(self.head)


@dataclass(frozen=True, slots=True)
class VideoLoop:
    """A minute of picture; `parameter_sets` are VPS, SPS, PPS as NAL units."""

    picture: Picture
    parameter_sets: tuple[bytes, ...]
    units: tuple[VideoUnit, ...]


@dataclass(frozen=True, slots=True)
class AudioLoop:
    """A minute of sound as RTP payloads; `config` is the AudioSpecificConfig of AAC, else empty."""

    sound: Sound
    config: bytes
    units: tuple[bytes, ...]


def cache_folder(environment: Mapping[str, str]) -> Path:
    """`archiver/loops` in the user's cache folder (XDG base directory specification)."""
    base = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "archiver" / "loops"


class Loops:
    """Loops by their parameters: from memory, else the cache folder, else the encoder."""

    def __init__(self, folder: Path, program: str) -> None:
        self._folder = folder
        self._program = program
        self._ready: dict[Picture | Sound, VideoLoop | AudioLoop] = {}
        self._lock = asyncio.Lock()

    async def prepare(self, *specs: Picture | Sound) -> None:
        """Makes loops ready, encoding outside of the event loop; MediaError, ProgramError."""
        async with self._lock:
            for spec in specs:
                if spec.codec != "none" and spec not in self._ready:
                    self._ready[spec] = await asyncio.to_thread(self._load, spec)

    def video(self, picture: Picture) -> VideoLoop:
        """A prepared video loop."""
        loop = self._ready[picture]
        assert isinstance(loop, VideoLoop)  # noqa: S101 for the type checker
        return loop

    def audio(self, sound: Sound) -> AudioLoop:
        """A prepared audio loop."""
        loop = self._ready[sound]
        assert isinstance(loop, AudioLoop)  # noqa: S101 for the type checker
        return loop

    def _load(self, spec: Picture | Sound) -> VideoLoop | AudioLoop:
        path = self._folder / file_name(spec)
        if path.exists():
            with suppress(MediaError):  # it is a cache: what is damaged there is made again
                return read(spec, path)
        encode(spec, path, self._program)
        return read(spec, path)


def file_name(spec: Picture | Sound) -> str:
    """Name in the cache folder: it carries a digest of the parameters."""
    text = json.dumps({"recipe": RECIPE, **asdict(spec)}, sort_keys=True)
    suffix = "m4a" if spec.codec is AudioCodec.AAC else str(spec.codec)
    return f"{spec.codec}-{hashlib.sha256(text.encode()).hexdigest()[:20]}.{suffix}"


def encode(spec: Picture | Sound, path: Path, program: str) -> None:
    """Encodes a loop and puts it at `path` in one step, so that processes may race; ProgramError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        _run(program, arguments(spec, made))
        made.replace(path)


def arguments(spec: Picture | Sound, path: Path) -> list[str]:
    """Arguments of the ffmpeg run that writes the loop to `path`."""
    stream = _video_output(spec, path) if isinstance(spec, Picture) else _audio_output(spec, path)
    return list(stream.global_args("-nostdin", "-v", "error").overwrite_output().get_args())


def _video_output(picture: Picture, path: Path) -> "ffmpeg.nodes.OutputStream":
    size = f"{picture.width}x{picture.height}"
    source = ffmpeg.input(f"testsrc=size={size}:rate={picture.fps}", f="lavfi")
    source = source.filter("noise", alls=picture.noise, allf="t")
    if picture.still:
        source = source.filter("loop", loop=-1, size=1, start=0)
    options: dict[str, object] = {
        "pix_fmt": "yuv420p",
        "preset": "ultrafast",
        "b:v": picture.bits_per_second,
        "maxrate": 2 * picture.bits_per_second,
        "bufsize": 2 * picture.bits_per_second,
        "frames:v": LOOP_SECONDS * picture.fps,
    }
    return ffmpeg.output(source, str(path), **options, **_codec_options(picture))


def _codec_options(picture: Picture) -> dict[str, object]:
    """Closed GOPs of one length and no B-frames: any access unit stands where its number says."""
    gop = picture.gop_seconds * picture.fps
    if picture.codec is VideoCodec.H264:
        fixed = {"g": gop, "keyint_min": gop, "sc_threshold": 0, "bf": 0}
        return {"c:v": "libx264", "f": "h264", **fixed}
    fixed_265 = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0:open-gop=0:repeat-headers=1:log-level=error"
    return {"c:v": "libx265", "f": "hevc", "x265-params": fixed_265}


def _audio_output(sound: Sound, path: Path) -> "ffmpeg.nodes.OutputStream":
    tone = "0" if sound.silent else "0.3*sin(2*PI*880*t)*lt(mod(t,1),0.1)+0.03*sin(2*PI*220*t)"
    source = ffmpeg.input(f"aevalsrc='{tone}':s={SAMPLE_RATE[sound.codec]}", f="lavfi")
    codec = {"c:a": "aac", "b:a": "64k", "f": "ipod"}
    if sound.codec is AudioCodec.PCMU:
        codec = {"c:a": "pcm_mulaw", "f": "mulaw"}
    return ffmpeg.output(source, str(path), t=LOOP_SECONDS + 1, **codec)


def _run(program: str, args: list[str]) -> None:
    try:
        done = subprocess.run([program, *args], capture_output=True, timeout=_ENCODE_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProgramError(f"{program} could not encode a loop: {error}") from error
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip()[-500:]
        raise ProgramError(f"{program} could not encode a loop (exit {done.returncode}): {told}")


def read(spec: Picture | Sound, path: Path) -> VideoLoop | AudioLoop:
    """A loop from its file; MediaError when it isn't one."""
    return read_video(spec, path) if isinstance(spec, Picture) else read_audio(spec, path)


def read_video(picture: Picture, path: Path) -> VideoLoop:
    """A video loop from its file; MediaError when it isn't a minute of such pictures."""
    units = tuple(_video_unit(picture.codec, data) for data in _packets(path))
    if len(units) != LOOP_SECONDS * picture.fps or not units[0].key:
        raise MediaError(f"{path} is no loop of {LOOP_SECONDS} s")
    return VideoLoop(picture, units[0].head, units)


def _video_unit(codec: VideoCodec, data: bytes) -> VideoUnit:
    nals = split_annex_b(data)
    key = any(is_key(codec, nal) for nal in nals)
    head = tuple(nal for nal in nals if key and is_parameter_set(codec, nal))
    slices = [nal for nal in nals if is_slice(codec, nal)]
    return VideoUnit(head, tuple(payload for nal in slices for payload in nal_payloads(codec, nal)))


def read_audio(sound: Sound, path: Path) -> AudioLoop:
    """An audio loop from its file; MediaError when it is shorter than a minute."""
    config, units = _aac_units(path) if sound.codec is AudioCodec.AAC else (b"", _pcm_units(path))
    count = LOOP_SECONDS * SAMPLE_RATE[sound.codec] // UNIT_SAMPLES[sound.codec]
    if len(units) < count:
        raise MediaError(f"{path} is no loop of {LOOP_SECONDS} s")
    return AudioLoop(sound, config, units[:count])


def _aac_units(path: Path) -> tuple[bytes, tuple[bytes, ...]]:
    """The access units from time 0 on: what stands before is the encoder's priming."""
    with _opened(path) as container:
        config = container.streams.audio[0].codec_context.extradata or b""
        packets = container.demux(container.streams.audio[0])
        units = [bytes(packet) for packet in packets if packet.size and (packet.pts or 0) >= 0]
    return config, tuple(aac_payload(unit) for unit in units)


def _pcm_units(path: Path) -> tuple[bytes, ...]:
    data, size = path.read_bytes(), UNIT_SAMPLES[AudioCodec.PCMU]
    return tuple(data[at : at + size] for at in range(0, len(data) - size + 1, size))


def _packets(path: Path) -> list[bytes]:
    with _opened(path) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def _opened(path: Path) -> "av.container.InputContainer":
    try:
        return av.open(str(path), "r")
    except av.FFmpegError as error:
        raise MediaError(f"{path} can't be read: {error}") from error
