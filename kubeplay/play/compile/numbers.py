"""Numbers in flags and annotations."""

from __future__ import annotations


def is_number(text: str) -> bool:
    """Plain ASCII digits: `isdecimal` alone also takes the digits of other scripts."""
    return text.isascii() and text.isdigit()
