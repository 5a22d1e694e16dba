"""One look at a pod: rows of the store as the records that decide() and pod_status() read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubeplay.engine.host.machine import boot_id
from kubeplay.engine.store.objects import StoredObject
from kubeplay.engine.store.runtime import (
    CREATE,
    CREATED,
    DELETE,
    READY,
    RUN,
    RUNNING,
    STOP,
    BackoffRow,
    ContainerRow,
    PodRow,
    SandboxRow,
)
from kubeplay.kube.status import TERMINAL, ContainerView, Instance, PodView
from kubeplay.plan import codec
from kubeplay.plan.container import APP, ContainerPlan
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.stack import ObjectKey
from kubeplay.reconcile import room, schedule
from kubeplay.reconcile.model import ACCEPTED, EVICTED, HOOK, KILLED, REJECTED, RESIZE, START, UNSCHEDULED, Health, Observed, Seen
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


REMOVING = "removing"  # state of a sandbox that we take apart: without its directory it is not a wiped one


class Look(Record):
    """The pure view and the rows it was made from; `rows[name]` are the instances of a container, oldest first."""

    seen: Observed
    row: PodRow
    stored: StoredObject | None
    status: dict[str, Any]
    sandboxes: tuple[SandboxRow, ...]
    rows: dict[str, list[ContainerRow]]


def key_of(row: PodRow) -> ObjectKey:
    return ObjectKey("Pod", row.namespace, row.name)


_plans: dict[str, tuple[str, PodPlan]] = {}


def remember(uid: str, text: str, plan: PodPlan) -> None:
    """Spare `plan_of` the decoding of a plan that this process has just stored as `text`."""
    _plans[uid] = (text, plan)


def plan_of(row: PodRow) -> PodPlan:
    """The pod's plan, decoded once a process."""
    known = _plans.get(row.uid)
    if known is None or known[0] != row.plan:
        known = (row.plan, codec.loads(row.plan))
        _plans[row.uid] = known
    return known[1]


def look(engine: Engine, uid: str) -> Look:
    """Raises NotFound when there is no such pod."""
    row = engine.store.runtime.pod(uid)
    plan = plan_of(row)
    stored = engine.store.objects.find(key_of(row))
    status = json.loads(stored.status) if stored and stored.status else {}
    sandboxes = tuple(engine.store.runtime.sandboxes(uid))
    rows: dict[str, list[ContainerRow]] = {c.name: [] for c in plan.containers}
    for instance in engine.store.runtime.containers(uid):
        rows.setdefault(instance.name, []).append(instance)
    for instances in rows.values():
        instances.sort(key=lambda r: r.attempt)
    sandbox = sandboxes[-1] if sandboxes else None
    backoffs, created = engine.store.runtime.backoffs(uid), stored.created if stored else 0.0
    seen = Observed(
        uid=uid, plan=plan, desired=row.desired, created=created, accepted=backoffs[ACCEPTED].since if ACCEPTED in backoffs else created,
        phase=str(status.get("phase", "")),
        deleted=bool(stored and stored.deleted is not None), initialized=row.initialized, void=_void(engine, row, sandboxes, rows),
        sandbox=sandbox.id if sandbox else "", sandbox_ready=bool(sandbox and sandbox.state == READY),
        sandbox_attempts=row.sandbox_attempts, addresses=sandbox.addresses if sandbox else (), host_ip=host_ip(engine),
        host_ip6=host_ip6(engine, sandbox.addresses if sandbox else ()),
        containers=tuple([_seen(engine, c, rows[c.name], sandbox, backoffs) for c in plan.containers]),
        backoffs=backoffs, generation=stored.generation if stored else 1,
    )  # fmt: skip
    if not (sandboxes or seen.phase in TERMINAL or _is_bound(engine, seen)):
        seen = seen._replace(bound=False, room=room.room(engine, uid)._replace(claims=_claims(engine, seen.plan)))
    if RESIZE in backoffs and stored is not None:
        seen = seen._replace(resizable=_resizable(engine, seen, stored))
    return Look(seen, row, stored, status, sandboxes, rows)


def _resizable(engine: Engine, seen: Observed, stored: StoredObject) -> bool:
    """Just asked for; or put off, and now there is room, or time for another try."""
    from kubeplay.kube import resize

    why = seen.backoffs[RESIZE]
    if not why.reason or (why.reason == resize.FAILED and engine.clock.now() >= why.since + why.delay):
        return True
    here = room.room(engine, seen.uid)
    now = resize.verdict(resize.wanted(json.loads(stored.body)["spec"], seen.plan), here.capacity, here.used)
    return why.reason != resize.FAILED and now != (why.reason, why.message)


def _is_bound(engine: Engine, seen: Observed) -> bool:
    """Whether the scheduler has nothing left to say about the pod (LR1)."""
    return UNSCHEDULED not in seen.backoffs and (not schedule.asks(seen.plan, engine.node_name) or room.holds(engine, seen.uid))


def _claims(engine: Engine, plan: PodPlan) -> str:
    """What keeps the pod's claims from being mounted, after everything that can be bound was."""
    if not schedule.has_claims(plan):
        return ""
    from kubeplay.reconcile import claims

    return claims.unmet(engine, plan)


def _void(engine: Engine, row: PodRow, sandboxes: tuple[SandboxRow, ...], rows: dict[str, list[ContainerRow]]) -> bool:
    """Whether the pod ran under another boot, or its runroot was wiped: then only a person brings it back (issue 2)."""
    if row.desired not in (RUN, CREATE):
        return False
    now = boot_id()
    newest = [instances[-1] for instances in rows.values() if instances]
    used = {c.sandbox_id for c in newest}  # one without containers may be half made
    wiped = any(s.id in used and s.state != REMOVING and not os.path.isdir(engine.paths.sandbox(s.id)) for s in sandboxes)
    return wiped or any(s.boot != now for s in sandboxes) or any(c.boot != now for c in newest)


