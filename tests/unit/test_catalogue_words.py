"""Text as words of the index, and queries as phrases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.adapters.catalogue.words import Phrase, body, fields_with, phrases, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("会议室A", ["会议", "议室", "室", "a"]),
        ("室", ["室"]),
        ("CG-2026/001_x", ["cg", "2026", "001", "x"]),
        ("Ｂ１ Straße", ["b1", "strasse"]),
        ("医用𬭎床", ["医用", "用𬭎", "𬭎床", "床"]),
        ("!? \ue000\x00", []),
    ],
)
def test_words(text: str, expected: list[str]):
    """Overlapping pairs and the last character of each Chinese run; the rest whole, folded, without punctuation."""
    assert words(text) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("会议室", [("会议", "议室")]),
        ("室", [("室",)]),
        ("标-室", [("标", "室")]),
        ("开标室-室", [("开标", "标室", "室", "室")]),
        ("室A 2026-0", [("室", "a"), ("2026", "0")]),
        (" \t!! ", []),
    ],
)
def test_phrases(query: str, expected: list[tuple[str, ...]]):
    """One phrase for each part between spaces; the last run's own last character is no condition."""
    assert phrases(query) == [Phrase(wanted) for wanted in expected]


def test_no_phrase_spans_two_texts():
    """The index keeps the texts of a thing apart."""
    indexed = body(["CG 001", "视频"]).split()
    assert not phrases("001视频")[0].found_in(indexed)
    assert phrases("001")[0].found_in(indexed)


def test_fields_with_names_each_field_that_holds_a_phrase():
    """In any of its texts; a field without a text holds nothing."""
    fields = {"title": ("视频会议",), "source": ("全景", "会议机位"), "own": ()}
    assert fields_with(phrases("会议 全景"), fields) == ["title", "source"]
    assert fields_with(phrases("没有"), fields) == []
    assert fields_with([], fields) == []


@given(st.text() | st.text("\uf900'\"\\*:&|!()<-> a会", max_size=10))
def test_words_need_no_escaping(text: str):
    """Of ASCII they hold letters and digits alone, no white space, and never what keeps texts apart."""
    for word in words(text):
        assert all(character.isalnum() or ord(character) > 127 for character in word)
        assert word.split() == [word]
        assert "\uf900" not in word


@given(st.text())
def test_a_text_is_found_by_itself(text: str):
    """Every phrase of a text taken as a query is in the text's own words."""
    assert all(phrase.found_in(words(text)) for phrase in phrases(text))
