"""Fixtures for tests with real containers."""

from __future__ import annotations

from tests.support.images import image_archives
from tests.support.root import root, shared_root

__all__ = ["image_archives", "root", "shared_root"]
