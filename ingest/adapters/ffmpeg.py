"""The Recorder that is ffmpeg: a child per source, its output on a pipe, its address by standard input."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import ffmpeg

from archiver.errors import ProgramError, SourceUnavailableError
from archiver.ports import Chunk, StreamEnd
from archiver.vocabulary import GapCause
from ingest.adapters.child import bare_environment, bound_to_parent
from ingest.arguments import analysis_us, input_options, output_options, redacted, script, start_failure

PIPE_BYTES = 2**20
GATHER_S = 0.04
STOP_S = 5.0
WORDS_BYTES = 4096
_TIMEOUT_MARGIN_S = 5.0
_THRIFTY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(256 * 2**10),
    "MALLOC_TRIM_THRESHOLD_": str(2**20),
}
"""glibc's malloc (mallopt(3)) gives a fragment's buffer back at once; left to itself it keeps several."""


def find_ffmpeg(configured: str | None = None) -> str:
    """The full path of the ffmpeg to use: the configured one, else PATH's, else the one that imageio-ffmpeg
    carries. ProgramError names what is missing."""
    if configured:
        found = shutil.which(configured)
        if not found:
            raise ProgramError(f"the configured ffmpeg {configured} is no program: correct ingest.ffmpeg")
        return str(Path(found).absolute())
    return shutil.which("ffmpeg") or _carried()


def _carried() -> str:
    try:
        import imageio_ffmpeg  # lean: most machines never need it

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as problem:
        raise ProgramError("no ffmpeg: install ffmpeg or the package imageio-ffmpeg") from problem


def command(program: str, *, attempt: int, mov: bool) -> list[str]:
    """ffmpeg's argv: the same for every source, so nothing in it is secret."""
    source = ffmpeg.input("pipe:0", **input_options(attempt))
    line = ffmpeg.output(source, "pipe:1", **output_options(mov=mov))
    quiet = line.global_args("-nostdin", "-hide_banner", "-loglevel", "error")
    return [str(word) for word in quiet.compile(cmd=program)]


class FfmpegRecorder:
    """Starts ffmpeg children; use it from the loop of the process's main thread (see `bound_to_parent`).

    A running stream that gives no byte for `stall_s` seconds has stalled; a start may take `start_s` seconds more
    than it may analyse.
    """

    def __init__(self, program: str, *, stall_s: float = 10.0, start_s: float = 10.0) -> None:
        self._program = program
        self._stall_s = stall_s
        self._start_s = start_s

    async def open(self, address: str, *, attempt: int, mov: bool) -> "FfmpegStream":
        """AddressError for an address that can't be written down; SourceUnavailableError if no child starts."""
        # ffmpeg's own time-out is the later one, or a stall would look like an orderly end.
        timeout_us = round((max(self._stall_s, self._start_s) + _TIMEOUT_MARGIN_S) * 1e6)
        words = script(address, attempt, timeout_us)
        start_s = self._start_s + analysis_us(attempt) / 1e6
        try:
            child = _spawn(bound_to_parent(command(self._program, attempt=attempt, mov=mov)))
        except OSError as problem:
            raise SourceUnavailableError(f"ffmpeg didn't start: {problem.strerror}; see archiver doctor") from problem
        stream = FfmpegStream(child, address, start_s=start_s, stall_s=self._stall_s)
        stream.say(words)
        return stream


def _spawn(argv: list[str]) -> "subprocess.Popen[bytes]":
    """In a session of its own, so that a terminal's Ctrl-C reaches it once, through us."""
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=bare_environment() | _THRIFTY,
        cwd="/",
        bufsize=0,
        start_new_session=True,
    )


