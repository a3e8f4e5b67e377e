"""Percent-decoding of database URLs."""

from urllib.parse import unquote


def decoded(text: str) -> str:
    """Return the text with its percent-encoded characters decoded, or raise ValueError if they are not UTF-8."""
    for index, character in enumerate(text):
        if character == "%" and not set(text[index + 1 : index + 3].ljust(2)) <= set("0123456789abcdefABCDEF"):
            raise ValueError("has a % that does not begin a percent-encoded character: write it as %25")
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("has percent-encoded characters that are not UTF-8: write a % as %25") from None
    if "\0" in plain:
        raise ValueError("has a NUL character (%00), which no name or password can have")
    return plain
