"""`archiver up`: serve, work and tick as children of one process, each restarted when it dies."""

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

from ingest.adapters.child import bound_to_parent

log = logging.getLogger(__name__)
STOP_S = 12.0  # a worker finishes its fragments and leaves within 10 s
STEADY_S = 10.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 3.0  # while the worker waits, footage is lost


@dataclass(frozen=True, slots=True)
class Command:
    """What starts a role: its words (a program's full path first), and the open files that it inherits."""

    words: Sequence[str]
    files: Sequence[int] = ()


@dataclass
class Child:
    """One role's process and how long to wait before its next start (seconds)."""

    role: str
    command: Command
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    wait: float = FIRST_WAIT_S
    not_before: float = 0.0

    def start(self, now: float) -> None:
        """Its process dies with this one: an orphan would record beside its successor."""
        self.process = subprocess.Popen(
            bound_to_parent(self.command.words), pass_fds=self.command.files, process_group=0
        )
        self.started = now
        log.info("%s started as process %d", self.role, self.process.pid)

    def ended(self, now: float) -> bool:
        """Whether it has just died; then its next start waits, longer each time unless it had run for a while."""
        if self.process is None or self.process.poll() is None:
            return False
        self.wait = FIRST_WAIT_S if now - self.started > STEADY_S else min(self.wait * 2, LONGEST_WAIT_S)
        self.not_before = now + self.wait
        log.error("%s ended (%s); starting it again in %.1f s", self.role, _how(self.process.returncode), self.wait)
        self.process = None
        return True


@dataclass
class Supervisor:
    """Runs until SIGTERM or SIGINT, then stops its children in order and waits for them."""

    commands: Mapping[str, Command]
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        children = [Child(role, command) for role, command in self.commands.items()]
        try:
            while not self.stopping.wait(0.2):
                self._tend(children, time.monotonic())
        finally:
            stop(children)
        return 0

    def _tend(self, children: Sequence[Child], now: float) -> None:
        for child in children:
            child.ended(now)
            if child.process is None and now >= child.not_before:
                child.start(now)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping.set()


def stop(children: Sequence[Child]) -> None:
    """Ask all to leave, wait, and kill what doesn't."""
    alive = [child.process for child in children if child.process is not None and child.process.poll() is None]
    for process in alive:
        process.terminate()
    deadline = time.monotonic() + STOP_S
    for process in alive:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error("process %d did not leave within %.0f s; killing it", process.pid, STOP_S)
            process.kill()
            process.wait()


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
