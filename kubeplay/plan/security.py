"""Who a container runs as and what it may do: container and pod securityContext merged (SC1)."""

from __future__ import annotations

from kubeplay.record import Record


class SELinuxOptions(Record):
    """Parts of an SELinux label; "" = the runtime's own."""

    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


class Seccomp(Record):
    """`type` RuntimeDefault, Unconfined or Localhost (then `profile` is relative to `root`, SC5; "" = the settings' profile root)."""

    type: str = "RuntimeDefault"
    profile: str = ""
    root: str = ""


class AppArmor(Record):
    """`type` RuntimeDefault, Unconfined or Localhost; "" = the host's default."""

    type: str = ""
    profile: str = ""


class Security(Record):
    """The effective security context of one container; None = not set, the image or runtime decides (SC2)."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool = False
    supplemental_groups: tuple[int, ...] = ()
    supplemental_groups_policy: str = "Merge"
    fs_group: int | None = None
    fs_group_policy: str = "Always"
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    no_new_privileges: bool = False
    read_only_rootfs: bool = False
    proc_mount: str = "Default"
    seccomp: Seccomp = Seccomp()
    apparmor: AppArmor = AppArmor()
    selinux: SELinuxOptions = SELinuxOptions()
