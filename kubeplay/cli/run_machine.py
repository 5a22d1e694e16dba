"""What run's flags ask of this machine and of the image: paths, free ports, files, the image's users and ports."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from kubeplay.errors import Exhausted, InvalidInput, NotFound
from kubeplay.play.imperative.draft import Machine

if TYPE_CHECKING:
    from kubeplay.cli.app import App

_KINDS = (
    (stat.S_ISDIR, "Directory"), (stat.S_ISREG, "File"), (stat.S_ISSOCK, "Socket"),
    (stat.S_ISCHR, "CharDevice"), (stat.S_ISBLK, "BlockDevice"),
)  # fmt: skip


def machine(app: App) -> Machine:
    """This one."""
    claims = frozenset(one.key.name for one in app.store.objects.list("PersistentVolumeClaim", app.namespace))

    def secret(name: str) -> tuple[str, ...]:
        import json

        from kubeplay.plan.stack import ObjectKey

        stored = app.store.objects.find(ObjectKey("Secret", app.namespace, name))
        return tuple(sorted(json.loads(stored.body).get("data") or {})) if stored else ()

    return Machine(_kind, _free_port, _lines, _absolute, os.environ, claims, secret)


def _kind(path: str) -> str:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return ""
    return next((name for test, name in _KINDS if test(mode)), "")


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()
    except OSError as error:
        raise NotFound(f"{path}: {error.strerror}") from error


def _free_port(address: str, protocol: str) -> int:
    """A port that nobody holds now, from the range that the kernel itself draws from."""
    import socket

    kind = socket.SOCK_DGRAM if protocol == "UDP" else socket.SOCK_STREAM
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, kind) as made:
            made.bind((address, 0))
            return int(made.getsockname()[1])
    except OSError as error:
        raise Exhausted(f"no free port on {address or 'this machine'}: {error.strerror}") from error


class ImageFacts:
    """What is only in the image."""

    def __init__(self, app: App, name: str) -> None:
        self._engine = app.engine
        found = app.engine.images.resolve(name)
        if found is None:
            raise NotFound(f"image {name} is not here")
        self._row = found

    @property
    def ports(self) -> tuple[str, ...]:
        """Its EXPOSEd ports."""
        return self._engine.images.config(self._row.id).exposed_ports

    def user(self, text: str) -> str:
        """UID:GID of a user that the image names. Raises InvalidInput."""
        from kubeplay.engine import views
        from kubeplay.engine.oci import user as users
        from kubeplay.errors import ContainerError
        from kubeplay.plan.security import Security

        with views.layers(self._engine, self._row.layers) as fd:
            accounts = users.read_accounts(f"/proc/self/fd/{fd}")
        try:
            found = users.resolve(Security(), text, accounts)
        except ContainerError as error:
            raise InvalidInput(f"--user {text}: {error.message}") from error
        return f"{found.uid}:{found.gid}"
