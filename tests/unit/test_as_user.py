"""Every module with real containers has its place in the runs as root and as an ordinary user."""

from __future__ import annotations

import re

from tests.support.as_user import COMMANDS, LIBRARY, ROOT_ONLY, TESTS


def test_every_module_has_one_place() -> None:
    marked = {str(path.relative_to(TESTS)) for path in TESTS.rglob("test_*.py") if re.search(r"mark\.root\b", path.read_text())}
    marked.discard("unit/test_as_user.py")
    listed = [*COMMANDS, *LIBRARY, *ROOT_ONLY]
    assert marked == set(listed), f"tests/support/as_user.py: not placed {marked - set(listed)}, not there {set(listed) - marked}"
    assert len(listed) == len(set(listed))
