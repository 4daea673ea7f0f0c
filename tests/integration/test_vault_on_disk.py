"""What holds of the local vault alone: its files, its clock, and damage done behind its back."""

import os
import shutil
from datetime import timedelta

import pytest

from archiver.adapters.vault_local import LocalVault
from archiver.canonical import digest_of
from archiver.errors import NotFoundError, RetentionError, TamperError, VaultUnavailableError
from archiver.vocabulary import VaultLabel
from tests.doubles import START, ManualClock

DATA = b"footage" * 1000
DIGEST = digest_of(DATA)
KEY = "main/source/recording/00000000.mp4"
YEAR = timedelta(days=365)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def vault(tmp_path, clock) -> LocalVault:
    return LocalVault(tmp_path / "vault", clock)


@pytest.fixture
def stored(vault):
    return vault.put(KEY, DATA, digest=DIGEST, retain_until=START + YEAR)


def test_label(vault):
    """It is write-once by software, and never called WORM."""
    assert vault.label is VaultLabel.SOFTWARE


def test_objects_are_read_only(tmp_path, stored):
    """The bytes lie under their key, read-only, in folders that are the archive's alone."""
    path = tmp_path / "vault" / "objects" / KEY
    assert path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o444
    assert path.stat().st_nlink == 1
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "vault" / "incoming").iterdir()) == []


def test_reading_makes_nothing(tmp_path, vault):
    """Looking into a folder that isn't a vault yet leaves it as it is."""
    assert list(vault.list()) == []
    with pytest.raises(NotFoundError):
        vault.stat(KEY)
    assert not (tmp_path / "vault").exists()


def test_a_copied_folder_is_the_same_vault(tmp_path, clock, stored):
    """Nothing inside names its own place."""
    shutil.copytree(tmp_path / "vault", tmp_path / "elsewhere")
    copied = LocalVault(tmp_path / "elsewhere", clock)
    assert list(copied.list()) == [stored]
    with pytest.raises(RetentionError):
        copied.delete(KEY, stored.version)


def test_delete_goes_by_the_clock_that_was_given(vault, clock, stored):
    """Refused up to the last moment before the date, done from the date on."""
    clock.pass_s(YEAR.total_seconds() - 1e-3)
    with pytest.raises(RetentionError, match="kept until"):
        vault.delete(KEY, stored.version)
    clock.pass_s(1e-3)
    vault.delete(KEY, stored.version)
    with pytest.raises(NotFoundError):
        vault.stat(KEY)


def test_a_clock_that_went_back_deletes_nothing(tmp_path, vault, clock, stored):
    """A clock behind what the vault has seen is wrong; which of the two dates is right can't be known."""
    clock.pass_s(3 * YEAR.total_seconds())
    vault.put("later", b"x", digest=digest_of(b"x"), retain_until=clock.now() + YEAR)
    clock.pass_s(-YEAR.total_seconds())
    for opened in (vault, LocalVault(tmp_path / "vault", clock)):
        with pytest.raises(RetentionError, match="clock"):
            opened.delete(KEY, stored.version)
    clock.pass_s(YEAR.total_seconds())
    vault.delete(KEY, stored.version)


@pytest.mark.parametrize("content", [None, "", "yesterday"])
def test_without_a_last_time_nothing_is_deleted(tmp_path, vault, clock, stored, content):
    """If what the vault has seen was taken away, nothing goes until it has seen a time again."""
    seen = tmp_path / "vault" / "last_seen"
    seen.unlink() if content is None else seen.write_text(content)
    clock.pass_s(2 * YEAR.total_seconds())
    with pytest.raises(RetentionError, match="clock"):
        vault.delete(KEY, stored.version)
    vault.put("later", b"x", digest=digest_of(b"x"), retain_until=clock.now() + YEAR)
    vault.delete(KEY, stored.version)


