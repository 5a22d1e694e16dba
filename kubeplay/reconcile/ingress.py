"""Ingresses (IG1): a proxy in a pod of our own, there as long as an Ingress is, told where requests go whenever endpoints change.

The pod is an ordinary one in kube-system with an address and host ports of its own, and runs the host's haproxy as nobody. Its files lie in
the runroot, secrets too (it is a tmpfs). `refresh` is level-triggered: what lies there is compared with what is wanted,
what the proxy runs with what lies there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kubeplay.engine.host import processes
from kubeplay.engine.host.paths import ensure_directory
from kubeplay.engine.store.events import WARNING
from kubeplay.engine.store.locks import Lock
from kubeplay.engine.store.objects import StoredObject
from kubeplay.engine.store.runtime import DELETE, RUN, RUNNING, PodRow
from kubeplay.errors import AlreadyExists, Conflict, Forbidden, MissingPrerequisite
from kubeplay.plan import codec
from kubeplay.plan.container import ContainerPlan, Port
from kubeplay.plan.pod import Attachment, Dns, PodPlan, SandboxPlan
from kubeplay.plan.security import Security
from kubeplay.plan.stack import ObjectKey
from kubeplay.plan.volumes import HostPath, Mount, Volume
from kubeplay.reconcile import system
from kubeplay.reconcile.observe import host_ip, plan_of, remember

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.plan.proxy import ProxyPlan

KIND, NAME = "Ingress", "ingress-proxy"
KEY = ObjectKey("Pod", system.NAMESPACE, NAME)
NOBODY = 65534
SECONDS = 3.0  # by then a proxy that starts or reloads has done it, or says in its log why not
_LOCK = "ingress"
VARIABLES = "KUBEPLAY_INGRESS_HTTP_PORT, KUBEPLAY_INGRESS_HTTPS_PORT"


def stored(engine: Engine) -> list[StoredObject]:
    """Every Ingress, oldest first."""
    found = [obj for obj in engine.store.objects.list(KIND) if obj.deleted is None]
    return sorted(found, key=lambda obj: (obj.created, obj.key.namespace, obj.key.name))


def addresses(engine: Engine) -> tuple[str, ...]:
    """The proxy's own addresses: policies let it reach every pod, as a cluster's does that runs on the host's network."""
    row = engine.store.runtime.find_pod(system.NAMESPACE, NAME)
    return tuple([ip for sandbox in engine.store.runtime.sandboxes(row.uid) for ip in sandbox.addresses]) if row is not None else ()


# the pod
def directory(engine: Engine) -> str:
    return f"{engine.paths.runroot}/ingress"


def pod_plan(argv: tuple[str, ...], files: str, ports: tuple[Port, ...], user: int) -> PodPlan:
    """The proxy's pod; `files` is its directory on the host."""
    from kubeplay.engine.net import proxy

    security = Security(run_as_user=user, run_as_group=user, cap_drop=("ALL",), no_new_privileges=True)
    mounts = (Mount("files", proxy.SEEN),)
    container = ContainerPlan(
        "haproxy", "host", command=argv, host_rootfs=True, pull_policy="Never", ports=ports, security=security, mounts=mounts
    )
    sandbox = SandboxPlan(NAME, attachments=(Attachment(""),), dns=Dns("Default"))
    return PodPlan(system.NAMESPACE, NAME, sandbox, (container,), (Volume("files", HostPath(files)),), grace_seconds=5, controlled=True)


def ports_of(engine: Engine) -> tuple[int, int]:
    """The host's ports for HTTP and HTTPS: of the settings, else 80 and 443, which an ordinary user may not have: 8080 and 8443."""
    from kubeplay.engine.host.userns import rootless

    usual = (8080, 8443) if rootless() else (80, 443)
    return _number(engine.settings.ingress_http_port, usual[0]), _number(engine.settings.ingress_https_port, usual[1])


def _number(text: str, otherwise: int) -> int:
    from kubeplay.errors import InvalidInput

    if not text:
        return otherwise
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise InvalidInput(f"port {text[:20]!r} for Ingresses is none", hint=f"{VARIABLES}: 1 to 65535")
    return int(text)


