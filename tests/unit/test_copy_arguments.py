"""How a browser copy is asked of ffmpeg."""

from itertools import pairwise
from pathlib import Path

import pytest

from archiver.vocabulary import Container
from config.profiles import BROWSER
from ingest.adapters.transcoder import command, idle_disk


def argv(container: Container = Container.MP4, timescale: int = 90_000) -> list[str]:
    return command("/usr/bin/ffmpeg", Path("/home/copies/new-1"), BROWSER, container, timescale)


def test_it_reads_its_input_and_writes_the_file_it_was_given() -> None:
    """Nothing else is opened."""
    words = argv()
    assert words[0] == "/usr/bin/ffmpeg" and "/home/copies/new-1" in words
    assert [word for option, word in pairwise(words) if option == "-i"] == ["pipe:0"]
    assert ("-protocol_whitelist", "pipe") in pairwise(words)


@pytest.mark.parametrize("timescale", [1000, 12_800, 90_000])
def test_times_are_counted_as_the_master_counts_them(timescale: int) -> None:
    """By the encoder and in the file; the input's are kept."""
    words = argv(timescale=timescale)
    assert ("-enc_time_base:v", f"1:{timescale}") in pairwise(words)
    assert ("-video_track_timescale", str(timescale)) in pairwise(words)
    assert "-copyts" in words


@pytest.mark.parametrize(("container", "format"), [(Container.MP4, "mp4"), (Container.MOV, "mov")])
def test_the_input_is_read_as_what_it_is(container: Container, format: str) -> None:
    """No guess is made from its bytes; what comes out is MP4."""
    words = argv(container)
    assert [word for option, word in pairwise(words) if option == "-f"] == [format, "mp4"]


def test_it_is_bounded() -> None:
    """One thread to decode and one to encode, of at most 720 lines."""
    words = argv()
    assert [word for option, word in pairwise(words) if option == "-threads"] == ["1", "1"]
    assert any("min(720,ih)" in word for word in words)


def test_the_disk_is_left_to_others() -> None:
    """Where the system has ionice; else as it was."""
    words = idle_disk(argv())
    assert words[-len(argv()) :] == argv()
    assert words == argv() or Path(words[0]).name == "ionice"
