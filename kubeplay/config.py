"""The settings of one invocation: where state lives and which runtime is used.

Everything that must differ between two roots (bridge, nft table, cgroup) is named after the root here,
so that two kubeplays on one machine never touch each other's things.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from kubeplay.record import Record

DEFAULT_ROOT = "/var/lib/kubeplay"
DEFAULT_RUNROOT = "/run/kubeplay"
_default = {"root": DEFAULT_ROOT, "runroot": DEFAULT_RUNROOT}


def lie_below(home: str, runtime: str) -> None:
    """From now on things lie below these directories unless it is said otherwise: an ordinary user's home and runtime directory."""
    data = os.environ.get("XDG_DATA_HOME", "")
    _default["root"] = f"{data if data.startswith('/') else home.rstrip('/') + '/.local/share'}/kubeplay"
    _default["runroot"] = f"{runtime}/kubeplay"


BOOLEAN = ("seccomp_default", "host_loopback", "ipv6")  # settings that are yes or no


class Settings(Record):
    """One table of settings. Paths are absolute; `runtime` is a path, a name or "" (probe), `storage_driver` overlay, fuse-overlayfs,
    vfs or "" (the first that works).

    `cdi_spec_dir` are the directories, separated by `:`, in which devices are described (CDI); later ones come first.

    `ipv6`: the default network and the Services' range get IPv6 beside IPv4; a network that has it keeps it.

    Only for an ordinary user: `network_helper` pasta, slirp4netns, none or "" (what is installed); `host_loopback`: pods reach the host's
    own 127.0.0.1 at 169.254.77.2.

    `ingress_http_port` and `ingress_https_port` are the host's ports where Ingresses are served, "" = 80 and 443 (8080 and 8443 for an
    ordinary user).
    """

    root: str = DEFAULT_ROOT
    runroot: str = DEFAULT_RUNROOT
    runtime: str = ""
    storage_driver: str = ""
    cgroup_manager: str = "cgroupfs"
    log_level: str = "warning"
    log_format: str = "text"
    seccomp_default: bool = True
    seccomp_profile_root: str = "/var/lib/kubelet/seccomp"
    network_helper: str = ""
    host_loopback: bool = False
    cdi_spec_dir: str = "/etc/cdi:/var/run/cdi"
    ipv6: bool = False
    ingress_http_port: str = ""
    ingress_https_port: str = ""

    @property
    def tag(self) -> str:
        """Eight hex digits that name everything of this root on the host."""
        import zlib

        return f"{zlib.crc32(self.root.encode()):08x}"

    @property
    def bridge(self) -> str:
        """The default network's bridge; IFNAMSIZ leaves 15 characters."""
        return f"kp{self.tag}"

    @property
    def nft_table(self) -> str:
        return f"kubeplay_{self.tag}"

    @property
    def cgroup_parent(self) -> str:
        """Relative to each hierarchy's mount point."""
        return f"kubeplay-{self.tag}"


def settings(env: Mapping[str, str] | None = None, **given: str | bool | None) -> Settings:
    """Settings from flags (`given`, None = not given), then KUBEPLAY_* variables, then defaults."""
    env = os.environ if env is None else env
    values: dict[str, str | bool] = {**_default}
    for field in Settings._fields:
        flag = given.get(field)
        variable = env.get(f"KUBEPLAY_{field.upper()}")
        if flag is not None:
            values[field] = flag
        elif variable:
            values[field] = variable.lower() not in ("0", "false", "no") if field in BOOLEAN else variable
    made = Settings(**values)  # type: ignore[arg-type]
    return made._replace(root=os.path.abspath(made.root), runroot=os.path.abspath(made.runroot))
