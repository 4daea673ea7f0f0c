"""Virtual cameras over real RTSP: read by ffmpeg and libav, judged by the marks of their frames."""

import json
import signal
import socket
import struct
import subprocess
import sys
import time
from array import array
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import dropwhile, pairwise
from pathlib import Path

import av
import imageio_ffmpeg
import pytest

from ingest.adapters.ffmpeg import find_ffmpeg
from ingest.cameras.background import BackgroundFarm
from ingest.cameras.codecs import AudioCodec, VideoCodec
from ingest.cameras.farm import CameraSpec, FarmOptions
from ingest.cameras.faults import FaultKind
from ingest.cameras.loops import Picture, encode, file_name, read_video
from ingest.cameras.sei import Mark, continuity, marks_in_samples, read_marks

CHECKOUT = Path(__file__).parents[2]
FFMPEGS = sorted({find_ffmpeg(), str(imageio_ffmpeg.get_ffmpeg_exe())})
COMBINATIONS = [(video, audio) for video in VideoCodec for audio in AudioCodec if {video, audio} != {"none"}]
FAULTS = {
    "healthy": "",
    "stall": "stall=@3-5",
    "freeze": "freeze=@2",
    "mute": "mute=@2",
    "resize": "resize=@2",
    "jump": "jump=30@4",
    "skew": "skew=3600",
    "no_reports": "no_reports",
    "no_sprop": "no_sprop",
    "latency": "latency=500",
    "loss": "loss=0.05@1",
    "key_start": "key_start",
    "drop": "drop=@4",
}
READ_S = 8


def small(video: VideoCodec) -> Picture:
    """A picture that encodes within seconds."""
    return Picture(video, width=320, height=180, bits_per_second=200_000, noise=2)


def spec(name: str, video: VideoCodec = VideoCodec.H264, audio: AudioCodec = AudioCodec.AAC) -> CameraSpec:
    return CameraSpec(name, video, audio, small(video))


@dataclass(frozen=True)
class Packet:
    """One packet as libav gave it; `prft_us` is the capture time that sender reports tell."""

    kind: str
    key: bool
    data: bytes
    pts_s: float | None
    prft_us: int | None
    arrived_us: int


@dataclass(frozen=True)
class Reading:
    """What a client got, and whether the camera ended it."""

    packets: list[Packet]
    ended: bool

    def picture(self) -> list[tuple[Packet, Mark]]:
        """Packets of picture with their marks."""
        pairs = [(packet, marks_in_samples([(packet.data, 0)])) for packet in self.packets]
        return [(packet, mark) for packet, marks in pairs for mark in marks]

    def marks(self) -> list[Mark]:
        return [mark for _, mark in self.picture()]

    def decoded(self, kind: str) -> list:
        """Frames of a track in order, from its first key frame on."""
        decoder = av.CodecContext.create("h264" if kind == "video" else "aac", "r")
        decoder.extradata = bytes.fromhex("1288") if kind == "audio" else None
        track = [packet for packet in self.packets if packet.kind == kind]
        packets = [av.Packet(packet.data) for packet in dropwhile(lambda packet: not packet.key, track)]
        return [frame for packet in packets for frame in decoder.decode(packet)]


def read(url: str, seconds: float, now_us) -> Reading:
    """Reads a camera with libav for some seconds, or until it ends."""
    packets, until, ended = [], time.monotonic() + seconds, True
    with suppress(av.FFmpegError), av.open(url, options={"rtsp_transport": "tcp"}, timeout=20) as container:
        for packet in container.demux():
            if not packet.size:
                break
            packets.append(_packet(packet, now_us()))
            if time.monotonic() > until:
                ended = False
                break
    return Reading(packets, ended)


def _packet(packet: av.Packet, now_us: int) -> Packet:
    prft = [bytes(data) for data in packet.iter_sidedata() if data.data_type == "prft"]
    pts = None if packet.pts is None else float(packet.pts * packet.time_base)
    told = struct.unpack("<q", prft[0][:8])[0] if prft else None
    return Packet(packet.stream.type, packet.is_keyframe, bytes(packet), pts, told, now_us)


