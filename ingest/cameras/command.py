"""The farm as a process: what `archiver cameras` runs."""

import asyncio
import json
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TextIO

from archiver.errors import InputError
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.farm import CameraSpec, Farm, FarmOptions
from ingest.cameras.faults import FaultKind
from ingest.cameras.loops import Picture

PROFILES = {
    "demo": Picture(VideoCodec.H264),
    "bench": Picture(VideoCodec.H264, width=1920, height=1080, bits_per_second=4_200_000, noise=12),
}
_CUT = re.compile(r"(?P<name>[a-z0-9-]+):(?P<after>[0-9]+(?:\.[0-9]+)?):(?P<seconds>[0-9]+(?:\.[0-9]+)?)")


@dataclass(frozen=True, slots=True)
class CamerasOptions:
    """`count` cameras named cam1, cam2, … of one make; `specs` are further ones, as NAME:VIDEO:AUDIO.

    `cuts` are NAME:AT:SECONDS: the camera is gone for SECONDS, AT seconds after the start.
    """

    count: int = 1
    video: VideoCodec = VideoCodec.H264
    audio: AudioCodec = AudioCodec.AAC
    specs: Sequence[str] = ()
    profile: str = "demo"
    cuts: Sequence[str] = ()
    farm: FarmOptions = field(default_factory=FarmOptions)


@dataclass(frozen=True, slots=True)
class Cut:
    """A camera that is gone for `seconds`, `after_s` seconds after the start."""

    camera: str
    after_s: float
    seconds: float


def run_cameras(options: CamerasOptions, out: TextIO | None = None) -> int:
    """Prints one JSON line per camera (name, url, video, audio), then runs until SIGTERM or SIGINT.

    Returns the exit code. Raises InputError for options that don't fit, and what `Farm` raises.
    """
    cameras, cuts = camera_specs(options), [parse_cut(text) for text in options.cuts]
    unknown = {cut.camera for cut in cuts} - {camera.name for camera in cameras}
    if unknown:
        raise InputError(f"a cut names no camera: {', '.join(sorted(unknown))}")
    asyncio.run(_run(cameras, cuts, options.farm, out or sys.stdout))
    return 0


def camera_specs(options: CamerasOptions) -> list[CameraSpec]:
    """The cameras that the options ask for; InputError for an unknown profile or codec."""
    if options.profile not in PROFILES:
        raise InputError(f"no profile {options.profile!r}: there are {', '.join(PROFILES)}")
    names = [f"cam{number}:{options.video}:{options.audio}" for number in range(1, options.count + 1)]
    return [_spec(text, PROFILES[options.profile]) for text in [*names, *options.specs]]


def parse_cut(text: str) -> Cut:
    """A cut from NAME:AT:SECONDS; InputError for anything else."""
    match = _CUT.fullmatch(text)
    if match is None:
        raise InputError(f"a cut is NAME:AT:SECONDS, not {text!r}")
    return Cut(match["name"], float(match["after"]), float(match["seconds"]))


def _spec(text: str, profile: Picture) -> CameraSpec:
    try:
        name, video, audio = text.split(":")
        codecs = VideoCodec(video), AudioCodec(audio)
    except ValueError as error:
        allowed = f"{'|'.join(VideoCodec)}:{'|'.join(AudioCodec)}"
        raise InputError(f"a camera is NAME:{allowed}, not {text!r}") from error
    return CameraSpec(name, *codecs, replace(profile, codec=codecs[0]))


async def _run(cameras: list[CameraSpec], cuts: list[Cut], options: FarmOptions, out: TextIO) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with Farm(cameras, options) as farm:
        for cut in cuts:
            await farm.fault(cut.camera, FaultKind.REFUSE, after_s=cut.after_s, seconds=cut.seconds)
        for camera in cameras:
            told = {"name": camera.name, "url": farm.urls[camera.name]}
            codecs = {"video": camera.video, "audio": camera.audio}
            print(json.dumps({**told, **codecs}), file=out, flush=True)
        await stopped.wait()
