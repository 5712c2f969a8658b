"""Tags as people write them: `category:term`, in any spelling."""

from __future__ import annotations

import difflib
import re

from node.catalog import vocabulary
from node.errors import InputError
from protocol import limits
from protocol.records import Tag

__all__ = ["parse_tag"]


def parse_tag(text: str) -> Tag:
    """Return the tag that people write as `category:term`.

    A term that the vocabulary lacks is taken as it is: it suggests, it does not rule.

    Raises:
        InputError: There is no such category, or the term is empty or too long.
    """
    kind, colon, term = text.partition(":")
    category = vocabulary.category(kind)
    if not colon or category is None:
        names = [item.name for item in vocabulary.categories()]
        close = difflib.get_close_matches(kind.strip().lower(), names, 1)
        hint = f" Did you mean {close[0]}:{term or '...'}?" if close else ""
        raise InputError(
            f"tag {text!r} must be written CATEGORY:TERM with one of the categories "
            f"{', '.join(names)}.{hint}"
        )
    known = vocabulary.term(category, term)
    if known is not None:
        return Tag(
            category=category,
            term=known,
            label=vocabulary.label(category, known),
            curie=vocabulary.curie(category, known) or "",
        )
    slug = re.sub(r"\s+", "-", term.strip().lower())
    if not slug or len(slug) > limits.TERM_LENGTH_MAX:
        raise InputError(f"tag {text!r} needs a term of 1 to {limits.TERM_LENGTH_MAX} characters")
    return Tag(category=category, term=slug, label=term.strip())