def ensure(engine: Engine, keep: bool = False) -> str:
    """Store the proxy's pod unless it is there as it must be; its uid, to be reconciled, "" without an Ingress.

    `keep`: one that is there stays as it is, whatever this command's settings say.
    Raises MissingPrerequisite without haproxy, Conflict and Forbidden when a host port cannot be had.
    """
    from kubeplay.engine.net import proxy

    found = stored(engine)
    if not found:
        return ""
    row = engine.store.runtime.find_pod(system.NAMESPACE, NAME)
    if keep and row is not None and row.desired == RUN:
        return _kept(engine, row)
    try:
        program = processes.program("haproxy")
    except MissingPrerequisite as error:
        raise MissingPrerequisite(f"{found[0].key}: {error.message}", hint="apt-get install haproxy: it serves Ingresses") from error
    http, https = ports_of(engine)
    ports = [Port(proxy.HTTP, "TCP", "http", http)]
    if any((_body(obj).get("spec") or {}).get("tls") for obj in found):
        ports.append(Port(proxy.HTTPS, "TCP", "https", https))
    user = _user()
    argv = (program, "-W", "-db", "-S", f"{proxy.SEEN}/{proxy.MASTER}", "-f", f"{proxy.SEEN}/{proxy.CONFIG}")
    plan = pod_plan(argv, directory(engine), tuple(ports), user)
    if row is not None and row.desired == RUN and plan_of(row) == plan:
        return _kept(engine, row)
    if row is not None:
        system.remove(engine, row)
    _check_ports(engine, found[0].key, ports)
    refresh(engine)  # it finds its files when it starts
    return _store(engine, plan)


def _kept(engine: Engine, row: PodRow) -> str:
    from kubeplay.engine.net import proxy

    if not os.path.exists(f"{directory(engine)}/{proxy.CONFIG}"):  # another boot
        refresh(engine)
    return row.uid


def _check_ports(engine: Engine, key: ObjectKey, ports: list[Port]) -> None:
    """That the ports can be had is asked first, so that the error names the Ingress and what to do about it."""
    try:
        engine.net.publish("ingress-probe", "192.0.2.1", ports)
    except (Conflict, Forbidden) as error:
        hint = f"choose other ports: {VARIABLES}"
        raise type(error)(f"{key}: {error.message}", hint=hint) from error
    finally:
        engine.net.unpublish("ingress-probe")


def _store(engine: Engine, plan: PodPlan) -> str:
    text = codec.dumps(plan)
    try:
        with engine.store.write():
            made = engine.store.objects.create(KEY, _pod_body())
            engine.store.runtime.add_pod(PodRow(made.uid, system.NAMESPACE, NAME, text, RUN, True, None, 0, False))
    except AlreadyExists:  # another command was quicker
        row = engine.store.runtime.find_pod(system.NAMESPACE, NAME)
        return row.uid if row else ""
    remember(made.uid, text, plan)
    return made.uid


def _pod_body() -> str:
    import json

    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME, "namespace": system.NAMESPACE, "labels": {"app": NAME}},
            "spec": {"containers": [{"name": "haproxy", "image": "host"}]}}  # fmt: skip
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def _user() -> int:
    """Nobody, where there is one: an ordinary user may have too few subordinate ids."""
    from kubeplay.engine.rootless import who

    maps = who.maps()
    return NOBODY if maps.has_uid(NOBODY) and maps.has_gid(NOBODY) else 0


def remove_idle(engine: Engine) -> bool:
    """Remove the proxy when no Ingress is left; True when it was there."""
    row = engine.store.runtime.find_pod(system.NAMESPACE, NAME)
    if row is None or stored(engine):
        return False
    system.remove(engine, row)
    _clear(engine)
    return True


def _clear(engine: Engine) -> None:
    import shutil

    shutil.rmtree(directory(engine), ignore_errors=True)


# what it is told
def refresh(engine: Engine) -> None:
    """Write the proxy's files as Ingresses, endpoints and Secrets are now, and have it take them. Cheap without Ingresses."""
    found = stored(engine)
    if not found or _leaving(engine):
        return
    with Lock(engine.paths.lock(_LOCK)):
        changed, digest, lacks = _write(engine, found)
    runs = _bring(engine, digest)
    if changed:
        for obj in found:
            for message in lacks.get(f"{obj.key.namespace}/{obj.key.name}", ()):
                engine.store.events.add(obj.key, obj.uid, "Incomplete", message, WARNING)
    for obj in found:
        _say(engine, obj, runs)


