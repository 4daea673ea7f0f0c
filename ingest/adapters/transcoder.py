"""Encodes a browser copy with ffmpeg, quietly: it yields to every recording on the machine."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Thread

import ffmpeg

from archiver.adapters.durable import write_all
from archiver.errors import MediaError, ProgramError
from archiver.values import Profile
from archiver.vocabulary import Container
from ingest.adapters.child import bare_environment, bound_to_parent

NICEST = 19
THREADS = 1
LAST_WORDS = 400


class FfmpegTranscoder:
    """The Transcoder port. Start it from a thread that lives as long as the encoding (see `bound_to_parent`)."""

    def __init__(self, program: str) -> None:
        self._program = program

    def transcode(
        self, media: Iterable[bytes], target: Path, profile: Profile, container: Container, timescale: int
    ) -> None:
        """ProgramError if ffmpeg doesn't start, MediaError if it can't make a copy of that media."""
        argv = bound_to_parent(idle_disk(command(self._program, target, profile, container, timescale)))
        try:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=bare_environment(),
                cwd="/",
                bufsize=0,
                start_new_session=True,
            )
        except OSError as problem:
            raise ProgramError(f"ffmpeg didn't start: {problem.strerror}; see archiver doctor") from problem
        with child:
            os.setpriority(os.PRIO_PROCESS, child.pid, NICEST)
            words = _feed(child, media)
        if child.returncode != 0:
            raise MediaError(f"no copy could be made (ffmpeg's exit code {child.returncode}): {words[-LAST_WORDS:]}")


def idle_disk(argv: Sequence[str]) -> list[str]:
    """`argv` with the disk only when nobody else wants it, where the system can promise that."""
    ionice = shutil.which("ionice")
    return [ionice, "--class", "idle", "--ignore", *argv] if ionice else list(argv)


def _feed(child: "subprocess.Popen[bytes]", media: Iterable[bytes]) -> str:
    """Write all of `media`; what ffmpeg said meanwhile. A child that has ended early is told of by its exit code."""
    assert child.stdin and child.stderr  # noqa: S101 - they are pipes, as asked for
    said: list[bytes] = []
    listener = Thread(target=lambda: said.append(child.stderr.read() if child.stderr else b""), daemon=True)
    listener.start()
    try:
        for piece in media:
            write_all(child.stdin.fileno(), piece)
        child.stdin.close()
    except BrokenPipeError:
        pass
    except BaseException:
        child.kill()
        raise
    finally:
        listener.join()
    return b"".join(said).decode(errors="replace").strip()


def command(program: str, target: Path, profile: Profile, container: Container, timescale: int) -> list[str]:
    """ffmpeg's argv. Times are kept to the tick: picture n of the copy stands where picture n of the master does (an
    encoder left to itself counts in whole pictures, and moves each to the nearest). No B-frames, a key frame every 2 s
    of 25 pictures, fragments of 1 s.
    """
    format = "mov" if container is Container.MOV else "mp4"
    source = ffmpeg.input("pipe:0", f=format, protocol_whitelist="pipe", copyts=None, threads=THREADS)
    line = ffmpeg.output(
        source["v"],
        source["a?"],
        str(target),
        **{
            "c:v": "libx264",
            "preset": profile.preset,
            "crf": profile.crf,
            "vf": f"scale=-2:'trunc(min({profile.height},ih)/2)*2'",
            "g": 50,
            "bf": 0,
            "pix_fmt": "yuv420p",
            "fps_mode": "passthrough",
            "enc_time_base:v": f"1:{timescale}",
            "threads": THREADS,
            "c:a": "aac",
            "b:a": profile.sound_bits,
            "avoid_negative_ts": "disabled",
            "muxdelay": 0,
            "movflags": "+frag_keyframe+delay_moov+default_base_moof+skip_trailer",
            "frag_duration": 1_000_000,
            "video_track_timescale": timescale,
            "f": "mp4",
        },
    )
    quiet = line.global_args("-hide_banner", "-loglevel", "error", "-y")
    return [str(word) for word in quiet.compile(cmd=program)]