def record(ffmpeg: str, url: str, seconds: float, out: Path, *more: str) -> subprocess.CompletedProcess:
    """Plain ffmpeg, as anybody would record a camera."""
    args = [ffmpeg, "-nostdin", "-y", "-v", "error", "-rtsp_transport", "tcp", *more, "-i", url]
    args += ["-t", str(seconds), "-c", "copy", str(out)]
    return subprocess.run(args, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def farm():
    """One camera per combination of codecs."""
    with BackgroundFarm([spec(f"{video}-{audio}", video, audio) for video, audio in COMBINATIONS]) as running:
        yield running


@pytest.fixture(scope="module")
def readings(farm) -> dict[str, Reading]:
    """One camera read once with each fault, all at the same time."""
    url = farm.urls["h264-aac"]
    with ThreadPoolExecutor(len(FAULTS)) as pool:
        work = {name: pool.submit(read, f"{url}?{query}", READ_S, farm.now_us) for name, query in FAULTS.items()}
        return {name: future.result() for name, future in work.items()}


@pytest.mark.parametrize("ffmpeg", FFMPEGS, ids=lambda path: Path(path).name[:12])
def test_ffmpeg_records_every_combination_whole(ffmpeg, farm, tmp_path):
    """No frame is lost or doubled, and the frames lie in the file as they were captured.

    (ffmpeg gives the first picture of an RTSP stream no timestamp: it is left out of the comparison.)
    """
    outs = {name: tmp_path / f"{name}.mov" for name in farm.urls}
    with ThreadPoolExecutor(len(outs)) as pool:
        done = list(pool.map(lambda name: record(ffmpeg, farm.urls[name], 4, outs[name]), outs))
    assert [run.returncode for run in done] == [0] * len(outs), [run.stderr for run in done]
    for name, out in outs.items():
        with av.open(str(out)) as container:
            codecs = {stream.codec_context.name for stream in container.streams}
        video, audio = name.split("-")
        assert codecs == {{"h265": "hevc", "pcmu": "pcm_mulaw"}.get(c, c) for c in (video, audio)} - {"none"}
        if video != "none":
            _judge(name, read_marks(out))


def _judge(name: str, marks: list[Mark]) -> None:
    assert len(marks) > 40
    assert {mark.camera for mark in marks} == {name}
    verdict = continuity(marks)
    assert (verdict.lost, verdict.doubled) == ((), ())
    offsets = [mark.captured_at_us / 1e6 - mark.pts_seconds for mark in marks[2:]]
    assert max(offsets) - min(offsets) < 0.002


def test_numbers_go_on_between_connections(farm):
    """A frame's number follows from its time of capture alone, whoever watches."""
    url = farm.urls["h264-none"]
    first, second = (read(url, 1, farm.now_us).marks() for _ in range(2))
    frames = second[0].number - first[0].number
    assert frames > 0
    assert second[0].captured_at_us - first[0].captured_at_us == frames * 40_000


def test_a_healthy_stream_is_whole_and_on_time(readings):
    """Frames come within a moment of their capture, and sender reports tell the time of each."""
    pairs = readings["healthy"].picture()
    assert len(pairs) > 100
    assert continuity(mark for _, mark in pairs).lost == ()
    assert all(abs(packet.prft_us - mark.captured_at_us) < 1000 for packet, mark in pairs)
    late = sorted(packet.arrived_us - mark.captured_at_us for packet, mark in pairs[25:])
    assert 0 <= late[0] < 200_000


def test_a_stall_keeps_the_connection_and_loses_frames_in_one_piece(readings):
    """Two seconds without a byte; then it goes on with a key frame."""
    reading = readings["stall"]
    lost = continuity(reading.marks()).lost
    assert not reading.ended
    assert 45 <= len(lost) <= 105
    assert lost == tuple(range(lost[0], lost[-1] + 1))


def test_a_frozen_picture_repeats_while_its_marks_go_on(readings):
    """The last seconds decode to one picture; not a number is missing."""
    reading = readings["freeze"]
    frames = [bytes(frame.planes[0]) for frame in reading.decoded("video")]
    assert _difference(frames[-1], frames[-30]) < 1
    assert _difference(frames[40], frames[10]) > _difference(frames[-1], frames[-30]) + 1
    assert continuity(reading.marks()).lost == ()


def test_a_muted_camera_sends_silence(readings):
    """Sound goes on in time, without a tone."""
    frames = readings["mute"].decoded("audio")
    loud = [max(map(abs, array("f", bytes(frame.planes[0])))) for frame in frames]
    assert max(loud[:31]) > 0.1
    assert max(loud[-60:]) < 0.001


def test_a_change_of_size_comes_in_the_stream(readings):
    """Half the size from a key frame on, with its own parameter sets, and no frame is missing."""
    reading = readings["resize"]
    sizes = [(frame.width, frame.height) for frame in reading.decoded("video")]
    assert list(dict.fromkeys(sizes)) == [(320, 180), (160, 90)]
    assert continuity(reading.marks()).lost == ()


def test_timestamps_jump(readings):
    """RTP time is 30 s ahead from one frame to the next, capture time is not."""
    pairs = [(packet.pts_s, mark.captured_at_us) for packet, mark in readings["jump"].picture()[1:]]
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(pairs)]
    assert max(step for step, _ in steps) == pytest.approx(30.04, abs=0.01)
    assert {captured for _, captured in steps} == {40_000}


def test_a_wrong_clock_shows_in_the_reports_only(readings):
    """Sender reports are an hour ahead; the marks tell the truth."""
    pairs = readings["skew"].picture()
    offsets = [packet.prft_us - mark.captured_at_us for packet, mark in pairs]
    assert all(abs(offset - 3_600_000_000) < 1000 for offset in offsets)


def test_without_sender_reports_no_time_is_told(readings):
    """Frames come all the same."""
    packets = readings["no_reports"].packets
    assert len(readings["no_reports"].marks()) > 100
    assert all(packet.prft_us is None for packet in packets)


