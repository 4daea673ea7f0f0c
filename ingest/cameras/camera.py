"""One virtual camera: what it sends, and when each of its frames is captured."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from archiver.errors import InputError
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.faults import Fault, FaultKind, Request, find
from ingest.cameras.loops import SAMPLE_RATE, UNIT_SAMPLES, Picture, Sound

LONG_GOP_SECONDS = 10
_NAME = re.compile(r"[a-z0-9-]{1,32}")


@dataclass(slots=True)
class Camera:
    """Frame n is captured at `start_us` + n / fps, whether or not anybody is connected.

    `start_us` (UTC microseconds) is the beginning of a minute, plus a phase below one frame.
    """

    name: str
    picture: Picture
    sound: Sound
    start_us: int
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(f"{self.name!r} is no camera name: 1 to 32 of a-z, 0-9 and -")
        if self.picture.codec is VideoCodec.NONE and self.sound.codec is AudioCodec.NONE:
            raise InputError(f"{self.name} has neither picture nor sound")

    def captured_us(self, number: int) -> int:
        """When frame `number` is captured."""
        return self.start_us + number * 1_000_000 // self.picture.fps

    def next_number(self, now_us: int) -> int:
        """The first frame captured after `now_us`."""
        return (now_us - self.start_us) * self.picture.fps // 1_000_000 + 1

    def sound_ends_us(self, unit: int) -> int:
        """When the last sample of a unit of sound is captured."""
        codec = self.sound.codec
        return self.start_us + (unit + 1) * UNIT_SAMPLES[codec] * 1_000_000 // SAMPLE_RATE[codec]

    def next_sound(self, now_us: int) -> int:
        """The first unit of sound whose last sample is captured after `now_us`."""
        codec = self.sound.codec
        return (now_us - self.start_us) * SAMPLE_RATE[codec] // (UNIT_SAMPLES[codec] * 1_000_000)

    def picture_at(self, now_us: int, faults: Iterable[Fault]) -> Picture:
        """The loop that shows at that time."""
        wanted = self.picture
        for fault in faults:
            if fault.active(now_us):
                wanted = changed_picture(wanted, fault.kind)
        return wanted

    def sound_at(self, now_us: int, faults: Iterable[Fault]) -> Sound:
        """The loop that is heard at that time."""
        return replace(self.sound, silent=True) if find(faults, FaultKind.MUTE, now_us) else self.sound

    def loops_for(self, requests: Iterable[Request]) -> list[Picture | Sound]:
        """Every loop that may be needed when these faults come over the ones it has."""
        pictures = {self.picture}
        kinds = {fault.kind for fault in self.faults} | {request.kind for request in requests}
        for kind in sorted(kinds):
            pictures |= {changed_picture(picture, kind) for picture in pictures}
        return [*pictures, self.sound, *([replace(self.sound, silent=True)] if FaultKind.MUTE in kinds else [])]


def changed_picture(picture: Picture, kind: FaultKind) -> Picture:
    """The picture that a fault makes of one."""
    if kind is FaultKind.FREEZE:
        return replace(picture, still=True)
    if kind is FaultKind.LONG_GOP:
        return replace(picture, gop_seconds=LONG_GOP_SECONDS)
    if kind is FaultKind.RESIZE:
        return picture.smaller()
    return picture
