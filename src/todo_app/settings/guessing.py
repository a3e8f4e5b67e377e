"""Estimates how hard a shared secret is to guess, to tell a random one from a placeholder, a phrase or a pattern."""

from __future__ import annotations

import re
from math import log2
from typing import Final

ENOUGH: Final = 55.0
"""Bits. Of 20,000 random secrets of 32 hexadecimal digits, none has less than 78; typed secrets have less than 45."""

_READ: Final = 512
"""Characters that are examined."""

_SHORTEST_REPEAT: Final = 3
_LONGEST_PERIOD: Final = 4

# Words of placeholders and typed secrets. Random words that are not listed count in full, as in a passphrase.
_WORDS: Final = (  # noqa: SIM905  a paragraph is easier to read than 200 quotation marks
    "change changed changeme replace replaceme placeholder example sample insert default dummy fake mock please must "
    "secret secrets shared private public key keys token tokens jwt hmac hs256 sha256 signing sign auth oauth better "
    "password passwd passphrase pass admin root user users login session cookie access refresh api app application "
    "todo task tasks service server backend frontend client web site production prod staging stage development dev "
    "local localhost testing test tests demo debug temp temporary my your our this that the here there goes with from "
    "for and not none never ever use used using need needs should want some something thing very really super strong "
    "long longer enough least most random randomly generated generate string text value character characters chars "
    "byte bytes bit bits letter letters number numbers digit digits hex base64 openssl rand minimum length size "
    "one two three four five six seven eight nine ten thirty hundred sixty twenty only do dont don be is are it its "
    "in on at of to me we us no or so as an if by can has have will make made put set get new old own good safe secure "
    "security unsafe insecure weak correct horse battery staple hello world foo bar baz qux foobar lorem ipsum dolor "
    "sit amet qwertyuiop qwertzuiop azertyuiop qwerty asdfghjkl asdf zxcvbnm yxcvbnm zxcv iloveyou letmein welcome "
    "monkey dragon master company corp acme inc quick brown fox jumps over lazy dog"
).split()
_KNOWN: Final = re.compile("|".join(sorted(_WORDS, key=len, reverse=True)))
_LONG: Final = re.compile("|".join(word for word in sorted(_WORDS, key=len, reverse=True) if len(word) > 4))
_SEPARATORS: Final = re.compile(r"[-_.:<>]+")
_DISGUISES: Final = str.maketrans("013457@$", "oieastas")


def bits(secret: str) -> float:
    """Return about how many bits are unknown to a guesser who knows how people make up secrets.

    Known words, also in disguise (`s3cr3t`), letter case and separators count nothing. A character that continues a run
    (`abc`, `987`, `aaa`, `a1b2c3`) counts nothing; a repeat counts as one character. Each other character counts the
    logarithm of the number of different ones.
    """
    text = _SEPARATORS.sub("", _without_known_words(secret[:_READ].lower()))
    unforeseen = []
    at = 0
    while at < len(text):
        repeated = _repeat(text, at)
        if repeated or not _in_a_run(text, at):
            unforeseen.append(text[at])
        at += repeated or 1
    return len(unforeseen) * log2(len(set(unforeseen)) or 1)


def _without_known_words(text: str) -> str:
    undisguised = text.translate(_DISGUISES)
    kept, at = [], 0
    for word in _LONG.finditer(undisguised):
        kept.append(text[at : word.start()])
        at = word.end()
    return _KNOWN.sub("", "".join(kept) + text[at:])


def _repeat(text: str, at: int) -> int:
    """Return how many characters from `at` on repeat earlier ones; 0 if they are too few to count."""
    length = _SHORTEST_REPEAT
    while at + length <= len(text) and text.find(text[at : at + length], 0, at + length - 1) != -1:
        length += 1
    return length - 1 if length > _SHORTEST_REPEAT else 0


def _in_a_run(text: str, at: int) -> bool:
    for period in range(1, _LONGEST_PERIOD + 1):
        if at >= 2 * period:
            here, before, first = (ord(text[at - back * period]) for back in range(3))
            if here - before == before - first and abs(here - before) <= 1:
                return True
    return False
