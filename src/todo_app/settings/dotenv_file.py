"""The `.env` file in the working directory, read strictly: a line that cannot be used is an error, not left out."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Final

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from todo_app.settings.table import BadSetting

_FILE: Final = Path(".env")


def dotenv_file() -> dict[str, str]:
    """Return the variables of the file; none if there is no such file.

    Raises BadSetting if the file cannot be read, is not UTF-8, or has a line that sets no variable.
    """
    if not _FILE.is_file():  # a virtual environment may have this name
        return {}
    try:
        text = _FILE.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise BadSetting(f"{_FILE} cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise BadSetting(f"{_FILE} must be UTF-8: save it again in this encoding") from None
    for line in parse_stream(StringIO(text)):
        if line.error or (line.key is not None and line.value is None):
            number = line.original.line + _blank_lines(line.original.string)
            raise BadSetting(
                f"{_FILE}, line {number}, must be NAME=value: look for a missing =, or a quote that is not closed"
            )
    return {name: value for name, value in dotenv_values(stream=StringIO(text)).items() if value is not None}


def _blank_lines(text: str) -> int:
    """Return the number of lines before the first one that is not blank."""
    return text[: len(text) - len(text.lstrip())].count("\n")
