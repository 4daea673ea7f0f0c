"""What every vault does. Nothing here knows where a driver keeps its objects, nor moves its clock."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archiver import keys
from archiver.canonical import digest_of
from archiver.errors import FormatError, InputError, NotFoundError, RetentionError, TamperError
from archiver.ports import Vault
from archiver.vocabulary import VaultLabel
from tests.doubles import RealClock
from tests.vaults import DRIVERS, OpenVault

MIB = 2**20
DATA = b"footage" * 1000
DIGEST = digest_of(DATA)
ID = "0" * 26
KEY = keys.segment("main", ID, ID, 0)


@pytest.fixture(params=sorted(DRIVERS))
def opened(request, tmp_path) -> OpenVault:
    return DRIVERS[request.param](tmp_path)


@pytest.fixture
def vault(opened) -> Vault:
    return opened(RealClock())


def soon(seconds: float = 3600) -> datetime:
    """A whole second at least so far ahead."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds + 1)


def put(vault: Vault, key: str = KEY, data: bytes = DATA, until: datetime | None = None):
    return vault.put(key, data, digest=digest_of(data), retain_until=until or soon())


def content(vault: Vault, key: str = KEY, *range_: int | None) -> bytes:
    return b"".join(vault.read(key, *range_))


def test_what_was_put_is_there(vault):
    """Bytes, size, digest and date come back as they were put."""
    until = soon()
    stored = put(vault, until=until)
    assert (stored.key, stored.size, stored.digest, stored.retain_until) == (KEY, len(DATA), DIGEST, until)
    assert stored.version
    assert vault.stat(KEY) == vault.stat(KEY, stored.version) == stored
    assert content(vault) == DATA


@pytest.mark.parametrize("size", [0, 1, MIB, 3 * MIB + 1])
def test_a_file_is_put_as_bytes_are(vault, tmp_path, size):
    """A path is read as it is stored, whatever its size, and left where it was."""
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    path = Path(tmp_path / "source")
    path.write_bytes(data)
    stored = vault.put(KEY, path, digest=digest_of(data), retain_until=soon())
    assert stored.size == size and stored.digest == digest_of(data)
    assert content(vault) == data
    assert path.read_bytes() == data


def test_another_opening_sees_it(vault, opened):
    """What was put outlives the process that put it."""
    stored = put(vault)
    again = opened(RealClock())
    assert again.stat(KEY) == stored and content(again) == DATA


def test_the_same_again_is_a_success(vault):
    """A repeated put of the same bytes changes nothing (I3)."""
    stored = put(vault, until=soon(5000))
    assert put(vault, until=soon(4000)) == stored
    assert content(vault) == DATA


def test_the_same_again_with_a_later_date_extends(vault):
    """A repeated put never lowers the date, and raises it when it is later."""
    put(vault)
    later = soon(90_000)
    assert put(vault, until=later).retain_until == later
    assert put(vault).retain_until == later


def test_other_bytes_under_a_key_are_an_alarm(vault):
    """A key is put once: other bytes are refused and the first stay (I3)."""
    stored = put(vault)
    with pytest.raises(TamperError):
        put(vault, data=b"other")
    assert vault.stat(KEY) == stored and content(vault) == DATA


def test_bytes_without_their_digest_are_refused(vault, tmp_path):
    """Bytes that changed on the way leave nothing under the key."""
    path = tmp_path / "source"
    path.write_bytes(DATA[:-1])
    for data in (b"changed", path):
        with pytest.raises(TamperError):
            vault.put(KEY, data, digest=DIGEST, retain_until=soon())
        with pytest.raises(NotFoundError):
            vault.stat(KEY)
    assert list(vault.list()) == []
    assert put(vault).digest == DIGEST


def test_a_digest_carries_its_algorithm(vault):
    """A bare or other digest is refused before anything is stored."""
    for digest in (DIGEST.removeprefix("sha256:"), "md5:" + "0" * 32):
        with pytest.raises(FormatError):
            vault.put(KEY, DATA, digest=digest, retain_until=soon())
    assert list(vault.list()) == []


def test_a_file_that_is_not_there(vault, tmp_path):
    """A missing source is said, and leaves nothing."""
    with pytest.raises(NotFoundError, match="nowhere"):
        vault.put(KEY, tmp_path / "nowhere", digest=DIGEST, retain_until=soon())
    assert list(vault.list()) == []


@pytest.mark.parametrize("key", ["", "/a", "a/", "../a", "a/../../b", "a//b", "a\nb", "a\0", "x" * 300])
def test_unsafe_keys_are_refused(vault, key):
    """No key reaches out of the vault, or is other than it looks."""
    for refuses in (
        lambda: put(vault, key=key),
        lambda: vault.stat(key),
        lambda: content(vault, key),
        lambda: vault.extend(key, "1", soon()),
        lambda: vault.delete(key, "1"),
    ):
        with pytest.raises(InputError):
            refuses()


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, None),
        (0, 0),
        (0, 1),
        (5, 10),
        (len(DATA) - 1, 1),
        (len(DATA) - 1, 99),
        (len(DATA), None),
        (len(DATA) + 5, 3),
    ],
)
def test_ranges(vault, offset, length):
    """A range gives exactly its bytes, as many as there are."""
    put(vault)
    assert content(vault, KEY, offset, length) == DATA[offset:][:length]