def _leaving(engine: Engine) -> bool:
    row = engine.store.runtime.find_pod(system.NAMESPACE, NAME)
    return row is not None and row.desired == DELETE


def _write(engine: Engine, found: list[StoredObject]) -> tuple[bool, str, dict[str, list[str]]]:
    """(whether anything changed, the configuration's mark, what is missing of each Ingress)."""
    from kubeplay.engine.net import proxy
    from kubeplay.kube import routing
    from kubeplay.reconcile import certificates, services

    plan, missing = routing.plan([_body(obj) for obj in found], services.routes(engine))
    lacks = {name: list(texts) for name, texts in missing.items()}
    path, user = ensure_directory(directory(engine), 0o700), _user()
    os.chown(path, user, user)
    shown: certificates.Shown = {}
    if plan.tls:
        shown, why = certificates.gather(engine.store, plan.certificates, _own(path, engine.clock.now()))
        _tell(found, plan, why, lacks)
    files = proxy.files(plan, shown, *_told(engine))
    return proxy.write(path, files, (user, user)), proxy.digest_of(files[proxy.CONFIG]), lacks


def _told(engine: Engine) -> tuple[int, int]:
    """The host's ports as backends are told: those of the proxy that is there."""
    row, wanted = engine.store.runtime.find_pod(system.NAMESPACE, NAME), ports_of(engine)
    held = {port.name: port.host_port for c in plan_of(row).containers for port in c.ports} if row is not None else {}
    return held.get("http", wanted[0]), held.get("https", wanted[1])


def _own(path: str, now: float) -> bytes:
    """The certificate for those who ask for nothing we have one for; the same as long as the directory lives."""
    from kubeplay.reconcile import certificates

    try:
        with open(f"{path}/{certificates.OWN}", "rb") as file:
            return file.read()
    except FileNotFoundError:
        return certificates.self_signed(now)


def _tell(found: list[StoredObject], plan: ProxyPlan, why: dict[str, str], lacks: dict[str, list[str]]) -> None:
    """Put what is wrong with a Secret to the Ingresses that name it."""
    for obj in found:
        for one in (_body(obj).get("spec") or {}).get("tls") or ():
            place = f"{obj.key.namespace}/{(one or {}).get('secretName') or ''}"
            if place in why:
                text = f"{why[place]}: its hosts are shown a certificate of our own"
                lacks.setdefault(f"{obj.key.namespace}/{obj.key.name}", []).append(text)


def _bring(engine: Engine, digest: str) -> bool:
    """Have the running proxy take what lies there; whether it serves it now. One that does not run yet finds it when it starts."""
    from kubeplay.engine.net import proxycontrol

    path = directory(engine)
    if not _runs(engine):
        return False
    if proxycontrol.running(path) == digest:
        return True
    until, told = engine.clock.monotonic() + SECONDS, False
    while engine.clock.monotonic() < until:
        if not told:
            told = proxycontrol.reload(path)  # False: it starts just now, and may have read the files before they were these
        engine.clock.sleep(0.01)
        if proxycontrol.running(path) == digest:
            return True
        if not _runs(engine):
            return False
    return False


def _runs(engine: Engine) -> bool:
    row = engine.store.runtime.find_pod(system.NAMESPACE, NAME)
    return row is not None and any(one.state == RUNNING for one in engine.store.runtime.containers(row.uid))


def _say(engine: Engine, obj: StoredObject, runs: bool) -> None:
    """status.loadBalancer: where the Ingress is to be reached, once it is."""
    import json

    status: dict[str, Any] = {"loadBalancer": {"ingress": [{"ip": host_ip(engine)}]} if runs else {}}
    text = json.dumps(status, sort_keys=True, separators=(",", ":"))
    if (runs or not obj.status) and obj.status != text:
        engine.store.objects.set_status(obj.key, text)


def _body(obj: StoredObject) -> dict[str, Any]:
    import json

    body: dict[str, Any] = json.loads(obj.body)
    return body
