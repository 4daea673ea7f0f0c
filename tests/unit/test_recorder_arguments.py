"""What ffmpeg is told, and what its words teach."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.errors import AddressError
from archiver.vocabulary import GapCause
from ingest.arguments import (
    ANALYSIS_US,
    Opening,
    better_opening,
    input_options,
    output_options,
    quoted,
    redacted,
    script,
    start_failure,
)

PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1)
WORDS = st.text(string.ascii_letters + string.digits + "-_.~!$'()*", min_size=3, max_size=20)


def unquoted(word: str) -> str:
    """As libavutil's av_get_token reads a word: literal in quotes, a backslash outside takes the next character."""
    out, rest = "", word
    while rest:
        if rest[0] == "'":
            inner, _, rest = rest[1:].partition("'")
            out += inner
        elif rest[0] == "\\":
            out, rest = out + rest[1], rest[2:]
        else:
            out, rest = out + rest[0], rest[1:]
    return out


@given(PRINTABLE)
def test_any_address_survives_quoting(address):
    """What ffmpeg reads is what was meant, also with quotes and backslashes in a password."""
    assert unquoted(quoted(address)) == address


@given(PRINTABLE)
def test_an_address_is_one_line_of_the_script(address):
    """No address can add a directive."""
    lines = script(f"rtsp://{address}", 0, 5).split("\n")
    assert lines[0] == "ffconcat version 1.0"
    assert unquoted(lines[1].removeprefix("file ")) == f"rtsp://{address}"
    assert all(line.startswith("option ") for line in lines[2:-1]) and lines[-1] == ""


@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\t", "\x7f", "\x85", "\u2028"])
def test_control_characters_are_refused(character):
    """They could end the line."""
    with pytest.raises(AddressError):
        script(f"rtsp://host/{character}option x y", 0, 5)


@pytest.mark.parametrize(("address", "tcp"), [("rtsp://h/", True), ("RTSPS://h/", True), ("http://h/", False)])
def test_only_rtsp_is_asked_for_tcp(address, tcp):
    """Another demuxer doesn't know that option."""
    assert ("option rtsp_transport tcp" in script(address, 0, 5)) is tcp


@given(st.integers(0, 50), st.booleans())
def test_options_follow_from_attempt_and_container_alone(attempt, mov):
    """The same for every source; later attempts never analyse for a shorter time; the container is the only
    difference that `mov` makes."""
    options = input_options(attempt)
    assert options["analyzeduration"] == ANALYSIS_US[min(attempt, 2)] <= input_options(attempt + 1)["analyzeduration"]
    assert options["f"] == "concat" and "file" not in str(options["protocol_whitelist"])
    assert {**output_options(mov=mov), "f": ""} == {**output_options(mov=False), "f": ""}
    assert output_options(mov=mov)["f"] == ("mov" if mov else "mp4")


@given(WORDS, WORDS, WORDS)
def test_no_part_of_an_address_is_told(user, password, path):
    """Errors that print the address, or a part of it, are made safe to keep."""
    address = f"rtsp://{user}:{password}@camera/{path}?key={password}"
    words = redacted(f"open {address}: no; user {user}: {password} wrong for /{path}", address)
    assert password not in words and path not in words and user not in words.replace("user", "")


def test_another_address_with_a_login_is_made_safe_too():
    """A redirected one, say."""
    assert "pw" not in redacted("moved to rtsp://me:pw@other/x", "rtsp://a:b@c/d")


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("method DESCRIBE failed: 401 Unauthorized", GapCause.AUTH_FAILED),
        ("Server returned 401 Unauthorized (authorization failed)", GapCause.AUTH_FAILED),
        ("Connection to tcp://h:554 failed: Connection refused", GapCause.UNREACHABLE),
        ("Connection timed out", GapCause.UNREACHABLE),
        ("No route to host", GapCause.UNREACHABLE),
        ("Failed to resolve hostname cam", GapCause.UNREACHABLE),
        ("method DESCRIBE failed: 404 Not Found", GapCause.UNREACHABLE),
        ("dimensions not set", GapCause.UNKNOWN),
    ],
)
def test_a_failed_start_has_a_cause(words, cause):
    """By ffmpeg's own words."""
    assert start_failure(words) is cause


def test_failures_teach_the_next_start():
    """G.711 asks for MOV, an unclear stream for a longer look, up to the longest; other troubles teach nothing."""
    assert better_opening(Opening(), "pcm_mulaw in stream #1, codec not currently supported in container") == Opening(
        0, mov=True
    )
    seen = [Opening()]
    while better := better_opening(seen[-1], "dimensions not set"):
        seen.append(better)
    assert [opening.attempt for opening in seen] == [0, 1, 2]
    assert better_opening(Opening(), "Connection refused") is None


def test_what_is_told_names_no_file_protocol():
    """A script can't make ffmpeg read the disk."""
    assert not re.search(r"\bfile\b", str(input_options(0)["protocol_whitelist"]))