def test_reading_is_in_pieces(vault):
    """At most 1 MiB is handed out at once, from any offset."""
    data = bytes(2 * MIB + 7)
    put(vault, data=data)
    pieces = list(vault.read(KEY, 3))
    assert max(map(len, pieces)) <= MIB and sum(map(len, pieces)) == len(data) - 3


def test_a_negative_range_is_refused(vault):
    """Offsets count from the start."""
    put(vault)
    for range_ in ((-1, None), (0, -1)):
        with pytest.raises(InputError):
            content(vault, KEY, *range_)


def test_what_is_not_there(vault):
    """Every way to ask for an absent key or version says so."""
    put(vault)
    absent = keys.segment("main", ID, ID, 1)
    for missing in (
        lambda: vault.stat(absent),
        lambda: content(vault, absent),
        lambda: vault.extend(absent, "1", soon()),
        lambda: vault.delete(absent, "1"),
        lambda: vault.stat(KEY, "no-such-version"),
        lambda: b"".join(vault.read(KEY, version="no-such-version")),
        lambda: vault.extend(KEY, "no-such-version", soon()),
        lambda: vault.delete(KEY, "no-such-version"),
        lambda: vault.stat(KEY.rpartition("/")[0]),
    ):
        with pytest.raises(NotFoundError):
            missing()


def test_dates_are_rounded_up(vault):
    """A lock never ends before the date that was asked for; whole seconds are what every store keeps."""
    asked = soon() + timedelta(microseconds=1)
    whole = asked.replace(microsecond=0) + timedelta(seconds=1)
    stored = put(vault, until=asked)
    assert stored.retain_until == whole
    later = asked + timedelta(days=1)
    assert vault.extend(KEY, stored.version, later).retain_until == whole + timedelta(days=1)


def test_extending_never_lowers(vault):
    """A later date stays as it is."""
    stored = put(vault, until=soon(9000))
    assert vault.extend(KEY, stored.version, soon(10)).retain_until == stored.retain_until
    later = soon(20_000)
    assert vault.extend(KEY, stored.version, later).retain_until == later == vault.stat(KEY).retain_until


def test_naive_dates_are_refused(vault):
    """A date without a zone is a mistake of the caller."""
    naive = datetime(2050, 1, 1)  # noqa: DTZ001 - what is tested
    with pytest.raises(ValueError, match="time zone"):
        put(vault, until=naive)
    stored = put(vault)
    with pytest.raises(ValueError, match="time zone"):
        vault.extend(KEY, stored.version, naive)


def test_delete_is_refused_before_the_date(vault):
    """Nobody deletes what is kept, and it is all still there."""
    stored = put(vault)
    with pytest.raises(RetentionError):
        vault.delete(KEY, stored.version)
    assert vault.stat(KEY) == stored and content(vault) == DATA


def test_delete_after_the_date(vault):
    """Once the date has passed the object may go; then it is gone, and its key is free."""
    stored = put(vault, until=soon(0))
    deadline = time.monotonic() + 20
    while True:
        try:
            vault.delete(KEY, stored.version)
            break
        except RetentionError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert datetime.now(UTC) >= stored.retain_until
    with pytest.raises(NotFoundError):
        vault.stat(KEY)
    assert list(vault.list()) == []


def test_listing(vault):
    """Every object of a prefix of whole parts, in the order of the whole key, with its digest and date."""
    names = ["a/b", "a-b/c", "a/c/d", "a/c/e", "a.x", "ab/c", "b", "图/片"]
    stored = {name: put(vault, key=name, data=name.encode()) for name in reversed(names)}
    assert list(vault.list()) == [stored[name] for name in sorted(names)]
    assert (
        [each.key for each in vault.list("a")] == [each.key for each in vault.list("a/")] == ["a/b", "a/c/d", "a/c/e"]
    )
    assert [each.key for each in vault.list("a/c")] == ["a/c/d", "a/c/e"]
    assert [each.key for each in vault.list("b")] == ["b"]
    assert list(vault.list("nothing")) == []


def test_an_empty_vault(opened):
    """A vault that nothing was put into lists nothing."""
    assert list(opened(RealClock()).list()) == []


def test_two_putting_the_same(opened):
    """Many that put the same bytes at once all succeed with one object."""
    start = threading.Barrier(4)

    def race(_):
        vault = opened(RealClock())
        start.wait(20)
        return put(vault, until=datetime(2060, 1, 1, tzinfo=UTC))

    with ThreadPoolExecutor(4) as pool:
        results = set(pool.map(race, range(4)))
    assert len(results) == 1 and content(opened(RealClock())) == DATA


def test_two_putting_different_bytes(opened):
    """Of two that put different bytes at once, one wins whole and the other hears of it."""
    start = threading.Barrier(2)

    def race(data):
        vault = opened(RealClock())
        start.wait(20)
        try:
            return put(vault, data=data)
        except TamperError:
            return None

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(race, (b"one" * 99_999, b"two" * 99_999)))
    (won,) = [stored for stored in results if stored]
    assert digest_of(content(opened(RealClock()))) == won.digest


def test_a_vault_that_can_take_an_object(vault):
    """`check` passes on a sound vault and leaves nothing to be seen."""
    vault.check()
    assert list(vault.list()) == []


def test_label(vault):
    """A vault says what its promise is worth, in one of the archive's words."""
    assert vault.label in tuple(VaultLabel)
