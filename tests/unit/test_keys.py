"""Keys of the vault: made and told apart by form alone."""

import pytest

from archiver import keys

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
