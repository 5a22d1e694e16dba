"""What a user is told on a machine that is not prepared: what it costs, and at most five lines that an administrator can copy."""

from __future__ import annotations

import itertools
import os
import shlex
from pathlib import Path

import pytest

from kubeplay.engine.rootless import needs
from kubeplay.engine.rootless.needs import ABSENT, GOOD, POWERLESS, Facts

READY = Facts("alice", 1001)
BARE = Facts("alice", 1001, ("conmon", "passt"), ABSENT, 0, 0, 165536, ("user.max_user_namespaces=15000",))


def test_nothing_is_said_of_a_prepared_machine() -> None:
    assert needs.notice(READY) == "" and needs.remedies(READY) == [] and needs.cost(READY) == "" and not READY.single


def test_everything_is_said_of_a_bare_one() -> None:
    assert needs.remedies(BARE) == [
        "apt-get install conmon passt uidmap",
        "usermod --add-subuids 165536-231071 --add-subgids 165536-231071 alice",
        "sysctl -w user.max_user_namespaces=15000   # and the same in /etc/sysctl.d/kubeplay.conf",
    ]
    assert needs.notice(BARE).splitlines()[0].startswith("notice: there are no subordinate ids (newuidmap is not installed)")


@pytest.mark.parametrize(
    "packages, helpers, uids, gids, sysctls",
    list(itertools.product([(), ("conmon",)], [GOOD, ABSENT, POWERLESS], [0, 65536], [0, 65536], [(), ("user.max_user_namespaces=9",)])),
)
def test_five_lines_are_enough_and_every_lack_has_a_remedy(
    packages: tuple[str, ...], helpers: str, uids: int, gids: int, sysctls: tuple[str, ...]
) -> None:
    facts = Facts("alice", 1001, packages, helpers, uids, gids, 100000, sysctls)
    said = needs.notice(facts)
    message, hint = needs.refusal(facts, "unshare: No space left on device")
    assert len(said.splitlines()) <= 5 and len(f"{message}\nhint: {hint}".splitlines()) <= 5
    text = "\n".join(needs.remedies(facts))
    assert all(package in text for package in packages)
    assert ("uidmap" in text) == (helpers != GOOD)
    assert ("--add-subuids" in text) == (not uids) and ("--add-subgids" in text) == (not gids)
    assert all(setting in text for setting in sysctls)
    assert text in needs.refusal(facts, "x")[1].replace("\n  ", "\n") or not text
    assert facts.single == (helpers != GOOD or not uids or not gids)


def test_a_kernel_that_refuses_without_a_setting_is_named_as_what_it_is() -> None:
    message, hint = needs.refusal(READY, "unshare: Operation not permitted")
    assert message == "alice (user 1001) cannot have a user namespace on this machine: unshare: Operation not permitted"
    assert "chroot" in hint and "seccomp" in hint


@pytest.mark.parametrize("name", ["alice", "a.b-c_d", "dom\\alice", "al ice", "a'b", "$(reboot)", "alice@example.org", "ärger"])
def test_a_name_is_one_word_of_the_command(name: str) -> None:
    line = needs.grant(Facts(name, 1001, uids=0, gids=0))
    assert shlex.split(line)[-1] == name and len(shlex.split(line)) == 6


def test_this_machine_can_be_read() -> None:
    facts = needs.read()
    assert facts.name and facts.helpers in (GOOD, ABSENT, POWERLESS) and facts.free >= needs.FIRST_SUBID


@pytest.mark.parametrize(
    "name, value, remedy",
    [
        ("user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
        ("user/max_user_namespaces", "96365", ""),
        ("user/max_mnt_namespaces", "0", "user.max_mnt_namespaces=15000"),
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("kernel/unprivileged_userns_clone", "1", ""),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
        ("kernel/apparmor_restrict_unprivileged_userns", "0", ""),
        ("kernel/something_else", "0", ""),
    ],
)
def test_settings_that_forbid_user_namespaces(tmp_path: Path, name: str, value: str, remedy: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(f"{value}\n")
    assert needs._switched_off(str(tmp_path)) == ([remedy] if remedy else [])


def test_the_helpers_are_looked_at(tmp_path: Path) -> None:
    """A file that anybody may run but that gives no right is not one."""
    plain = tmp_path / "newuidmap"
    plain.write_bytes(b"")
    plain.chmod(0o755)
    assert not needs._powerful(str(plain))
    if os.geteuid() == 0:
        plain.chmod(0o4755)
        assert needs._powerful(str(plain))
        os.chown(plain, 65534, 65534)
        plain.chmod(0o4755)
        assert not needs._powerful(str(plain)), "set-uid somebody else"