def _seen(
    engine: Engine, plan: ContainerPlan, instances: list[ContainerRow], sandbox: SandboxRow | None, backoffs: Mapping[str, BackoffRow]
) -> Seen:
    """While its postStart hook is not through, an instance that runs does not count as started (LH1)."""
    current = instances[-1] if instances else None
    if current is not None and HOOK + plan.name in backoffs and current.state == RUNNING:
        current = current._replace(state=CREATED, started=None)
    previous = instances[-2] if len(instances) > 1 else None
    here = bool(current and sandbox and current.sandbox_id == sandbox.id)
    killed = backoffs.get(KILLED + plan.name)
    why = killed.reason if killed and current and killed.message == current.id else ""
    first, second = _instance(engine, current) if current else None, _instance(engine, previous) if previous else None
    return Seen(plan, first, second, here, _health(engine, plan, current), why)


def _health(engine: Engine, plan: ContainerPlan, row: ContainerRow | None) -> Health:
    """What its probes say of the newest instance; without probes it is well."""
    if not plan.probed:
        return Health()
    from kubeplay.reconcile.probes import state

    return state.health(plan, engine.store.probes.of(row.id) if row else {})


def _instance(engine: Engine, row: ContainerRow) -> Instance:
    image_id = _digest(engine, row.image_id) if row.image_id else ""
    return Instance(row.id, row.attempt, row.state, row.image, image_id, row.started, row.finished, row.exit_code, row.reason, row.message,
                    row.user)  # fmt: skip


_digests: dict[tuple[str, str], str] = {}


def _digest(engine: Engine, image_id: str) -> str:
    """The image as `imageID` names it (CS1): repository@digest of one that has both, else its id."""
    key = (engine.settings.root, image_id)
    if key not in _digests:
        row, names = engine.store.images.get(image_id), engine.store.images.names(image_id)
        repository = names[0][0].partition("@")[0].rpartition(":")[0] if names else ""
        if row is None or not repository:
            return image_id
        _digests[key] = f"{repository}@{row.manifest_digest}" if row.manifest_digest else image_id
    return _digests[key]


def view(look_: Look, *, finished: bool = False, rejected: tuple[str, str] | None = None) -> PodView:
    """What pod_status() needs, from one look."""
    seen = look_.seen
    refused = seen.backoffs.get(REJECTED) or seen.backoffs.get(EVICTED)
    reason, message = rejected or ((refused.reason, refused.message) if refused else ("", ""))
    ending = seen.desired in (STOP, DELETE) or seen.deleted
    started = any(c.plan.kind == APP and c.current is not None and bool(c.current.started) for c in seen.containers)
    return PodView(
        plan=seen.plan, created=seen.accepted, containers=tuple([_container(seen, c) for c in seen.containers]),
        sandbox_ready=seen.sandbox_ready and not finished and not seen.void, addresses=() if finished else seen.addresses,
        host_ip=seen.host_ip, host_ip6=seen.host_ip6, initialized=started, ending=ending, finished=finished or seen.phase in TERMINAL,
        rejected=bool(rejected or REJECTED in seen.backoffs), failed=EVICTED in seen.backoffs, reason=reason, message=message,
        generation=seen.generation, resize=_resize(seen), unscheduled=None if seen.bound or ending or finished else _unscheduled(seen),
    )  # fmt: skip


def _resize(seen: Observed) -> tuple[str, str]:
    why = seen.backoffs.get(RESIZE)
    return (why.reason, why.message) if why else ("", "")


def _unscheduled(seen: Observed) -> tuple[str, str]:
    why = seen.backoffs.get(UNSCHEDULED)
    return (why.reason, why.message) if why and why.reason != schedule.ELSEWHERE else ("", "")


def _container(seen: Observed, container: Seen) -> ContainerView:
    why = seen.backoffs.get(START + container.plan.name)
    waiting, message = (why.reason, why.message) if why else ("", "")
    health, seen_ = container.health, (container.plan, container.current, container.previous)
    return ContainerView(*seen_, waiting, message, health.started, health.ready, container.killed)


_host_ip: list[str] = []
_host_ip6: list[str] = []


def host_ip(engine: Engine) -> str:
    """The machine's address that pods can reach (LR2): the one its default route uses, else the bridge's."""
    if not _host_ip:
        _host_ip.append(_route_address() or _gateway(engine))
    return _host_ip[0]


def host_ip6(engine: Engine, addresses: tuple[str, ...]) -> str:
    """The same of IPv6, for a pod with these addresses: "" where neither it nor the root has the second family."""
    if not engine.settings.ipv6 and not any(":" in address for address in addresses):
        return ""
    if not _host_ip6:
        _host_ip6.append(_route_address("2001:db8::1"))  # RFC 3849
    return _host_ip6[0]


def _route_address(far: str = "192.0.2.1") -> str:  # TEST-NET-1 (RFC 5737)
    from _socket import AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_DGRAM, socket

    try:
        probe = socket(AF_INET6 if ":" in far else AF_INET, SOCK_DGRAM | SOCK_CLOEXEC)
    except OSError:  # a kernel without IPv6
        return ""
    try:
        probe.connect((far, 9))  # connecting a datagram socket sends nothing
        return str(probe.getsockname()[0])
    except OSError:
        return ""
    finally:
        probe.close()


def _gateway(engine: Engine) -> str:
    return next((network.gateway for network in engine.store.resources.networks() if network.gateway and network.routed), "127.0.0.1")
