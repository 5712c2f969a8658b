import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.catalog.words import WORDS_MAX, Word, fold, parse_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("pore", [Word("pore", prefix=True)]),
        ("x", [Word("x")]),
        ("nuclear pore", [Word("nuclear"), Word("pore", prefix=True)]),
        ('"nuclear pore"', [Word("nuclear pore")]),
        ('"nuclear pore', [Word("nuclear pore")]),
        ('a"b c', [Word("a b"), Word("c")]),
        ("-palm", [Word("palm", negated=True)]),
        ('-"two words" x1', [Word("two words", negated=True), Word("x1", prefix=True)]),
        ("- -- ! * ()", []),
        ("alexa-647", [Word("alexa-647", prefix=True)]),
        ("AND OR", [Word("AND"), Word("OR", prefix=True)]),
        ("null\x00byte \ud800lone", [Word("null byte"), Word("lone", prefix=True)]),
    ],
)
def test_words_are_read_as_people_mean_them(text: str, expected: list[Word]) -> None:
    assert parse_words(text) == expected


def test_expressions_hold_strings_alone() -> None:
    words = parse_words('name:x "a NOT b" NEAR(c) d*')
    assert [word.expression for word in words] == ['"name:x"', '"a NOT b"', '"NEAR(c)"', '"d*"*']


@given(st.text())
def test_any_text_gives_few_words_without_quotes(text: str) -> None:
    words = parse_words(text)
    assert len(words) <= WORDS_MAX
    assert all('"' not in word.text and word.text.isprintable() for word in words)


@pytest.mark.parametrize(
    ("word", "text", "is_there"),
    [
        (Word("lelek"), "Lelek lab", True),
        (Word("LEL", prefix=True), "Lelek lab", True),
        (Word("lel"), "Lelek lab", False),
        (Word("elek", prefix=True), "Lelek lab", False),
        (Word("wurzburg"), "Universität Würzburg", True),
        (Word("a.b"), "axb", False),
    ],
)
def test_words_are_found_in_names(word: Word, text: str, *, is_there: bool) -> None:
    assert (word.pattern().search(fold(text)) is not None) == is_there
