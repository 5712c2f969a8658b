"""What a person typed, as words to look for. Nothing of it is ever a command to the text index."""

import re
import unicodedata
from dataclasses import dataclass

__all__ = ["Word", "fold", "parse_words"]

WORDS_MAX = 16
WORD_LENGTH_MAX = 100
PREFIX_LENGTH_MIN = 2
_PART = re.compile(r'(-?)"([^"]*)"?|(\S+)')


@dataclass(frozen=True, slots=True)
class Word:
    """A word or, if it was in quotes, a phrase; `prefix` also finds what begins with it."""

    text: str
    negated: bool = False
    prefix: bool = False

    @property
    def expression(self) -> str:
        """The word in the text index's own syntax, as a string of it: nothing can escape."""
        return f'"{self.text}"' + ("*" if self.prefix else "")

    def pattern(self) -> re.Pattern[str]:
        """Return what finds the word in a folded text."""
        end = "" if self.prefix else r"(?!\w)"
        return re.compile(rf"(?<!\w){re.escape(fold(self.text))}{end}")


def parse_words(text: str) -> list[Word]:
    """Return the words of a query: "phrases" in quotes, -unwanted ones, the last one a prefix.

    Parts without any letter or digit say nothing and are left out.
    """
    words: list[Word] = []
    last_is_open = False
    for match in _PART.finditer(text):
        minus, phrase, plain = match.groups()
        if plain is None:
            word = _word(phrase, negated=minus == "-")
        else:
            negated = plain.startswith("-") and len(plain) > 1
            word = _word(plain.removeprefix("-") if negated else plain, negated=negated)
        if word is not None and len(words) < WORDS_MAX:
            words.append(word)
            last_is_open = plain is not None
    if last_is_open and not words[-1].negated and len(words[-1].text) >= PREFIX_LENGTH_MIN:
        words[-1] = Word(words[-1].text, prefix=True)
    return words


def fold(text: str) -> str:
    """Return the text without case and diacritics, as the text index compares it."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _word(text: str, *, negated: bool) -> Word | None:
    # The text index ends a string at a quote or at NUL; neither is part of any word.
    letters = (letter if letter.isprintable() and letter != '"' else " " for letter in text)
    cleaned = "".join(letters)[:WORD_LENGTH_MAX].strip()
    if not any(letter.isalnum() for letter in cleaned):
        return None
    return Word(cleaned, negated=negated)
