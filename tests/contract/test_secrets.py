"""Sealed addresses: only the key opens them, and nothing of them shows."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archiver.adapters.secrets import KeySecrets
from archiver.errors import SettingsError, TamperError
from archiver.ports import Secrets

ADDRESS = "rtsp://user:p@ss@camera:554/密码?token=s3cret"


def in_file(folder: Path) -> Secrets:
    return KeySecrets(folder / "keys" / "secrets.key")


DRIVERS: dict[str, Callable[[Path], Secrets]] = {"file": in_file}


@pytest.fixture(params=sorted(DRIVERS))
def driver(request) -> Callable[[Path], Secrets]:
    return DRIVERS[request.param]


@pytest.fixture
def secrets(driver, tmp_path) -> Secrets:
    return driver(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_sealed_opens(secrets, address):
    """Any text comes back."""
    assert secrets.open(secrets.seal(address)) == address


def test_nothing_shows(secrets):
    """No part of the address is in what is kept, and the same address is sealed differently each time."""
    one, two = secrets.seal(ADDRESS), secrets.seal(ADDRESS)
    assert one != two
    for word in (b"user", b"p@ss", b"camera", b"s3cret"):
        assert word not in one


def test_another_opening_has_the_same_key(driver, secrets, tmp_path):
    """What one process sealed, another opens."""
    assert driver(tmp_path).open(secrets.seal(ADDRESS)) == ADDRESS


def test_another_key_does_not_open(driver, secrets, tmp_path):
    """A copied catalogue without its key gives nothing away."""
    with pytest.raises(TamperError, match="key"):
        driver(tmp_path / "elsewhere").open(secrets.seal(ADDRESS))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_change_is_noticed(secrets, data):
    """A sealed address with any bit changed, or cut, doesn't open; any other bytes neither."""
    sealed = bytearray(secrets.seal(ADDRESS))
    at = data.draw(st.integers(0, len(sealed) - 1))
    flipped = bytes([*sealed[:at], sealed[at] ^ 1 << data.draw(st.integers(0, 7)), *sealed[at + 1 :]])
    for bad in (flipped, bytes(sealed[:at]), data.draw(st.binary(max_size=60))):
        with pytest.raises(TamperError):
            secrets.open(bad)


class TestKeyFile:
    """What the file driver alone promises."""

    def test_it_is_private_and_made_once(self, tmp_path):
        """0600; many first starts at once make one key."""
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda _: in_file(tmp_path), range(4)))
        sealed = made[0].seal(ADDRESS)
        assert {each.open(sealed) for each in made} == {ADDRESS}
        (path,) = (tmp_path / "keys").iterdir()
        assert path.stat().st_mode & 0o777 == 0o600

    def test_a_key_that_others_read_is_refused(self, tmp_path):
        """A key that leaked is no key: the message says what to do."""
        in_file(tmp_path)
        (tmp_path / "keys" / "secrets.key").chmod(0o640)
        with pytest.raises(SettingsError, match="chmod 600"):
            in_file(tmp_path)

    def test_a_damaged_key_is_refused(self, tmp_path):
        """A cut key file is never filled up or made anew."""
        in_file(tmp_path)
        path = tmp_path / "keys" / "secrets.key"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(SettingsError, match="32 bytes"):
            in_file(tmp_path)
