"""Where things lie under the root (kept over a reboot) and the runroot (a tmpfs of our own).

root/     state.db  images/ layers/ blobs/ containers/CID/{upper,work}  pods/UID/volumes/  volumes/NS_NAME/  logs/  sync/NAME/
runroot/  boot_id  wake  locks/  exits/CID  sandboxes/ID/{ns/,shm/,files/{hosts,resolv.conf,hostname,termination-CID}}
          containers/CID/{config.json,facts,rootfs,conmon.pid,...}  volumes/UID/NAME (tmpfs copies: secrets)  runtime/ (runc's state)
"""

from __future__ import annotations

import os

from kubeplay.config import Settings
from kubeplay.errors import InvalidInput


class Paths:
    """Every path we own, so that no other module joins strings."""

    def __init__(self, settings: Settings) -> None:
        self.root = settings.root
        self.runroot = settings.runroot
        self.storage_driver = settings.storage_driver

    @property
    def database(self) -> str:
        return f"{self.root}/state.db"

    @property
    def wake(self) -> str:
        """The FIFO that wakes the supervisor."""
        return f"{self.runroot}/wake"

    @property
    def exits(self) -> str:
        """conmon writes an exited container's status to exits/CID."""
        return f"{self.runroot}/exits"

    @property
    def on_exit(self) -> str:
        """The script conmon runs when a container ends; it survives an upgrade of kubeplay."""
        return f"{self.runroot}/on-exit"

    @property
    def boot_id(self) -> str:
        return f"{self.runroot}/boot_id"

    def layer(self, diff_id: str) -> str:
        return f"{self.root}/layers/{hex_digest(diff_id)}"

    def container(self, container_id: str) -> str:
        """Persistent: upper and work directory."""
        return f"{self.root}/containers/{container_id}"

    def bundle(self, container_id: str) -> str:
        """Volatile: config.json, rootfs mount, pid files."""
        return f"{self.runroot}/containers/{container_id}"

    def sandbox(self, sandbox_id: str) -> str:
        return f"{self.runroot}/sandboxes/{sandbox_id}"

    def pod(self, uid: str) -> str:
        return f"{self.root}/pods/{component(uid)}"

    def pod_volumes(self, uid: str) -> str:
        return f"{self.root}/pods/{component(uid)}/volumes"

    def pod_tmpfs(self, uid: str) -> str:
        """Volume data that must not touch a disk."""
        return f"{self.runroot}/volumes/{component(uid)}"

    def volume(self, namespace: str, name: str) -> str:
        return f"{self.root}/volumes/{component(namespace)}_{component(name)}"

    def pod_logs(self, namespace: str, name: str, uid: str) -> str:
        """CS12."""
        return f"{self.root}/logs/{component(namespace)}_{component(name)}_{component(uid)}"

    def sync(self, name: str) -> str:
        """What a followed source's process needs again after its end."""
        return f"{self.root}/sync/{component(name)}"

    def lock(self, name: str) -> str:
        return f"{self.runroot}/locks/{component(name)}"


def component(name: str) -> str:
    """`name` as one path component. Raises InvalidInput for one that would leave its directory."""
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise InvalidInput(f"{name!r} cannot be used as a file name")
    return name


def hex_digest(digest: str) -> str:
    """The 64 hex digits of `sha256:HEX`. Raises InvalidInput for anything else (CVE-2024-3727)."""
    algorithm, _, value = digest.partition(":")
    if algorithm != "sha256" or len(value) != 64 or any(c not in "0123456789abcdef" for c in value):
        raise InvalidInput(f"{digest[:200]!r} is not a sha256 digest")
    return value


def ensure_directory(path: str, mode: int = 0o700) -> str:
    """Make `path` and its parents; returns it."""
    os.makedirs(path, mode=mode, exist_ok=True)
    return path
