"""Users and groups from hostile images (SC2, SC3)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from kubeplay.engine.oci.user import Accounts, Identity, check_non_root, read_accounts, resolve
from kubeplay.errors import ContainerError
from kubeplay.plan.security import Security


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0:r:/root:/bin/sh\napp:x:1000:1001:a:/home/app:/bin/sh\nhuge:x:99999999999:1:::\nbad\n")
    (tmp_path / "etc/group").write_text("root:x:0:\napp:x:1001:\nextra:x:2000:app,other\n")
    return tmp_path


@pytest.mark.parametrize(
    ("security", "image", "expected"),
    [
        (Security(), "", Identity(0, 0, (0,), "/root")),
        (Security(), "app", Identity(1000, 1001, (1001, 2000), "/home/app")),
        (Security(), "app:root", Identity(1000, 0, (0, 2000), "/home/app")),
        (Security(), "1000", Identity(1000, 1001, (1001, 2000), "/home/app")),
        (Security(), "5", Identity(5, 0, (0,), "/")),
        (Security(), "5:6", Identity(5, 6, (6,), "/")),
        (Security(run_as_user=1000), "root", Identity(1000, 1001, (1001, 2000), "/home/app")),
        (Security(run_as_user=5), "app:app", Identity(5, 0, (0,), "/")),
        (Security(run_as_user=5, run_as_group=9), "", Identity(5, 9, (9,), "/")),
        (Security(run_as_user=1000, supplemental_groups_policy="Strict", fs_group=3), "", Identity(1000, 1001, (3, 1001), "/home/app")),
    ],
)
def test_sc2_table(rootfs: Path, security: Security, image: str, expected: Identity) -> None:
    assert resolve(security, image, read_accounts(str(rootfs))) == expected


@pytest.mark.parametrize("image", ["4294967296", "2147483648", "-1", "0:4294967296", "nobody-knows", "huge", "app:nogroup"])
def test_cve_2024_40635_huge_or_unknown_users_are_refused(rootfs: Path, image: str) -> None:
    with pytest.raises(ContainerError):
        resolve(Security(), image, read_accounts(str(rootfs)))


@pytest.mark.parametrize("plant", ["outside", "fifo", "directory", "missing"])
def test_cve_2024_9676_passwd_is_read_inside_only(rootfs: Path, tmp_path_factory: pytest.TempPathFactory, plant: str) -> None:
    passwd = rootfs / "etc/passwd"
    passwd.unlink()
    outside = tmp_path_factory.mktemp("outside") / "passwd"
    outside.write_text("evil:x:0:0::/:\n")
    if plant == "outside":
        passwd.symlink_to(f"/../../../../../../..{outside}")
    elif plant == "fifo":
        os.mkfifo(passwd)
    elif plant == "directory":
        passwd.mkdir()
    assert read_accounts(str(rootfs)).users == ()


def test_links_inside_the_image_work(rootfs: Path) -> None:
    (rootfs / "etc/passwd").rename(rootfs / "real")
    (rootfs / "etc/passwd").symlink_to("/real")
    assert [u.name for u in read_accounts(str(rootfs)).users] == ["root", "app"]


@pytest.mark.parametrize(
    ("security", "image", "message"),
    [
        (Security(run_as_non_root=True, run_as_user=0), "5", "container's runAsUser breaks non-root policy (w)"),
        (Security(run_as_non_root=True), "", "container has runAsNonRoot and image will run as root (w)"),
        (Security(run_as_non_root=True), "0:5", "container has runAsNonRoot and image will run as root (w)"),
        (
            Security(run_as_non_root=True),
            "app",
            "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root (w)",
        ),
        (Security(run_as_non_root=True), "5", ""),
        (Security(run_as_non_root=True, run_as_user=5), "root", ""),
        (Security(), "", ""),
    ],
)
def test_sc3_messages(security: Any, image: str, message: str) -> None:
    if not message:
        check_non_root(security, image, "w")
        return
    with pytest.raises(ContainerError) as caught:
        check_non_root(security, image, "w")
    assert (caught.value.reason, caught.value.message) == ("CreateContainerConfigError", message)


def test_no_files_no_accounts(tmp_path: Path) -> None:
    assert read_accounts(str(tmp_path)) == Accounts()
