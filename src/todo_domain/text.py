"""What counts as text here: which characters may come in, what is trimmed, what can be seen, and what is alike.

The terms are Unicode's: general categories and White_Space from the Unicode Character Database, canonical caseless
matching from The Unicode Standard, section 3.13.
"""

from __future__ import annotations

import re
from unicodedata import category, normalize

from todo_domain.errors import Invalid

WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""The code points with the property White_Space."""

_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Category Cc but for tab, line feed and carriage return; and surrogates, which are no characters at all."""

_BLANK = frozenset(WHITE_SPACE + "\u115f\u1160\u2800\u3164\uffa0")
"""White space, and the letters and the Braille pattern that are drawn as nothing."""

_INVISIBLE = frozenset({"Cf", "Mn", "Me"})


def fold(text: str) -> str:
    """Return the form in which two texts are equal when they are equal "ignoring case".

    Idempotent; at most three times as long. `NFC(casefold(NFD(text)))`: canonical caseless matching.
    """
    if text.isascii():
        return text.lower()
    return normalize("NFC", normalize("NFD", text).casefold())


def refuse_control_characters(field: str, text: str) -> None:
    """Raise Invalid if a character in `text` is not allowed anywhere, and name the first one."""
    if refused := _REFUSED.search(text):
        raise Invalid(field, f"must not contain the character U+{ord(refused[0]):04X}")


def free_text(field: str, text: str, longest: int) -> str:
    """Return `text` as it is, or raise Invalid: refused characters, or more than `longest` code points."""
    refuse_control_characters(field, text)
    if len(text) > longest:
        raise Invalid(field, f"must be at most {longest:,} characters")
    return text


def label(field: str, text: str, longest: int) -> str:
    """Return `text` trimmed, or raise Invalid: refused characters, not 1 to `longest` code points, nothing visible."""
    refuse_control_characters(field, text)
    text = text.strip(WHITE_SPACE)
    if not 0 < len(text) <= longest:
        raise Invalid(field, f"must be 1 to {longest} characters")
    if all(character in _BLANK or category(character) in _INVISIBLE for character in text):
        raise Invalid(field, "must contain a visible character")
    return text
