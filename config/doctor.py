"""What is wrong with an installation, and how to mend it."""

import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from archiver.adapters.catalogue.engine import parse
from archiver.errors import ArchiverError
from archiver.vocabulary import JobState
from config.wiring import Installation
from ingest.adapters.ffmpeg import find_ffmpeg

GIB = 2**30
LEAST_FREE = 2 * GIB
OLD_DEPOSIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing looked at. `mend` says what to do when it is not `ok`; a `warning` leaves the exit code 0."""

    name: str
    ok: bool
    found: str
    mend: str = ""
    warning: bool = False


def examine(ready: Installation) -> list[Symptom]:
    """Look at everything; a check that itself fails is a symptom, not an end."""
    checks: tuple[tuple[str, Callable[[Installation], Iterator[Symptom]]], ...] = (
        ("home", _home),
        ("ffmpeg", _ffmpeg),
        ("openssl", _openssl),
        ("catalogue", _catalogue),
        ("vault", _vault),
        ("spool", _spool),
        ("disk", _disk),
        ("clock", _clock),
        ("jobs", _jobs),
    )
    return [symptom for name, check in checks for symptom in _looked(name, check, ready)]


def _looked(name: str, check: Callable[[Installation], Iterator[Symptom]], ready: Installation) -> Iterator[Symptom]:
    try:
        yield from check(ready)
    except ArchiverError as error:
        yield Symptom(name, False, f"{error.code}: {error.message}", "do what the message says, then run doctor again")
    except (OSError, subprocess.SubprocessError) as error:
        yield Symptom(name, False, str(error), "see the message; it is the operating system's own")


def _home(ready: Installation) -> Iterator[Symptom]:
    settings = ready.settings
    for path in (settings.keys, settings.token_file):
        private = not (path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077)
        found = "only the owner" if private else "others can read it"
        yield Symptom(f"access to {path.name}", private, found, f"chmod -R go-rwx {path}")


def _ffmpeg(ready: Installation) -> Iterator[Symptom]:
    program = find_ffmpeg(ready.settings.ingest.ffmpeg or None)
    words = _output([program, "-hide_banner", "-version"]).split()
    yield Symptom("ffmpeg", True, f"{program} {words[2] if len(words) > 2 else '?'}")


def _openssl(ready: Installation) -> Iterator[Symptom]:
    program = shutil.which("openssl")
    if program is None:
        yield Symptom("openssl", False, "not on PATH", "install openssl 3 or later; it signs and checks the seals")
        return
    version = _output([program, "version"]).split()[1]
    old = int(version.split(".")[0]) < 3
    yield Symptom("openssl", not old, version, "install openssl 3 or later; earlier ones can't make CAdES signatures")


def _catalogue(ready: Installation) -> Iterator[Symptom]:
    ready.catalogue.check()
    yield Symptom("catalogue", True, parse(ready.settings.catalogue_url).render_as_string(hide_password=True))


def _vault(ready: Installation) -> Iterator[Symptom]:
    ready.vault.check()
    yield Symptom("vault", True, f"{ready.settings.vault_url}: {ready.vault.label}")


def _spool(ready: Installation) -> Iterator[Symptom]:
    depth = ready.spool_depth()
    old = depth.oldest is not None and (ready.clock.now() - depth.oldest).total_seconds() > OLD_DEPOSIT_S
    found = f"{depth.segments} segments, {depth.size / GIB:.2f} GiB"
    mend = "footage waits for the vault or the catalogue: see the checks above, and that `archiver work` runs"
    yield Symptom("spool", not old, found + (f", the oldest since {depth.oldest}" if old else ""), mend)


def _disk(ready: Installation) -> Iterator[Symptom]:
    free = shutil.disk_usage(_existing(ready.settings.spool)).free
    yield Symptom(
        "disk", free >= LEAST_FREE, f"{free / GIB:.1f} GiB free for the spool", "make room; a full disk is lost footage"
    )


def _clock(ready: Installation) -> Iterator[Symptom]:
    state = ready.clock.ntp_state()
    mend = "run chrony or systemd-timesyncd; without it the times of footage rest on this machine's own clock"
    yield Symptom("clock", state == "synchronised", state, mend, warning=True)


def _jobs(ready: Installation) -> Iterator[Symptom]:
    failed = ready.jobs_in(JobState.FAILED)
    found = "none failed" if not failed else "; ".join(f"{job.id}: {job.error}" for job in failed[:5])
    yield Symptom("jobs", not failed, found, "the jobs that the archive needs are tried again by themselves")


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())
