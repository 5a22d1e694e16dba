"""What runs: pods' desired state, sandboxes, container instances, back-offs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubeplay.engine.store.where import only
from kubeplay.errors import NotFound
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.store.db import Store

RUN = "run"  # reconcile towards running
STOP = "stop"  # stopped by a person: keep the pod, start nothing
CREATE = "create"  # play --start=false: sandbox and containers made, not started
DELETE = "delete"  # being removed

CREATED, RUNNING, EXITED, UNKNOWN = "created", "running", "exited", "unknown"
PAUSED = "Paused"  # the `reason` of a container that runs and was told to stand still
READY, NOTREADY = "ready", "notready"


class PodRow(Record):
    """A pod as reconcile sees it. `plan` is plan.codec text; `wake_at` epoch seconds or None."""

    uid: str
    namespace: str
    name: str
    plan: str
    desired: str
    restarts_allowed: bool
    wake_at: float | None
    sandbox_attempts: int
    initialized: bool


class SandboxRow(Record):
    """One sandbox instance; `state` READY or NOTREADY; `boot` the boot id it belongs to."""

    id: str
    pod_uid: str
    attempt: int
    state: str
    boot: str
    created: float
    addresses: tuple[str, ...] = ()


class ContainerRow(Record):
    """One container instance; `pid_start` is its start time in clock ticks (proc(5) field 22)."""

    id: str
    pod_uid: str
    sandbox_id: str
    name: str
    kind: str
    attempt: int
    state: str
    boot: str
    pid: int
    pid_start: int
    image: str
    image_id: str
    created: float
    started: float | None = None
    finished: float | None = None
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    log_path: str = ""
    env_hash: str = ""
    user: str = ""


class BackoffRow(Record):
    """Back-off of one key (container name, or image:REF): next try at `since` + `delay`; both seconds (RB1, RB4)."""

    pod_uid: str
    key: str
    delay: float
    since: float
    reason: str = ""
    message: str = ""


class RuntimeRows:
    """Tables pods, sandboxes, containers, backoffs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # pods
    def add_pod(self, row: PodRow) -> None:
        with self._store.write() as db:
            db.execute(f"INSERT INTO pods VALUES ({_marks(PodRow)})", row)

    def pod(self, uid: str) -> PodRow:
        """Raises NotFound."""
        row = self._store.row(f"SELECT {_columns(PodRow)} FROM pods WHERE uid=?", uid)
        if row is None:
            raise NotFound(f"pod with uid {uid} not found")
        return _pod(row)

    def find_pod(self, namespace: str, name: str) -> PodRow | None:
        row = self._store.row(f"SELECT {_columns(PodRow)} FROM pods WHERE namespace=? AND name=?", namespace, name)
        return _pod(row) if row else None

    def pods(self, namespace: str = "") -> list[PodRow]:
        where, values = only(namespace=namespace)
        rows = self._store.rows(f"SELECT {_columns(PodRow)} FROM pods{where} ORDER BY namespace, name", *values)
        return [_pod(row) for row in rows]

    def desired(self, *wanted: str) -> list[str]:
        """Uids of the pods of which one of these is wanted."""
        marks = ",".join("?" * len(wanted))
        return [r[0] for r in self._store.rows(f"SELECT uid FROM pods WHERE desired IN ({marks})", *wanted)]

    def due(self, now: float) -> list[str]:
        """Uids of pods whose wake time has come."""
        return [r[0] for r in self._store.rows("SELECT uid FROM pods WHERE wake_at IS NOT NULL AND wake_at<=?", now)]

    def next_wake(self, after: float = 0.0) -> float | None:
        """The first wake time later than `after`."""
        row = self._store.row("SELECT min(wake_at) FROM pods WHERE wake_at>?", after)
        return row[0] if row else None

    def wake(self, key: str, now: float) -> list[str]:
        """Make every pod due that has a back-off of this key; their uids."""
        with self._store.write() as db:
            db.execute("UPDATE pods SET wake_at=? WHERE uid IN (SELECT pod_uid FROM backoffs WHERE key=?)", (now, key))
            return [row[0] for row in db.execute("SELECT pod_uid FROM backoffs WHERE key=?", (key,))]

    def set_pod(self, uid: str, **values: Any) -> None:
        """Change columns of a pod: desired, wake_at, restarts_allowed, sandbox_attempts, initialized, plan."""
        self._set("pods", "uid", uid, values)

    def delete_pod(self, uid: str) -> None:
        with self._store.write() as db:
            for table, column in (("containers", "pod_uid"), ("sandboxes", "pod_uid"), ("backoffs", "pod_uid"), ("pods", "uid")):
                db.execute(f"DELETE FROM {table} WHERE {column}=?", (uid,))

    # sandboxes
    def add_sandbox(self, row: SandboxRow) -> None:
        with self._store.write() as db:
            db.execute(f"INSERT INTO sandboxes VALUES ({_marks(SandboxRow)})", (*row[:6], json.dumps(row.addresses)))

    def sandboxes(self, pod_uid: str = "") -> list[SandboxRow]:
        """Of a pod (or all), oldest attempt first."""
        where, values = only(pod_uid=pod_uid)
        rows = self._store.rows(f"SELECT {_columns(SandboxRow)} FROM sandboxes{where} ORDER BY attempt", *values)
        return [_sandbox(row) for row in rows]

    def set_sandbox(self, sandbox_id: str, **values: Any) -> None:
        if "addresses" in values:
            values["addresses"] = json.dumps(values["addresses"])
        self._set("sandboxes", "id", sandbox_id, values)

    def delete_sandbox(self, sandbox_id: str) -> None:
        with self._store.write() as db:
            db.execute("DELETE FROM sandboxes WHERE id=?", (sandbox_id,))

    # containers
    def add_container(self, row: ContainerRow) -> None:
        with self._store.write() as db:
            db.execute(f"INSERT INTO containers VALUES ({_marks(ContainerRow)})", row)

    def container(self, container_id: str) -> ContainerRow | None:
        row = self._store.row(f"SELECT {_columns(ContainerRow)} FROM containers WHERE id=?", container_id)
        return ContainerRow(*row) if row else None

    def containers(self, pod_uid: str = "") -> list[ContainerRow]:
        """Instances of a pod (or all), by name then attempt."""
        where, values = only(pod_uid=pod_uid)
        rows = self._store.rows(f"SELECT {_columns(ContainerRow)} FROM containers{where} ORDER BY pod_uid, name, attempt", *values)
        return [ContainerRow(*row) for row in rows]

    def set_container(self, container_id: str, **values: Any) -> None:
        self._set("containers", "id", container_id, values)

    def delete_container(self, container_id: str) -> None:
        with self._store.write() as db:
            db.execute("DELETE FROM containers WHERE id=?", (container_id,))

    # back-offs
    def backoffs(self, pod_uid: str) -> dict[str, BackoffRow]:
        rows = self._store.rows(f"SELECT {_columns(BackoffRow)} FROM backoffs WHERE pod_uid=?", pod_uid)
        return {row[1]: BackoffRow(*row) for row in rows}

    def set_backoff(self, row: BackoffRow) -> None:
        with self._store.write() as db:
            db.execute(f"INSERT OR REPLACE INTO backoffs VALUES ({_marks(BackoffRow)})", row)

    def clear_backoff(self, pod_uid: str, key: str) -> None:
        with self._store.write() as db:
            db.execute("DELETE FROM backoffs WHERE pod_uid=? AND key=?", (pod_uid, key))

    def _set(self, table: str, column: str, key: str, values: dict[str, Any]) -> None:
        names = ", ".join(f"{name}=?" for name in values)
        with self._store.write() as db:
            db.execute(f"UPDATE {table} SET {names} WHERE {column}=?", (*values.values(), key))


def _columns(row: Any) -> str:
    return ", ".join(row._fields)


def _marks(row: Any) -> str:
    return ",".join("?" * len(row._fields))


def _pod(row: Any) -> PodRow:
    return PodRow(*row)._replace(restarts_allowed=bool(row[5]), initialized=bool(row[8]))


def _sandbox(row: Any) -> SandboxRow:
    return SandboxRow(*row)._replace(addresses=tuple(json.loads(row[6])))
