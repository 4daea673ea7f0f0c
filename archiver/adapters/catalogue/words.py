"""How text becomes words that can be found: overlapping pairs for Chinese, whole words for the rest (pure).

会议室A becomes 会议 议室 室 a. A run of Chinese characters ends with its last one alone, so that every character begins
some word and a one-character query is a prefix like any other.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

_HAN = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_RUNS = re.compile(rf"(?P<han>[{_HAN}]+)|(?P<word>[^\W_{_HAN}]+)")

_APART = "\uf900"
"""A word to every index, and none that `words` makes: a compatibility character, which NFKC replaces."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that must follow each other; the last may go on."""

    words: tuple[str, ...]

    def found_in(self, words: Sequence[str]) -> bool:
        length = len(self.words)
        return any(self._at(words[place : place + length]) for place in range(len(words) - length + 1))

    def _at(self, words: Sequence[str]) -> bool:
        *first, last = self.words
        return list(words[:-1]) == first and words[-1].startswith(last)


def words(text: str) -> list[str]:
    """The words of a text, in order, for the index."""
    return [word for run in _runs(text) for word in _split(run)]


def body(texts: Iterable[str]) -> str:
    """What the index stores of a thing with several texts: their words, apart, so that no phrase spans two texts."""
    return f" {_APART} ".join(" ".join(words(text)) for text in texts)


def phrases(query: str) -> list[Phrase]:
    """What each part of a query (parts are set apart by white space) asks for; all of them must be found."""
    return [phrase for part in query.split() if (phrase := _phrase(part))]


def fields_with(phrases: Sequence[Phrase], fields: Mapping[str, Sequence[str]]) -> list[str]:
    """Which of the named fields hold at least one of the phrases in one of their texts."""
    return [name for name, texts in fields.items() if any(_holds(words(text), phrases) for text in texts)]


def _holds(known: Sequence[str], phrases: Sequence[Phrase]) -> bool:
    return any(phrase.found_in(known) for phrase in phrases)


def _phrase(part: str) -> Phrase | None:
    wanted = words(part)
    if len(wanted) > 1 and re.fullmatch(f"[{_HAN}]{{2}}", wanted[-2]):
        wanted.pop()  # the text may go on where the query's last run ends
    return Phrase(tuple(wanted)) if wanted else None


def _runs(text: str) -> Iterator[re.Match[str]]:
    return _RUNS.finditer(unicodedata.normalize("NFKC", text).casefold())


def _split(run: re.Match[str]) -> list[str]:
    characters = run.group()
    if run.lastgroup == "word":
        return [characters]
    return [characters[place : place + 2] for place in range(len(characters))]
