"""Named volumes: directories under the root that outlive pods (PV4), one per PersistentVolumeClaim."""

from __future__ import annotations

import os
from collections.abc import Mapping

from kubeplay.engine.host import owners
from kubeplay.engine.host.paths import Paths, component
from kubeplay.engine.store.db import Store
from kubeplay.engine.store.resources import VolumeRow
from kubeplay.errors import AlreadyExists, InvalidInput, NotFound, NotSupported

MODE = 0o777
OPTIONS = ("uid", "gid")  # of volume.podman.io/*: what a plain directory can honour


class NamedVolumes:
    """Create, find and remove named volumes; `path()` is what a pod mounts."""

    def __init__(self, store: Store, paths: Paths) -> None:
        self._store = store
        self._paths = paths

    def ensure(self, namespace: str, name: str, options: Mapping[str, str], labels: Mapping[str, str] | None = None) -> bool:
        """Make the volume unless it is there; True when it was made. Raises NotSupported for an unknown option."""
        _check_name(namespace, name)
        for option in options:
            if option not in OPTIONS:
                raise NotSupported(f"volume {namespace}/{name}: option {option!r} is not supported", hint=f"known: {', '.join(OPTIONS)}")
        pairs = tuple(sorted(options.items())), tuple(sorted((labels or {}).items()))
        row = VolumeRow(namespace, name, "local", *pairs, self._store.clock.now())
        if not self._store.resources.add_volume(row):
            return False
        self._make(row)
        return True

    def mend(self, row: VolumeRow) -> None:
        """Make the directory of a volume of ours whose maker was killed between the row and it."""
        if not row.path and not os.path.isdir(self.path(row.namespace, row.name)):
            self._make(row)

    def _make(self, row: VolumeRow) -> None:
        path, options = self.path(row.namespace, row.name), dict(row.options)
        os.makedirs(path, exist_ok=True)
        owners.give(path, int(options.get("uid", 0)), int(options.get("gid", 0)), f"volume {row.namespace}/{row.name}")
        os.chmod(path, MODE)

    def create(self, namespace: str, name: str, options: Mapping[str, str], labels: Mapping[str, str]) -> VolumeRow:
        """Raises AlreadyExists."""
        if not self.ensure(namespace, name, options, labels):
            raise AlreadyExists(f"volume {namespace}/{name} already exists")
        return self.get(namespace, name)

    def get(self, namespace: str, name: str) -> VolumeRow:
        """Raises NotFound."""
        row = self._store.resources.volume(namespace, name)
        if row is None:
            raise NotFound(f"volume {namespace}/{name} not found")
        return row

    def list(self, namespace: str = "") -> list[VolumeRow]:
        return self._store.resources.volumes(namespace)

    def find(self, namespace: str, name: str) -> VolumeRow | None:
        return self._store.resources.volume(namespace, name)

    def path(self, namespace: str, name: str) -> str:
        """Where the volume is: a directory of ours, or the host's that a PersistentVolume names."""
        row = self._store.resources.volume(namespace, name)
        return row.path if row is not None and row.path else f"{self._paths.volume(namespace, name)}/_data"

    def retain(self, namespace: str, name: str, volume: str) -> str:
        """The volume is no longer the claim's, but its data stay, as those of PersistentVolume `volume`; where they are now."""
        place = f"{self._paths.root}/volumes/+{component(volume)}"  # no namespace begins so
        if os.path.isdir(self._paths.volume(namespace, name)):
            os.rename(self._paths.volume(namespace, name), place)
        self._store.resources.delete_volume(namespace, name)
        return f"{place}/_data"

    def remove(self, namespace: str, name: str) -> None:
        """Remove the volume and, where they are ours, its data; the caller checks that nobody uses it. Raises NotFound."""
        if self.get(namespace, name).path:
            self._store.resources.delete_volume(namespace, name)
            return
        import shutil

        if os.path.isdir(self._paths.volume(namespace, name)):
            shutil.rmtree(self._paths.volume(namespace, name))
        self._store.resources.delete_volume(namespace, name)


def _check_name(namespace: str, name: str) -> None:
    """`_` parts the two on disk, so that must not be in the first; podman's rule for the second."""
    letters = name.replace("_", "").replace("-", "").replace(".", "")
    if not (letters.isascii() and letters.isalnum() and name[0] not in "_-." and len(name) <= 253):
        raise InvalidInput(f"volume name {name[:64]!r} is invalid", hint="letters, digits, '_', '.' and '-', the first a letter or digit")
    plain = namespace.replace("-", "")
    if not (plain.isascii() and plain.isalnum() and plain == plain.lower() and len(namespace) <= 63):
        raise InvalidInput(f"namespace {namespace[:64]!r} is invalid", hint="lower case letters, digits and '-', at most 63")
