"""The local vault under kill -9 and failing disks: nothing acknowledged is lost, and no half object shows."""

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archiver.adapters import durable
from archiver.adapters.vault_local import LocalVault
from archiver.canonical import digest_of
from archiver.errors import NotFoundError, VaultUnavailableError
from tests.doubles import RealClock

ROOT = Path(__file__).parents[2]
KEY = "main/source/recording/00000000.mp4"
DATA = os.urandom(3 * 2**20 + 5)
DIGEST = digest_of(DATA)
UNTIL = datetime(2060, 1, 1, tzinfo=UTC)
STEPS = ("copied", "locked", "linked", "durable")

PUT = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from archiver.adapters.clock import SystemClock
from archiver.adapters.vault_local import LocalVault

folder, source, key, digest, last = sys.argv[1:]
def at_step(step):
    if step == last:
        os.kill(os.getpid(), signal.SIGKILL)
vault = LocalVault(Path(folder), SystemClock(), at_step)
stored = vault.put(key, Path(source), digest=digest, retain_until=datetime(2060, 1, 1, tzinfo=UTC))
print(stored.version, flush=True)
"""


def put(vault: LocalVault, key: str = KEY):
    return vault.put(key, DATA, digest=DIGEST, retain_until=UNTIL)


def sound(vault: LocalVault) -> list[str]:
    """The keys of the vault, after seeing that every object is whole, locked and as its record says."""
    keys = []
    for stored in vault.list():
        data = b"".join(vault.read(stored.key))
        assert (digest_of(data), len(data), stored.retain_until) == (stored.digest, stored.size, UNTIL)
        keys.append(stored.key)
    return keys


@pytest.mark.parametrize("step", [*STEPS, "none"])
def test_kill_between_the_steps_of_a_put(tmp_path, step):
    """After kill -9 at any step, what shows is whole and locked, and the same put again completes it (I3, I4)."""
    folder, source = tmp_path / "vault", tmp_path / "source"
    source.write_bytes(DATA)
    first = put(LocalVault(folder, RealClock()), "before")
    command = [sys.executable, "-c", PUT, folder, source, KEY, DIGEST, step]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == (0 if step == "none" else -signal.SIGKILL), ended.stderr
    vault = LocalVault(folder, RealClock())
    assert sound(vault) == (["before"] if step in ("copied", "locked") else ["before", KEY])
    if step == "none":
        assert vault.stat(KEY).version == ended.stdout.strip()
    again = put(vault)
    assert again.digest == DIGEST and again.retain_until == UNTIL
    assert sound(vault) == ["before", KEY] and vault.stat("before") == first


@pytest.mark.parametrize("step", ["copied", "locked"])
def test_after_an_unseen_put_other_bytes_may_come(tmp_path, step):
    """What was never acknowledged binds nobody: a seal that is signed again after a crash has other bytes."""

    def at_step(done):
        if done == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        put(LocalVault(tmp_path / "vault", RealClock(), at_step))
    vault = LocalVault(tmp_path / "vault", RealClock())
    other = vault.put(KEY, b"other", digest=digest_of(b"other"), retain_until=UNTIL)
    assert vault.stat(KEY) == other and sound(vault) == [KEY]


def test_a_file_that_may_not_grow(tmp_path):
    """A disk that takes only a part of the bytes: unavailable, nothing shows, and later the same put succeeds."""
    vault = LocalVault(tmp_path / "vault", RealClock())
    put(vault, "before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        with pytest.raises(VaultUnavailableError, match="File too large"):
            put(vault)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sound(vault) == ["before"]
    assert list((tmp_path / "vault" / "incoming").iterdir()) == []
    put(vault)
    assert sound(vault) == ["before", KEY]


PUT_MANY = """
import sys
import time
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from archiver.adapters.clock import SystemClock
from archiver.adapters.vault_local import LocalVault
from archiver.canonical import digest_of

