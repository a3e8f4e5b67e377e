"""Texts that have broken stores before."""

NASTY = [
    "%",
    "_",
    "\\",
    "100%_\\%",
    "'",
    '"',
    "''; drop table tasks; --",
    "%s %(owner)s :owner ? $1 {0}",
    '{"a": [1]}',
    "{a,b}",
    "\xc9",  # composed
    "E\u0301",  # the same, decomposed
    "ß ẞ ss SS",
    "\u0130 \u0131 i I",
    "ΑΣ ας",
    "ﬃ",
    "\u0345\u0301\u0328",  # combining marks alone, not in canonical order
    "👩‍👩‍👧 🏳️‍🌈",
    "שלום עולם",
    "\u202e\u0645\u0631\u062d\u0628\u0627\u202c",
    "日本語",
    "a\u2028b\u2029c\ufeff",
    "tab\tline\nreturn\r\n",
    " \u3000surrounded\xa0 ",
    "\U0010ffff\uffff",
    "null",
    "0",
]

NASTY_IN_FILES = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "'quoted",
    "\t=1",
    "\r=1",
    'a,"b";c',
    "two\r\nlines",
    "a\rb\nc\n\nd",
    "C:\\New folder\\new\\\\N",
    "back\\slash \\n \\, \\;",
    "BEGIN:VTODO\r\nSUMMARY:forged\r\nEND:VTODO",
    "x\r\nEND:VCALENDAR",
    '="a\nb"',
    "\u2028line\u2029separators",
    "😀" * 80,
    "e\u0301" * 100,
    "a:b;c=d^n^'",
    "",
]
"""Texts that break the formats of files: those that spreadsheets calculate, and those that forge lines."""