class FfmpegStream:
    """One running ffmpeg (port Stream)."""

    def __init__(self, child: "subprocess.Popen[bytes]", address: str, *, start_s: float, stall_s: float) -> None:
        assert child.stdin and child.stdout and child.stderr  # noqa: S101 - for the type checker
        self._child = child
        self._address = address
        self._limit_s = start_s
        self._stall_s = stall_s
        self._in, self._out, self._err = child.stdin, child.stdout, child.stderr
        self._exit = os.pidfd_open(child.pid)
        self._words = bytearray()
        self._started = self._finished = self._stalled = self._asked = self._killed = self._closed = False
        self._loop = asyncio.get_running_loop()
        self._killer: asyncio.TimerHandle | None = None
        for pipe in (self._out, self._err):
            os.set_blocking(pipe.fileno(), False)
        # Fewer, larger reads; a user with very many pipes may be refused and keeps the small ones.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._out.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._loop.add_reader(self._err.fileno(), self._hear)

    @property
    def pid(self) -> int:
        return self._child.pid

    def say(self, words: str) -> None:
        """Give the script, which fits the pipe, and close standard input."""
        with contextlib.suppress(BrokenPipeError), self._in:  # one that died at once is explained by its end
            self._in.write(words.encode())

    async def chunks(self) -> AsyncIterator[Chunk]:
        """Output as it comes, each time with what follows within `GATHER_S` seconds: mostly a whole fragment, as
        waking up for each 32 KiB costs more than the reading."""
        while True:
            if not await self._readable(self._out.fileno(), None if self._asked else self._limit_s):
                await self._stall()
                continue
            at = self._loop.time()
            await asyncio.sleep(GATHER_S)
            data = self._read()
            if data is None:
                continue
            if not data:
                self._finished = True
                return
            self._started, self._limit_s = True, self._stall_s
            yield Chunk(data, at)

    async def stop(self) -> None:
        """One SIGINT: ffmpeg ends its file. (Two lose the tail, so asking again does nothing.) After 5 s, SIGKILL."""
        if self._asked or self._closed:
            return
        self._asked = True
        self._child.send_signal(signal.SIGINT)
        self._killer = self._loop.call_later(STOP_S, self._kill)

    async def end(self) -> StreamEnd:
        """Reap the child. One that hasn't ended its output is killed: nobody will read it."""
        if not self._finished:
            self._kill()
        try:
            if not await self._readable(self._exit, STOP_S):
                self._kill()
                await self._readable(self._exit, None)
            code = self._child.wait()
            self._hear()
        finally:
            self._close()
        return self._verdict(code)

    async def _stall(self) -> None:
        self._stalled = True
        await self.stop()

    def _read(self) -> bytes | None:
        """None when there was nothing after all."""
        try:
            return os.read(self._out.fileno(), PIPE_BYTES)
        except BlockingIOError:
            return None

    async def _readable(self, descriptor: int, limit_s: float | None) -> bool:
        """Wait until there is something (or the end) to read; False when `limit_s` seconds passed."""
        ready = asyncio.Event()
        self._loop.add_reader(descriptor, ready.set)
        try:
            async with asyncio.timeout(limit_s):
                await ready.wait()
        except TimeoutError:
            return False
        finally:
            self._loop.remove_reader(descriptor)
        return True

    def _hear(self) -> None:
        """Take what ffmpeg says, so that it never blocks on that, and keep its last words."""
        if self._closed:
            return
        try:
            words = os.read(self._err.fileno(), WORDS_BYTES * 4)
        except BlockingIOError:
            return
        if not words:
            self._loop.remove_reader(self._err.fileno())
        self._words += words
        del self._words[:-WORDS_BYTES]

    def _kill(self) -> None:
        if self._child.poll() is None:
            self._killed = True
            self._child.kill()

    def _close(self) -> None:
        self._closed = True
        if self._killer:
            self._killer.cancel()
        self._loop.remove_reader(self._err.fileno())
        for pipe in (self._in, self._out, self._err):
            pipe.close()
        os.close(self._exit)
        self._child.poll()

    def _verdict(self, code: int) -> StreamEnd:
        words = self._words.decode(errors="replace").replace(self._address, "…")
        said = redacted(" ".join(words.split()), self._address)[-500:]
        if self._stalled:
            cause = GapCause.STALLED
            text = f"no byte came for {self._limit_s:g} s"
        elif self._asked:
            cause = GapCause.STOPPED
            text = "asked to stop" + (f", and killed after {STOP_S:g} s" if self._killed else "")
        elif code < 0 and not self._killed:
            cause, text = GapCause.LOST, f"ffmpeg was ended by signal {-code}"
        elif self._started:
            cause, text = GapCause.LOST, f"the stream ended (ffmpeg's exit code {code})"
        else:
            cause, text = start_failure(words), f"the stream didn't start (ffmpeg's exit code {code})"
        return StreamEnd(cause, f"{text}: {said}" if said else text)
