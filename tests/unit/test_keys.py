"""Keys of the vault: made and told apart by form alone."""

import pytest

from archiver import keys
from archiver.errors import InputError

ID = "06fg" + "0" * 22


def test_segment_keys_come_back():
    """A segment's and its sidecar's key say where they belong."""
    key = keys.segment("main", ID, ID, 12)
    assert key == f"main/{ID}/{ID}/00000012.mp4"
    assert keys.parse_segment(key) == keys.SegmentKey("main", ID, ID, 12, "mp4")
    assert keys.parse_segment(keys.sidecar(key)) == keys.SegmentKey("main", ID, ID, 12, "json")


@pytest.mark.parametrize("kind", ["json", "p7s", "tsr-1"])
def test_seal_keys_come_back(kind):
    """A seal's key says its capture and revision."""
    assert keys.parse_seal(keys.seal("main", ID, 3, kind)) == keys.SealKey("main", ID, 3, kind)


@pytest.mark.parametrize(
    "key", [keys.batch(ID), keys.checkpoint(7), keys.checkpoint(7, "p7s"), keys.certificate("a" * 64), "_canary/x"]
)
def test_keys_of_the_archive_are_known(key):
    """Each form of formats.md is known, and none of these is a segment or a seal."""
    assert keys.is_known(key)
    assert keys.parse_segment(key) is None and keys.parse_seal(key) is None


@pytest.mark.parametrize(
    "key",
    [
        "",
        "x",
        f"main/{ID}/{ID}/1.mp4",
        f"main/{ID}/{ID}/00000001.mov",
        f"main/{ID}/{ID}/00000001.mp4\n",
        f"main/{ID}/00000001.mp4",
        f"main/_captures/{ID}/seal-0.json",
        f"main/_captures/{ID}/seal-1.txt",
        "_events/x.jsonl",
        "_checkpoints/0.json",
        "_keys/../x.pem",
    ],
)
def test_other_keys_are_not_known(key):
    """What is of no form of formats.md is told apart."""
    assert not keys.is_known(key)


@pytest.mark.parametrize(
    "key",
    [
        *("", "/", "/a", "a/", "a//b", "..", "a/../b", "a/./b", ".", "a\\b", "a\0b", "a\nb", "a/\x7f", "\ud800"),
        *("a" * 201, "图" * 67, "/".join(["a" * 100] * 11)),
    ],
)
def test_unsafe_keys_are_refused(key):
    """Nothing that could leave its folder, hide or be too long for a store is a key."""
    with pytest.raises(InputError):
        keys.check(key)


@pytest.mark.parametrize("key", ["a", "a/b.c", "..a/b..", "图/片", "a" * 200, keys.segment("main", ID, ID, 0)])
def test_safe_keys_pass(key):
    """Names in any script, also with dots."""
    assert keys.check(key) == key
