"""Ephemeral containers: one more container in a pod that runs, to look at it from inside. It is never restarted and decides nothing.

The container becomes part of the stored object and of the plan, as the API's `ephemeralcontainers` subresource would have it; what is
played and generated is the pod without (`without`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubeplay.engine.store.locks import Lock
from kubeplay.engine.store.runtime import RUN, ContainerRow, PodRow
from kubeplay.errors import AlreadyExists, InvalidInput, NotFound, NotRunning, PodError
from kubeplay.kube import defaults_pod, names
from kubeplay.kube.status import TERMINAL
from kubeplay.plan import codec
from kubeplay.plan.container import EPHEMERAL
from kubeplay.play.compile import containers
from kubeplay.play.compile.options import CompileOptions
from kubeplay.reconcile.observe import key_of, look
from kubeplay.reconcile.pod import reconcile
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

FIELD = "ephemeralContainers"
# kubectl's --profile for an ephemeral container: its securityContext
PROFILES: Mapping[str, Mapping[str, Any]] = {
    "general": {"capabilities": {"add": ["SYS_PTRACE"]}},
    "legacy": {},
    "baseline": {},
    "restricted": {
        "runAsNonRoot": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "netadmin": {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}},
    "sysadmin": {"privileged": True},
}  # fmt: skip


class Wish(Record):
    """A debugging container; `target` "" = process IDs of its own, `command` empty = the image's."""

    name: str
    image: str
    command: tuple[str, ...] = ()
    arguments_only: bool = False
    env: tuple[tuple[str, str], ...] = ()
    tty: bool = False
    stdin: bool = False
    target: str = ""
    profile: str = "general"
    pull_policy: str = ""


def container(wish: Wish) -> dict[str, Any]:
    """The ephemeral container of a Pod object, with its defaults."""
    made: dict[str, Any] = {"name": wish.name, "image": wish.image}
    if wish.command:
        made["args" if wish.arguments_only else "command"] = list(wish.command)
    if wish.env:
        made["env"] = [{"name": name, "value": value} for name, value in wish.env]
    # the end of our input is the end of its own, so that a script can be piped in
    flags = {"tty": wish.tty, "stdin": wish.stdin, "stdinOnce": wish.stdin}
    made.update({field: True for field, value in flags.items() if value})
    if wish.target:
        made["targetContainerName"] = wish.target
    if wish.pull_policy:
        made["imagePullPolicy"] = wish.pull_policy
    profile = PROFILES[wish.profile]
    if profile:
        made["securityContext"] = json.loads(json.dumps(profile))
    made.setdefault("imagePullPolicy", defaults_pod.pull_policy(wish.image))
    return {**made, "resources": {}, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}


def check(spec: Mapping[str, Any], wish: Wish) -> None:
    """Raises InvalidInput, AlreadyExists, NotFound."""
    faults = names.dns_label(wish.name)
    if faults:
        raise InvalidInput(f"container name {wish.name!r}: {faults[0]}")
    if not wish.image or wish.image != wish.image.strip():
        raise InvalidInput(f"image {wish.image!r} is no image", hint="--image busybox")
    if wish.profile not in PROFILES:
        raise InvalidInput(f"--profile {wish.profile!r} is not known", hint="profiles: " + ", ".join(PROFILES))
    taken = [c["name"] for field in ("initContainers", "containers", FIELD) for c in spec.get(field) or []]
    if wish.name in taken:
        raise AlreadyExists(f"the pod has a container {wish.name} already")
    if wish.target and wish.target not in taken:
        raise NotFound(f"the pod has no container {wish.target!r} to be the target", hint="containers: " + ", ".join(taken))


def add(engine: Engine, pod: PodRow, wish: Wish) -> ContainerRow:
    """Add the container and start it; the instance. Raises InvalidInput, AlreadyExists, NotFound, NotRunning, PodError."""
    lock = Lock(engine.paths.lock(pod.uid))
    lock.take()
    try:
        _store(engine, pod.uid, wish)
    finally:
        lock.release()
    outcome = reconcile(engine, pod.uid)
    failed = next((one for one in outcome.failures if one.container == wish.name), None)
    if failed is not None:
        raise PodError(failed.reason, f"container {wish.name}: {failed.reason}: {failed.message}")
    rows = [row for row in engine.store.runtime.containers(pod.uid) if row.name == wish.name]
    if not rows:
        raise NotRunning(f"container {wish.name} is added, but does not run yet", hint=f"kubeplay describe pod {pod.name} says why")
    return rows[-1]


def _store(engine: Engine, uid: str, wish: Wish) -> None:
    found = look(engine, uid)
    if found.row.desired != RUN or found.seen.phase in TERMINAL or found.seen.void or found.stored is None:
        raise NotRunning(f"pod {found.row.namespace}/{found.row.name} is not running", hint=f"kubeplay pod start {found.row.name}")
    body = json.loads(found.stored.body)
    spec = body["spec"]
    check(spec, wish)
    item = container(wish)
    spec[FIELD] = [*(spec.get(FIELD) or []), item]
    plan = found.seen.plan
    options = CompileOptions(seccomp_default=engine.settings.seccomp_default, node_name=plan.node_name)
    made = containers.plan(spec, item, EPHEMERAL, plan.volumes, body["metadata"].get("annotations") or {}, options)
    text = codec.dumps(plan._replace(containers=(*plan.containers, made)))
    with engine.store.write():
        engine.store.objects.update(key_of(found.row), json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
        engine.store.runtime.set_pod(uid, plan=text)
