"""Lines of source, as messages name them."""

import functools
import linecache
import os


def place(line: str) -> str:
    """``file:line`` with the file as somebody in this folder would call it."""
    file, colon, number = line.rpartition(":")
    return f"{_relative(file)}:{number}" if colon else line


@functools.cache
def _relative(file: str) -> str:
    near = os.path.relpath(file)
    return file if near.startswith("..") else near


def source(line: str) -> str:
    """The text of ``file:line``; empty if it is out of reach."""
    file, _, number = line.rpartition(":")
    try:
        return linecache.getline(file, int(number)).strip() if number.isdecimal() else ""
    except UnicodeEncodeError:  # of a locale that has no such file name
        return ""
