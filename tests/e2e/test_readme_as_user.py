"""The README's main job as an ordinary user who has just come: `make play`, the page, `make down`, and nothing left after a reset."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.user import User, user

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def newcomer() -> Iterator[User]:
    with user(own_network=True) as made:
        yield made


def test_missing_packages_are_named_in_one_line_for_an_administrator(newcomer: User) -> None:
    tools = newcomer.home / "tools"
    tools.mkdir()
    (tools / "dpkg-query").write_text("#!/bin/sh\nexit 1\n")
    (tools / "dpkg-query").chmod(0o755)
    said = newcomer.run("sh", "-c", f"cd {newcomer.checkout} && PATH={tools}:$PATH make play", status=2)
    lines = said.stderr.splitlines()
    assert "apt-get install --no-install-recommends python3-venv conmon runc" in lines[0] and "uidmap passt" in lines[0]
    assert len(lines) == 2 and lines[1].startswith("make: ***") and said.stdout == ""


def test_make_play_and_make_down(newcomer: User) -> None:
    played = newcomer.run("make", "-C", str(newcomer.checkout), "play", timeout=1200).stdout
    assert "<h1>Hello from kubeplay</h1>" in played and "Visit number 1" in played and "kind: Deployment" in played
    assert played.count("guestbook-") > 10 and played.count("Running") == 3
    again = newcomer.run("curl", "-sf", "--retry", "60", "--retry-all-errors", "--retry-delay", "1", "http://127.0.0.1:30080/").stdout
    assert "Visit number 2" in again
    newcomer.run("make", "-C", str(newcomer.checkout), "down")
    assert newcomer.run(newcomer.kubeplay, "pod", "ps", "-q").stdout == ""
    assert newcomer.run("curl", "-sf", "-m", "3", "http://127.0.0.1:30080/", status=None).returncode in (7, 28)


def test_a_reset_leaves_the_home_as_it_was(newcomer: User) -> None:
    newcomer.run(newcomer.kubeplay, "system", "reset", "--force")
    assert newcomer.processes() == []
    assert newcomer.run("sh", "-c", "ls ~/.local/share/kubeplay $XDG_RUNTIME_DIR/kubeplay 2>/dev/null; true").stdout == ""