@pytest.mark.parametrize("size", [0, 10])
def test_truncation_is_seen(tmp_path, vault, stored, size):
    """`stat` tells the size that is on the disk, not the one that was put."""
    path = tmp_path / "vault" / "objects" / KEY
    path.chmod(0o644)
    os.truncate(path, size)
    assert vault.stat(KEY).size == size and vault.stat(KEY).digest == DIGEST
    assert b"".join(vault.read(KEY)) == DATA[:size]


def test_a_put_over_changed_bytes_is_an_alarm(tmp_path, vault, stored):
    """A repeated put is only a success if the bytes on the disk are still the ones that were put."""
    path = tmp_path / "vault" / "objects" / KEY
    path.chmod(0o644)
    path.write_bytes(DATA[:-1] + b"!")
    with pytest.raises(TamperError):
        vault.put(KEY, DATA, digest=DIGEST, retain_until=START + YEAR)
    assert path.read_bytes() == DATA[:-1] + b"!"


@pytest.mark.parametrize("damage", [None, b"", b"{}", b"\xff", b'{"v":2}'])
def test_a_lost_lock_is_seen_and_healed(tmp_path, vault, clock, stored, damage):
    """Without a readable lock record the object has no date, can't be deleted, and a repeated put locks it again."""
    lock = tmp_path / "vault" / "locks" / KEY
    lock.chmod(0o644)
    lock.unlink() if damage is None else lock.write_bytes(damage)
    found = vault.stat(KEY)
    assert (found.retain_until, found.digest, found.version) == (None, DIGEST, stored.version)
    clock.pass_s(50 * YEAR.total_seconds())
    with pytest.raises(RetentionError, match="no readable lock"):
        vault.delete(KEY, stored.version)
    assert vault.put(KEY, DATA, digest=DIGEST, retain_until=START + YEAR) == stored


def test_extending_heals_a_lost_lock(tmp_path, vault, stored):
    """A lock that was taken away is made again by the next extension."""
    (tmp_path / "vault" / "locks" / KEY).unlink()
    assert vault.extend(KEY, stored.version, START + 2 * YEAR).retain_until == START + 2 * YEAR
    assert vault.stat(KEY).version == stored.version


def test_a_link_is_no_object(tmp_path, vault, stored):
    """A symbolic link in an object's place leads nowhere, and isn't listed."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    path = tmp_path / "vault" / "objects" / KEY
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(NotFoundError):
        vault.stat(KEY)
    with pytest.raises(NotFoundError):
        list(vault.read(KEY))
    assert list(vault.list()) == []


def test_what_lies_beside_is_listed(tmp_path, vault, stored):
    """A file that somebody laid into the vault is shown, without a date."""
    (tmp_path / "vault" / "objects" / "extra").write_bytes(b"extra")
    extra, known = vault.list()
    assert (extra.key, extra.digest, extra.retain_until) == ("extra", digest_of(b"extra"), None)
    assert known == stored


def test_stale_copies_are_swept(tmp_path, clock, stored):
    """A copy that a killed put left is removed after a day; a fresh one may still be in use."""
    incoming = tmp_path / "vault" / "incoming"
    for name, age in (("new-old", 2 * 86_400), ("new-fresh", 60)):
        (incoming / name).write_bytes(b"x")
        at = clock.now().timestamp() - age
        os.utime(incoming / name, (at, at))
    LocalVault(tmp_path / "vault", clock).check()
    assert [path.name for path in incoming.iterdir()] == ["new-fresh"]


def test_a_folder_that_can_not_be_made(tmp_path, clock):
    """A vault that has no place to be says so, as something that trying again may cure."""
    (tmp_path / "file").write_text("in the way")
    vault = LocalVault(tmp_path / "file" / "vault", clock)
    with pytest.raises(VaultUnavailableError, match="Not a directory"):
        vault.check()
    with pytest.raises(VaultUnavailableError, match="Not a directory"):
        vault.put(KEY, DATA, digest=DIGEST, retain_until=START + YEAR)
