"""What every test session cleans up after itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from kubeplay.engine.host.syscalls import umount
from tests.support import as_user


def pytest_configure() -> None:
    """A shell starts background jobs with SIGINT ignored, and so would every command that a test starts and interrupts.

    Random examples: as long as they take, and the same in every run, so that a landing is not refused for what it did not touch;
    `KUBEPLAY_EXPLORE=1` looks at others.
    """
    explore = bool(os.environ.get("KUBEPLAY_EXPLORE"))
    slow = [HealthCheck.too_slow]
    settings.register_profile("kubeplay", deadline=None, suppress_health_check=slow, derandomize=not explore, database=None)
    settings.load_profile("kubeplay")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a run as an ordinary user (`make test`): the tests that are for it, with those that cannot work here skipped and counted."""
    way = os.environ.get(as_user.VARIABLE)
    if not way:
        return
    chosen = as_user.select(items, way)
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen
    for item in items:
        as_user.skip(item)


@pytest.fixture(scope="session", autouse=True)
def logins_are_ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests log in to must not end in this machine's own auth file (/run/containers/UID/auth.json)."""
    if os.environ.get(as_user.VARIABLE) == "commands":
        yield  # a user made for the tests has a file of its own
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("xdg")))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_mount_stays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Runroots that commands mounted below this session's own directory; tests of listings make them and need no reset."""
    yield
    base = str(tmp_path_factory.getbasetemp()) + "/"
    if os.geteuid() != 0:
        return
    with open("/proc/self/mounts", encoding="utf-8") as file:
        mine = [line.split()[1] for line in file if line.split()[1].startswith(base)]
    for path in reversed(mine):
        umount(path)