def test_without_sprop_the_stream_alone_tells_the_parameter_sets(readings, farm):
    """libav finds them in band."""
    assert len(readings["no_sprop"].decoded("video")) > 100


def test_a_stream_begins_within_a_gop_or_at_its_key_frame(readings):
    """Each camera does one or the other; the first key frame is 2 s away at most."""
    firsts = {name: readings[name].picture()[0] for name in ("healthy", "key_start")}
    first = firsts["key_start"][0]
    assert first.key
    assert firsts["healthy"][1].number <= firsts["key_start"][1].number
    assert any(packet.key for packet, _ in readings["healthy"].picture()[:51])


def test_latency_delays_what_was_captured(readings):
    """Half a second between capture and arrival."""
    pairs = readings["latency"].picture()[25:]
    late = sorted(packet.arrived_us - mark.captured_at_us for packet, mark in pairs)
    assert 500_000 <= late[0] < 700_000


def test_lost_packets_lose_frames_here_and_there(readings):
    """A share of the marks is missing, in no single piece."""
    lost = continuity(readings["loss"].marks()).lost
    assert len(lost) > 1
    assert lost != tuple(range(lost[0], lost[-1] + 1))


def test_a_dropped_connection_ends(readings):
    """Four seconds after PLAY, without a word."""
    assert readings["drop"].ended
    assert 20 < len(readings["drop"].marks()) <= 100


def test_a_camera_cut_off_refuses_and_comes_back_on_its_port(farm, tmp_path):
    """Its open connection ends, new ones are refused by the system, and its address stays."""
    url = farm.urls["h264-pcmu"]
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read, url, 20, farm.now_us)
        time.sleep(1)
        farm.fault("h264-pcmu", FaultKind.REFUSE)
        assert reading.result(timeout=10).ended
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", _port(url)), timeout=5)
    farm.mend("h264-pcmu")
    assert record(FFMPEGS[0], url, 1, tmp_path / "back.mov").returncode == 0


def test_a_wrong_password_is_refused(farm, tmp_path):
    """401, and nothing is recorded."""
    right = farm.urls["h264-aac"]
    wrong = f"rtsp://viewer:wrong@{right.partition('@')[2]}"
    assert "401" in record(FFMPEGS[0], wrong, 1, tmp_path / "no.mov").stderr
    assert not (tmp_path / "no.mov").exists()


@pytest.mark.parametrize("query", ["refuse", "explode"])
def test_refusal_by_address(farm, tmp_path, query):
    """503 on request; 400 for a fault that doesn't exist."""
    done = record(FFMPEGS[0], f"{farm.urls['h264-aac']}?{query}", 1, tmp_path / "no.mov")
    assert {"refuse": "5", "explode": "400"}[query] in done.stderr
    assert done.returncode != 0


def test_other_speech_is_answered_and_harms_nobody(farm):
    """400 for HTTP, an end for endless lines; the next client is served."""
    port = _port(farm.urls["h264-aac"])
    for said, answer in ((b"GET / HTTP/1.1\r\n\r\n", b"RTSP/1.0 400"), (b"x" * 40_000, b"")):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client, suppress(ConnectionError):
            client.sendall(said)
            assert client.recv(100).startswith(answer)
    assert read(farm.urls["h264-aac"], 1, farm.now_us).packets


def test_udp_is_refused(farm):
    """A SETUP without TCP gets 461 (after the login, which is asked for first)."""
    with BackgroundFarm([spec("open")], FarmOptions(login=None)) as unlocked:
        url = unlocked.urls["open"]
        with socket.create_connection(("127.0.0.1", _port(url)), timeout=5) as client:
            transport = "Transport: RTP/AVP;unicast;client_port=5000-5001"
            client.sendall(f"SETUP {url}/track0 RTSP/1.0\r\nCSeq: 1\r\n{transport}\r\n\r\n".encode())
            assert client.recv(200).startswith(b"RTSP/1.0 461")


def test_the_command_tells_its_cameras_and_stops_on_sigterm(tmp_path):
    """One JSON line per camera, then it runs; SIGTERM ends it with 0, also while a client reads."""
    args = [sys.executable, "-m", "ingest.cameras", "1", "mic:none:pcmu"]
    process = subprocess.Popen(args, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    try:
        told = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [(line["name"], line["video"], line["audio"]) for line in told] == [
            ("cam1", "h264", "aac"),
            ("mic", "none", "pcmu"),
        ]
        assert record(FFMPEGS[0], told[1]["url"], 1, tmp_path / "mic.mov").returncode == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_processes_that_race_for_a_loop_both_get_it(tmp_path):
    """The file appears in one step, whoever is last; nothing else is left in the folder."""
    picture = Picture(VideoCodec.H264, width=160, height=90, bits_per_second=50_000, noise=1)
    path = tmp_path / "loops" / file_name(picture)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: encode(picture, path, find_ffmpeg()), range(2)))
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    assert len(read_video(picture, path).units) == 1500


def _difference(one: bytes, other: bytes) -> float:
    """Mean difference of two planes of luma, 0 to 255."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])
