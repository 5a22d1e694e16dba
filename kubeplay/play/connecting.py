"""A pod joins a network or leaves it while it runs: its stored object says so from then on, its other connections live on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kubeplay.engine.net.definitions import DEFAULT
from kubeplay.engine.pod import write_files
from kubeplay.engine.store.locks import Lock
from kubeplay.errors import Conflict, NotFound
from kubeplay.plan import codec
from kubeplay.plan.pod import Attachment, PodPlan
from kubeplay.play.compile import marks, network
from kubeplay.play.kinds.base import body as body_text
from kubeplay.reconcile import services
from kubeplay.reconcile.observe import Look, key_of, look, remember
from kubeplay.reconcile.pod import reconcile

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


def connect(engine: Engine, uid: str, wanted: Attachment) -> None:
    """Raises NotFound, Conflict (on it already, the host's network), what `Networks.attach` raises; then the pod is as it was."""
    if wanted.network:
        engine.net.inspect(wanted.network)
    with Lock(engine.paths.lock(uid)):
        found = _changeable(engine, uid)
        joined = found.seen.plan.sandbox.attachments
        if wanted.network in [one.network for one in joined]:
            raise Conflict(f"pod {found.row.namespace}/{found.row.name} is already connected to network {wanted.network or DEFAULT}")
        plan = _with(found.seen.plan, (*joined, wanted))
        if found.seen.sandbox_ready:
            addresses = engine.net.join(uid, _netns(engine, found), plan.sandbox, wanted.network)
            _keep(engine, found, plan, addresses)
        _store(engine, found, plan)
    _settle(engine, uid)


def disconnect(engine: Engine, uid: str, name: str) -> None:
    """Raises NotFound when the pod is not on that network, Conflict for one that has the host's."""
    with Lock(engine.paths.lock(uid)):
        found = _changeable(engine, uid)
        left = tuple(one for one in found.seen.plan.sandbox.attachments if one.network != name)
        if len(left) == len(found.seen.plan.sandbox.attachments) and uid not in engine.net.users(name or DEFAULT):
            raise NotFound(f"pod {found.row.namespace}/{found.row.name} is not connected to network {name or DEFAULT}")
        plan = _with(found.seen.plan, left)
        _store(engine, found, plan)  # first: what is cut short here is completed by the next try
        if found.seen.sandbox_ready:
            addresses = engine.net.leave(uid, _netns(engine, found), plan.sandbox, name)
            _keep(engine, found, plan, addresses)
    _settle(engine, uid)


def _changeable(engine: Engine, uid: str) -> Look:
    found = look(engine, uid)
    name = f"pod {found.row.namespace}/{found.row.name}"
    if found.stored is None or found.stored.deleted is not None:
        raise NotFound(f"{name} is going")
    if found.seen.plan.sandbox.host_network:
        raise Conflict(f"{name} is on the host's network", hint="only pods with a network of their own join others")
    return found


def _with(plan: PodPlan, attachments: tuple[Attachment, ...]) -> PodPlan:
    return plan._replace(sandbox=plan.sandbox._replace(attachments=attachments))


def _netns(engine: Engine, found: Look) -> str:
    return f"{engine.paths.sandbox(found.seen.sandbox)}/ns/net"


def _keep(engine: Engine, found: Look, plan: PodPlan, addresses: tuple[str, ...]) -> None:
    """The new addresses: in the sandbox's row and files, and for published ports."""
    row = found.sandboxes[-1]._replace(addresses=addresses)
    published = [port for container in plan.containers for port in container.ports if port.host_port]
    if published and addresses:
        engine.net.publish(found.row.uid, addresses, published)
    elif published:
        engine.net.unpublish(found.row.uid)
    engine.store.runtime.set_sandbox(row.id, addresses=addresses)
    write_files(engine, row, plan)


def _store(engine: Engine, found: Look, plan: PodPlan) -> None:
    assert found.stored is not None
    obj, text = json.loads(found.stored.body), codec.dumps(plan)
    said = obj["metadata"].setdefault("annotations", {})
    said[marks.NETWORK] = network.text(network.Networks(plan.sandbox.attachments))
    with engine.store.write():
        engine.store.objects.update(key_of(found.row), body_text(obj))
        engine.store.runtime.set_pod(found.row.uid, plan=text)
    remember(found.row.uid, text, plan)


def _settle(engine: Engine, uid: str) -> None:
    reconcile(engine, uid)  # the status names the addresses
    services.refresh(engine)
    engine.net.sync()


def mend(engine: Engine, uid: str) -> None:
    """Make again what of the pod's devices and routes is missing; what is there stays as it is. Raises what `Networks.attach` raises."""
    with Lock(engine.paths.lock(uid)):
        found = look(engine, uid)
        if found.seen.sandbox_ready:
            engine.net.attach(uid, _netns(engine, found), found.seen.plan.sandbox)
