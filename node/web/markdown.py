"""Markdown written by strangers -> HTML that can do nothing but be read."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape

__all__ = ["TEXT_LENGTH_MAX", "render_markdown"]

TEXT_LENGTH_MAX = 40_000
NESTING_MAX = 20
HEADING_LEVEL = 3
_TAGS = {
    *("p", "br", "hr", "em", "strong", "s", "del", "code", "pre", "blockquote"),
    *("h3", "h4", "h5", "h6", "ul", "ol", "li", "a", "img"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title"},
    "ol": {"start"},
    "table": {"tabindex"},
}
# A picture from elsewhere would tell a stranger who reads the page, so only our own are shown.
_OWN_PICTURE = re.compile(r"/blobs/[0-9a-f]{64}")


@functools.lru_cache(maxsize=64)
def render_markdown(text: str) -> Markup:
    """Return a documentation as HTML: no scripts, styles, forms, frames or foreign pictures.

    Headings start at level 3, below those of the page, whatever the text begins with. A picture
    that lies elsewhere becomes a link to it. A text over `TEXT_LENGTH_MAX` characters is cut and
    says so.
    """
    cut = text[:TEXT_LENGTH_MAX]
    html = nh3.clean(
        _render(cut),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto", "doi"},
        link_rel="noopener noreferrer nofollow ugc",
        strip_comments=True,
    )
    if len(text) > len(cut):
        html += "<p>The documentation goes on; the record holds all of it.</p>"
    # nh3 has just reduced it to the tags and attributes above.
    return Markup(html)  # noqa: S704


def _render(text: str) -> str:
    parser = _parser()
    env: EnvType = {}
    tokens = parser.parse(text, env)
    headings = [token for token in tokens if token.type.startswith("heading_")]
    top = min((int(token.tag[1]) for token in headings), default=1)
    for token in headings:
        token.tag = f"h{min(6, int(token.tag[1]) - top + HEADING_LEVEL)}"
    for token in tokens:
        if token.type == "table_open":
            # A wide one scrolls by itself, so the keyboard must reach it.
            token.attrSet("tabindex", "0")
    return str(parser.renderer.render(tokens, parser.options, env))


@functools.cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": NESTING_MAX})
    parser.enable(["table", "strikethrough"])
    parser.add_render_rule("image", _render_image)
    return parser


def _render_image(  # noqa: PLR0917 - as markdown-it calls it.
    renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: EnvType,
) -> str:
    token = tokens[index]
    source = str(token.attrGet("src") or "")
    words = renderer.renderInlineAsText(token.children or [], options, env)
    if _OWN_PICTURE.fullmatch(source):
        return str(Markup('<img src="{}" alt="{}">').format(source, words))
    if source.startswith(("https://", "http://")):
        return str(Markup('<a href="{}">{}</a>').format(source, words or "Picture elsewhere"))
    return str(escape(words))
