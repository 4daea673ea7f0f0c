"""What one connection is sent after PLAY: frames and sound as they are captured, and sender reports."""

import asyncio
from collections.abc import Callable, Sequence

from ingest.cameras.camera import Camera
from ingest.cameras.faults import Fault, FaultKind, find
from ingest.cameras.loops import UNIT_SAMPLES, Loops, Picture, VideoLoop, VideoUnit
from ingest.cameras.protocol import VIDEO_CLOCK
from ingest.cameras.rtp import Sender
from ingest.cameras.sei import sei_nal

REPORT_EVERY_US = 5_000_000
BACKLOG_MAX_BYTES = 8 << 20


class Stream:
    """Sends a camera to one client until the client goes, falls behind by 8 MiB, or a fault ends it.

    It begins in the middle of a GOP, as cameras do that make no key frame for each client. `video` and
    `audio` are the tracks that were set up.
    """

    def __init__(
        self,
        camera: Camera,
        loops: Loops,
        faults: Sequence[Fault],
        transport: asyncio.WriteTransport,
        clock: Callable[[], int],
        *,
        video: Sender | None,
        audio: Sender | None,
    ) -> None:
        self._camera = camera
        self._loops = loops
        self._own_faults = faults
        self._transport = transport
        self._clock = clock
        self._video = video
        self._audio = audio
        self._loop: VideoLoop | None = None
        self._report_due_us = 0
        now_us = clock()
        self._skip_to(now_us - self._latency_us(self._faults(), now_us))
        if not find(self._faults(), FaultKind.KEY_START, now_us):
            self._loop = loops.video(camera.picture_at(now_us, self._faults())) if video else None

    async def run(self) -> None:
        """Sends until the connection has ended."""
        while not self._transport.is_closing():
            now_us = self._clock()
            faults = self._faults()
            if find(faults, FaultKind.DROP, now_us) or self._behind():
                self._transport.abort()
                return
            latency_us = self._latency_us(faults, now_us)
            if find(faults, FaultKind.STALL, now_us):
                self._skip_to(now_us - latency_us)
            else:
                self._send_due(now_us, latency_us, faults)
            due_us = self._camera.captured_us(self._number) + latency_us
            await asyncio.sleep(max(due_us - self._clock(), 0) / 1e6)

    def _faults(self) -> list[Fault]:
        return [*self._camera.faults, *self._own_faults]

    def _behind(self) -> bool:
        return self._transport.get_write_buffer_size() > BACKLOG_MAX_BYTES

    @staticmethod
    def _latency_us(faults: Sequence[Fault], now_us: int) -> int:
        fault = find(faults, FaultKind.LATENCY, now_us)
        return round(fault.value * 1000) if fault else 0

    def _skip_to(self, captured_us: int) -> None:
        """Goes on with what is captured after `captured_us`: picture from a key frame."""
        self._number = self._camera.next_number(captured_us)
        self._unit = self._camera.next_sound(captured_us) if self._audio else 0
        self._loop = None

    def _send_due(self, now_us: int, latency_us: int, faults: Sequence[Fault]) -> None:
        pieces: list[bytes] = []
        if now_us >= self._report_due_us:
            pieces += self._reports(now_us, faults)
            self._report_due_us = now_us + REPORT_EVERY_US
        while self._camera.captured_us(self._number) + latency_us <= now_us:
            pieces += self._picture_pieces(self._number, faults) if self._video else ()
            self._number += 1
        while self._audio and self._camera.sound_ends_us(self._unit) + latency_us <= now_us:
            pieces += self._sound_pieces(self._audio, self._unit, faults)
            self._unit += 1
        if pieces:
            self._transport.write(b"".join(pieces))

    def _reports(self, now_us: int, faults: Sequence[Fault]) -> list[bytes]:
        if find(faults, FaultKind.NO_REPORTS, now_us):
            return []
        skew = find(faults, FaultKind.SKEW, now_us)
        told_us = now_us + round(skew.value * 1e6) if skew else now_us
        return [
            sender.report(self._ticks(sender, now_us, faults), told_us)
            for sender in (self._video, self._audio)
            if sender
        ]

    def _ticks(self, sender: Sender, captured_us: int, faults: Sequence[Fault]) -> int:
        ticks = (captured_us - self._camera.start_us) * sender.clock_rate // 1_000_000
        return ticks + self._jump(sender, captured_us, faults)

    @staticmethod
    def _jump(sender: Sender, captured_us: int, faults: Sequence[Fault]) -> int:
        fault = find(faults, FaultKind.JUMP, captured_us)
        return round(fault.value * sender.clock_rate) if fault else 0

    def _picture_pieces(self, number: int, faults: Sequence[Fault]) -> list[bytes]:
        captured_us = self._camera.captured_us(number)
        unit = self._unit_at(number, self._camera.picture_at(captured_us, faults))
        if unit is None or self._video is None:
            return []
        mark = sei_nal(self._camera.picture.codec, self._camera.name, number, captured_us)
        ticks = number * VIDEO_CLOCK // self._camera.picture.fps + self._jump(self._video, captured_us, faults)
        loss = self._loss(captured_us, faults)
        return self._video.packets((*unit.head, mark, *unit.body), ticks, marked=True, loss=loss)

    def _unit_at(self, number: int, wanted: Picture) -> VideoUnit | None:
        """The access unit of a frame; the loop changes where the wanted one has a key frame."""
        if self._loop is None or self._loop.picture != wanted:
            loop = self._loops.video(wanted)
            if loop.units[number % len(loop.units)].key:
                self._loop = loop
        return None if self._loop is None else self._loop.units[number % len(self._loop.units)]

    def _sound_pieces(self, sender: Sender, unit: int, faults: Sequence[Fault]) -> list[bytes]:
        captured_us = self._camera.sound_ends_us(unit)
        loop = self._loops.audio(self._camera.sound_at(captured_us, faults))
        ticks = unit * UNIT_SAMPLES[loop.sound.codec] + self._jump(sender, captured_us, faults)
        payload = loop.units[unit % len(loop.units)]
        marked = loop.config != b""  # AAC: each packet ends its access unit; PCMU marks only a talkspurt
        return sender.packets((payload,), ticks, marked=marked, loss=self._loss(captured_us, faults))

    @staticmethod
    def _loss(captured_us: int, faults: Sequence[Fault]) -> float:
        fault = find(faults, FaultKind.LOSS, captured_us)
        return fault.value if fault else 0.0
