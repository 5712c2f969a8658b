import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.web.markdown import TEXT_LENGTH_MAX, render_markdown

BLOB = "/blobs/" + "ab" * 32


def test_ordinary_documentation_reads_well() -> None:
    html = render_markdown("# Sample\n\n- **2.4 %** PFA\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    assert "<h3>Sample</h3>" in html
    assert "<strong>2.4 %</strong>" in html
    assert "<td>2</td>" in html
    assert '<table tabindex="0">' in html  # It may scroll, and then by keyboard, too.


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](data:text/html;base64,PHNjcmlwdD4=)",
        "[a](vbscript:x)",
        '![a" onerror="alert(1)](https://x.example/y.png)',
        "<svg onload=alert(1)>",
        '<a href="https://x.example" onclick="alert(1)">a</a>',
        "<style>body{display:none}</style>",
        "<iframe src=https://x.example></iframe>",
        "```html\n<script>alert(1)</script>\n```",
    ],
)
def test_nothing_in_it_can_run(text: str) -> None:
    html = render_markdown(text)
    tags = re.findall(r"<\s*(\w+)([^>]*)>", html)
    assert {name for name, _ in tags} <= {"p", "a", "pre", "code"}
    for _, attributes in tags:
        assert not re.search(
            r"\son\w+\s*=|javascript:|vbscript:|data:|style=", attributes, re.IGNORECASE
        )


def test_only_pictures_of_this_node_are_shown() -> None:
    assert f'<img src="{BLOB}" alt="ours">' in render_markdown(f"![ours]({BLOB})")
    for source in ("https://x.example/a.png", "//x.example/a.png", "/blobs/../login", BLOB + "?x"):
        assert "<img" not in render_markdown(f"![theirs]({source})")
    elsewhere = render_markdown("![theirs](https://x.example/a.png)")
    assert 'href="https://x.example/a.png"' in elsewhere


def test_links_lead_out_without_saying_from_where() -> None:
    assert 'rel="noopener noreferrer nofollow ugc"' in render_markdown("<https://x.example/>")


def test_an_endless_text_is_cut_and_says_so() -> None:
    html = render_markdown("word " * TEXT_LENGTH_MAX)
    assert len(html) < TEXT_LENGTH_MAX + 500
    assert "goes on" in html


@given(st.text(max_size=300))
def test_any_text_gives_harmless_markup(text: str) -> None:
    html = render_markdown(text)
    assert "<script" not in html.lower()
    assert not re.search(r"<[^>]*\son\w+\s*=", html, re.IGNORECASE)


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("# A\n\n## B", ["h3", "h4"]),
        ("## A\n\n### B\n\n## C", ["h3", "h4", "h3"]),
        ("###### A", ["h3"]),
        ("# A\n\n###### B", ["h3", "h6"]),
        ("A\n===\n\nB\n---", ["h3", "h4"]),
    ],
)
def test_headings_follow_those_of_the_page(text: str, levels: list[str]) -> None:
    assert re.findall(r"<(h\d)>", render_markdown(text)) == levels
