"""A hostile registry with one image; no credentials and proxies of this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hostile_registry import Hostile, Image, hostile
from tests.unit.registry.asking import LAYER


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials and no proxies of this machine."""
    monkeypatch.setenv("REGISTRY_AUTH_FILE", "/dev/null")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bad() -> Iterator[Hostile]:
    with hostile() as made:
        yield made


@pytest.fixture
def image(bad: Hostile) -> Image:
    return bad.put_image("team/app", "1", [LAYER])
