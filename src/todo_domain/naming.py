"""The two keys of a task: the id that the service assigns, and the uid that a client may give."""

from __future__ import annotations

import re
from typing import Final

from todo_domain.errors import Invalid

Key = int | str
"""The key of a task: its id or its uid."""

SHORTEST_UID: Final = 10
LONGEST_UID: Final = 128

_UID: Final = re.compile(rf"[0-9A-Za-z._~@-]{{{SHORTEST_UID},{LONGEST_UID}}}", re.ASCII)


def checked_uid(field: str, text: object, *, or_id: bool = True) -> str:
    """Return `text` as a uid, or raise Invalid, whose message says whether an id would do, too.

    A uid has at least ten characters, because shorter names collide and because `undefined` has nine; a name of digits
    alone would be an id.
    """
    if type(text) is not str or _UID.fullmatch(text) is None or text.isdecimal():
        kind = "a number that does not begin with 0, or a uid" if or_id else "a uid"
        raise Invalid(
            field, f"must be {kind} of {SHORTEST_UID} to {LONGEST_UID} of A-Z a-z 0-9 . _ ~ @ -, not only digits"
        )
    return text
