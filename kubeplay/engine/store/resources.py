"""Networks, named volumes, and which PersistentVolume is whose."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubeplay.errors import AlreadyExists
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.store.db import Store


class NetworkRow(Record):
    """A bridge network; `subnet` CIDR, `gateway` its address on the bridge."""

    name: str
    subnet: str
    gateway: str
    bridge: str
    options: tuple[tuple[str, str], ...]
    created: float


class VolumeRow(Record):
    """A named volume (a PersistentVolumeClaim's, or made by `volume create`).

    `driver` hostPath or local with a `path`: a PersistentVolume's directory of the host, not ours to remove.
    """

    namespace: str
    name: str
    driver: str
    options: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    created: float
    path: str = ""


class BindingRow(Record):
    """PersistentVolume `volume` belongs to a claim, or did: then no claim has this uid any more."""

    volume: str
    namespace: str
    claim: str
    claim_uid: str


_VOLUME = "namespace, name, driver, options, labels, created, path"


class Resources:
    """Tables networks and volumes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_network(self, row: NetworkRow) -> None:
        """Raises AlreadyExists."""
        with self._store.write() as db:
            if self.network(row.name):
                raise AlreadyExists(f"network {row.name} already exists")
            db.execute("INSERT INTO networks VALUES (?,?,?,?,?,?)", (*row[:4], json.dumps(dict(row.options)), row.created))

    def network(self, name: str) -> NetworkRow | None:
        row = self._store.row("SELECT name, subnet, gateway, bridge, options, created FROM networks WHERE name=?", name)
        return _network(row) if row else None

    def networks(self) -> list[NetworkRow]:
        return [_network(r) for r in self._store.rows("SELECT name, subnet, gateway, bridge, options, created FROM networks ORDER BY name")]

    def delete_network(self, name: str) -> None:
        with self._store.write() as db:
            db.execute("DELETE FROM networks WHERE name=?", (name,))

    def add_volume(self, row: VolumeRow) -> bool:
        """True when it was made, False when it was there (create-if-missing, podman-kube-facts 4.8)."""
        with self._store.write() as db:
            values = (*row[:3], json.dumps(dict(row.options)), json.dumps(dict(row.labels)), row.created, row.path)
            return db.execute(f"INSERT OR IGNORE INTO volumes ({_VOLUME}) VALUES (?,?,?,?,?,?,?)", values).rowcount > 0

    def volume(self, namespace: str, name: str) -> VolumeRow | None:
        row = self._store.row(f"SELECT {_VOLUME} FROM volumes WHERE namespace=? AND name=?", namespace, name)
        return _volume(row) if row else None

    def volumes(self, namespace: str = "") -> list[VolumeRow]:
        rows = self._store.rows(
            f"SELECT {_VOLUME} FROM volumes WHERE ?='' OR namespace=? ORDER BY namespace, name", namespace, namespace
        )
        return [_volume(row) for row in rows]

    def bind(self, row: BindingRow) -> None:
        """The volume is this claim's from now on."""
        with self._store.write() as db:
            db.execute("INSERT OR REPLACE INTO bindings VALUES (?,?,?,?)", row)

    def bindings(self) -> list[BindingRow]:
        return [BindingRow(*row) for row in self._store.rows("SELECT volume, namespace, claim, claim_uid FROM bindings ORDER BY volume")]

    def unbind(self, volume: str) -> None:
        with self._store.write() as db:
            db.execute("DELETE FROM bindings WHERE volume=?", (volume,))

    def delete_volume(self, namespace: str, name: str) -> None:
        with self._store.write() as db:
            db.execute("DELETE FROM volumes WHERE namespace=? AND name=?", (namespace, name))


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(json.loads(text).items()))


def _network(row: Any) -> NetworkRow:
    return NetworkRow(row[0], row[1], row[2], row[3], _pairs(row[4]), row[5])


def _volume(row: Any) -> VolumeRow:
    return VolumeRow(row[0], row[1], row[2], _pairs(row[3]), _pairs(row[4]), row[5], row[6])
