"""Rules for text: which characters are allowed, what is trimmed, what is visible, and which texts are equal.

The terms are Unicode's: general categories and White_Space from the Unicode Character Database, canonical caseless
matching from The Unicode Standard, section 3.13.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from unicodedata import category, combining, is_normalized, normalize

from todo_domain.errors import Invalid

WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""The code points with the property White_Space."""

_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Category Cc except tab, line feed and carriage return; and surrogates, which are not characters."""

_BLANK = frozenset(WHITE_SPACE + "\u115f\u1160\u2800\u3164\uffa0")
"""White space, and the letters and the Braille pattern that have no visible glyph."""

_INVISIBLE = frozenset({"Cf", "Mn", "Me"})

_LONG_RUN = re.compile(r"[^\w\s\x00-\x7f]{16}")
"""A run of characters that may all be combining marks. Only such a run is slow to normalize."""


def fold(text: str) -> str:
    """Return the folded form of `text`: two texts are equal "ignoring case" if their folded forms are equal.

    The form is `NFC(casefold(NFD(text)))`, canonical caseless matching. Folding is idempotent, and the result is at
    most three times as long as `text`. The time is proportional to the length, whatever the characters.
    """
    if text.isascii():
        return text.lower()
    return normalize("NFC", _decomposed(text).casefold())


def finder(text: str) -> Callable[[str], bool]:
    """Return a predicate that returns whether a text contains `text`.

    The result is that of `in`. The time is proportional to the length of the text searched, where `in` may take that
    length times the length of `text`: a regular expression without operators is searched for with the table of Knuth,
    Morris and Pratt.
    """
    search = re.compile(re.escape(text)).search
    return lambda searched: search(searched) is not None


def _decomposed(text: str) -> str:
    """Return `NFD(text)`.

    `normalize` sorts a run of combining marks by insertion, in time proportional to the square of its length. A text
    with a long run is therefore decomposed character by character and sorted here.
    """
    if not _LONG_RUN.search(text):
        return normalize("NFD", text)
    if is_normalized("NFD", text):
        return text
    decomposed = "".join(map(_decomposition, text))
    classes = [*map(combining, decomposed), 0]
    parts = []
    begin = 0
    while begin < len(decomposed):
        # Marks are sorted between two starters, whose class is 0. See D108 and D109 in section 3.11.
        end = classes.index(0, begin + 1)
        part = decomposed[begin:end]
        parts.append(part if len(part) < 2 else "".join(sorted(part, key=combining)))
        begin = end
    return "".join(parts)


@lru_cache(4_096)
def _decomposition(character: str) -> str:
    return normalize("NFD", character)


def refuse_control_characters(field: str, text: str) -> None:
    """Raise Invalid, naming the first one, if `text` has a character that no text may contain."""
    if refused := _REFUSED.search(text):
        raise Invalid(field, f"must not contain the character U+{ord(refused[0]):04X}")


def free_text(field: str, text: str, longest: int) -> str:
    """Return `text` unchanged. Raise Invalid for refused characters or more than `longest` code points."""
    refuse_control_characters(field, text)
    if len(text) > longest:
        raise Invalid(field, f"must be at most {longest:,} characters")
    return text


def label(field: str, text: str, longest: int) -> str:
    """Trim `text`, check its characters and its length, and return it.

    Raise Invalid for refused characters, and unless the result has 1 to `longest` code points, at least one visible.
    """
    refuse_control_characters(field, text)
    text = text.strip(WHITE_SPACE)
    if not 0 < len(text) <= longest:
        raise Invalid(field, f"must be 1 to {longest} characters")
    if all(character in _BLANK or category(character) in _INVISIBLE for character in text):
        raise Invalid(field, "must contain a visible character")
    return text
