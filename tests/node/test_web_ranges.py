import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.web.byte_ranges import parse_range


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("BYTES = 5 - 6", (5, 7)),
        # Nothing there: the answer is 416.
        ("bytes=100-", (100, 100)),
        ("bytes=200-300", (100, 100)),
        ("bytes=-0", (100, 100)),
        # Not understood: the answer is everything.
        ("", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=0-1,5-6", None),
        ("items=0-1", None),
        ("bytes=a-b", None),
        ("bytes=" + "9" * 30 + "-", None),
    ],
)
def test_one_range_is_taken_and_what_is_no_range_ignored(
    header: str, span: tuple[int, int] | None
) -> None:
    assert parse_range(header, 100) == span


@given(st.text(alphabet="bytes=-,0123456789 ", max_size=30), st.integers(0, 1000))
def test_a_range_lies_within_the_file(header: str, size: int) -> None:
    span = parse_range(header, size)
    assert span is None or 0 <= span[0] <= span[1] <= size
