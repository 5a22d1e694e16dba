"""Networks, named volumes, and which PersistentVolume is whose."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubeplay.errors import AlreadyExists
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.store.db import Store


class NetworkRow(Record):
    """A network. `subnet` and `subnet6` CIDR or "", the gateways their addresses on `bridge`, which is the device of a bridge network.

    `ranges` FIRST-LAST: where pods' addresses come from, when not from all of the subnet. `options` as they were asked for.
    """

    name: str
    subnet: str
    gateway: str
    bridge: str
    options: tuple[tuple[str, str], ...]
    created: float
    driver: str = "bridge"
    subnet6: str = ""
    gateway6: str = ""
    ranges: tuple[str, ...] = ()
    internal: bool = False
    dns: bool = True
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Its subnets, IPv4 first."""
        return tuple([one for one in (self.subnet, self.subnet6) if one])

    @property
    def routed(self) -> bool:
        """Whether its packets pass this machine's routing, and so our rules: not those of macvlan and ipvlan."""
        return self.driver == "bridge"

    def option(self, name: str) -> str:
        return dict(self.options).get(name, "")


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


_NETWORK = "name, subnet, gateway, bridge, options, created, driver, subnet6, gateway6, more"
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
            more = {"ranges": row.ranges, "internal": row.internal, "dns": row.dns, "labels": dict(row.labels)}
            values = (*row[:4], json.dumps(dict(row.options)), *row[5:9], json.dumps(more))
            db.execute(f"INSERT INTO networks ({_NETWORK}) VALUES (?,?,?,?,?,?,?,?,?,?)", values)

    def network(self, name: str) -> NetworkRow | None:
        row = self._store.row(f"SELECT {_NETWORK} FROM networks WHERE name=?", name)
        return _network(row) if row else None

    def networks(self) -> list[NetworkRow]:
        return [_network(r) for r in self._store.rows(f"SELECT {_NETWORK} FROM networks ORDER BY name")]

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
    more = json.loads(row[9])
    ranges, labels = tuple(more.get("ranges", ())), tuple(sorted(more.get("labels", {}).items()))
    name, subnet, gateway, bridge, options, created, driver, subnet6, gateway6, _ = row
    return NetworkRow(
        name, subnet, gateway, bridge, _pairs(options), created, driver, subnet6, gateway6, ranges,
        more.get("internal", False), more.get("dns", True), labels,
    )  # fmt: skip


def _volume(row: Any) -> VolumeRow:
    return VolumeRow(row[0], row[1], row[2], _pairs(row[3]), _pairs(row[4]), row[5], row[6])
