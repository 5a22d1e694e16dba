"""Ids of sandboxes and containers: 64 hex digits, as every OCI tool shows them."""

from __future__ import annotations

import os

_LENGTH = 64


def new_id() -> str:
    """A random id."""
    return os.urandom(_LENGTH // 2).hex()


def is_id(text: str) -> bool:
    """Whether `text` has the form of an id: what we find on disk is only ours when it has."""
    return len(text) == _LENGTH and all(c in "0123456789abcdef" for c in text)