vault = LocalVault(Path(sys.argv[1]), SystemClock())
for number in count():
    data = str(number).encode() * 5000
    key = f"main/source{number % 3}/{number // 7}/{number:08d}.mp4"
    vault.put(key, data, digest=digest_of(data), retain_until=datetime(2060, 1, 1, tzinfo=UTC))
    print(key, digest_of(data), flush=True)
"""


@pytest.mark.parametrize("round_", range(5))
def test_kill_at_a_random_moment(tmp_path, round_):
    """Whatever was acknowledged before kill -9 is there, whole and locked, and at most one more (I4)."""
    folder = tmp_path / "vault"
    command = [sys.executable, "-c", PUT_MANY, folder]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(random.randint(1, 30))]
        time.sleep(random.random() / 100)  # the moment of the kill is what varies; nothing waits for it
        process.kill()
        said += process.stdout.readlines()
    acknowledged = dict(line.split() for line in said if line.endswith("\n"))
    vault = LocalVault(folder, RealClock())
    there = {key: vault.stat(key).digest for key in sound(vault)}
    assert there.items() >= acknowledged.items()
    assert len(there) <= len(acknowledged) + 1


CALLS = ("write", "fsync", "fchmod", "link", "replace", "mkdir", "open")


class Failing:
    """Lets the first `after` calls of a function through and fails the next."""

    def __init__(self, real, after: int, code: int) -> None:
        self.real, self.left, self.code, self.failed = real, after, code, False

    def __call__(self, *arguments, **options):
        if self.left == 0 and not self.failed:
            self.failed = True
            raise OSError(self.code, os.strerror(self.code))
        self.left -= 1
        return self.real(*arguments, **options)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_fails_anywhere_in_a_put(tmp_path, monkeypatch, name, code):
    """Whichever call fails first: a put that was not confirmed shows nothing half, and can be repeated."""
    failures = 0
    for after in range(99):
        folder = tmp_path / str(after)
        vault = LocalVault(folder, RealClock())
        failing = Failing(getattr(os, name), after, code)
        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing)
            try:
                confirmed = put(vault)
            except VaultUnavailableError:
                confirmed = None
        # A later read of the clock file or a lock may fail unseen; what was confirmed is whole all the same.
        assert confirmed is None or sound(vault) == [KEY]
        assert set(sound(vault)) <= {KEY}
        assert put(vault).digest == DIGEST and sound(vault) == [KEY]
        if not failing.failed:
            break
        failures += 1
    assert failures > 0
    assert not failing.failed, "the put never got through all its calls"


def test_reading_a_failing_disk(tmp_path, monkeypatch):
    """An error in the middle of an object is unavailable, never a short answer."""
    vault = LocalVault(tmp_path / "vault", RealClock())
    put(vault)
    monkeypatch.setattr(os, "pread", Failing(os.pread, 2, errno.EIO))
    pieces = vault.read(KEY)
    assert len(next(pieces)) == len(next(pieces)) == 2**20
    with pytest.raises(VaultUnavailableError):
        next(pieces)


def test_a_delete_that_was_cut_off(tmp_path, monkeypatch):
    """An object whose deletion was cut off is gone or whole, and its key can be used again."""
    vault = LocalVault(tmp_path / "vault", RealClock())
    past = datetime(2020, 1, 1, tzinfo=UTC)
    stored = vault.put(KEY, DATA, digest=DIGEST, retain_until=past)
    monkeypatch.setattr(durable.os, "fsync", Failing(os.fsync, 0, errno.EIO))
    with pytest.raises(VaultUnavailableError):
        vault.delete(KEY, stored.version)
    with pytest.raises(NotFoundError):
        vault.stat(KEY)
    assert vault.put(KEY, b"other", digest=digest_of(b"other"), retain_until=UNTIL).size == 5
    assert sound(vault) == [KEY]


def test_a_full_vault_says_so_before(tmp_path, monkeypatch):
    """`check` tells of too little room before a put fails."""
    vault = LocalVault(tmp_path / "vault", RealClock())
    vault.check()
    full = os.statvfs_result((4096, 4096, 100, 1, 1, 1, 1, 1, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(VaultUnavailableError, match="room"):
        vault.check()
