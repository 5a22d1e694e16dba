"""Uids of objects are what RFC 9562 calls version 4."""

from __future__ import annotations

import uuid

from kubeplay.engine.store.objects import new_uid


def test_uids_are_random_uuids_of_version_4() -> None:
    made = {new_uid() for _ in range(500)}
    assert len(made) == 500
    for text in made:
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant, str(parsed)) == (4, uuid.RFC_4122, text)
