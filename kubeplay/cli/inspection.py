"""inspect: containers as podman shows them, pods and other objects as Kubernetes objects with their status. Secret values are hidden."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.cli import listing, resolve
from kubeplay.cli.declare import argument, choice, command, flag, text
from kubeplay.engine.store import runtime
from kubeplay.engine.store.objects import StoredObject
from kubeplay.engine.store.runtime import ContainerRow, PodRow
from kubeplay.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from kubeplay.cli.app import App

FORMAT = text("-f", "--format", help="json, yaml, or a Go template such as '{{.State.Status}}'.")
LATEST = flag("-l", "--latest", help="The newest container; with a --type of pod the newest pod.")
SIZE = flag("-s", "--size", help="With containers' sizes in bytes: SizeRw of their own files, SizeRootFs of these and the image.")
TYPES = ("all", "container", "pod", "image", "volume", "network")


def show(values: Sequence[Any], form: str | None) -> None:
    """Print values as JSON, YAML or through a template."""
    if form and form not in ("json", "yaml"):
        sys.stdout.write(listing.templated(form, values))
    elif form == "yaml":
        import yaml

        plain = listing.plain(list(values))
        sys.stdout.write("---\n".join(yaml.safe_dump(value, sort_keys=False, allow_unicode=True) for value in plain))
    else:
        sys.stdout.write(listing.json_text(list(values)) + "\n")


def shown(one: Callable[[str], Any], names: Sequence[str], form: str | None) -> int:
    """Print what `one` finds for each name, and report what is not there, as podman does; the exit status."""
    from kubeplay.cli.failure import report

    status = 0
    found, missing = [], []
    for name in names:
        try:
            found.append(one(name))
        except NotFound as error:
            missing.append(error)
    if found or form in (None, "json"):
        show(found, form)
    sys.stdout.flush()
    for absent in missing:
        status = report(absent)
    return status


def stored(one: StoredObject) -> dict[str, Any]:
    """A stored object with what a server adds to it."""
    import json

    from kubeplay.clock import rfc3339

    body: dict[str, Any] = json.loads(one.body)
    added: dict[str, Any] = {
        "uid": one.uid, "resourceVersion": str(one.resource_version), "generation": one.generation,
        "creationTimestamp": rfc3339(one.created),
    }  # fmt: skip
    if one.deleted is not None:
        added.update(deletionTimestamp=rfc3339(one.deleted), deletionGracePeriodSeconds=one.grace_seconds)
    body["metadata"] = {**body.get("metadata", {}), **added}
    if one.owner_uid and body["metadata"].get("ownerReferences"):
        owners = [{**ref, "uid": one.owner_uid} if ref.get("controller") else ref for ref in body["metadata"]["ownerReferences"]]
        body["metadata"]["ownerReferences"] = owners
    if one.status:
        body["status"] = json.loads(one.status)
    return body


_NEVER = "0001-01-01T00:00:00Z"  # Go's zero time, by which docker and podman say "not yet"


@command(
    "inspect",
    "Show everything about containers, pods, images, volumes or networks, as JSON.",
    argument("NAME", "Names or ids.", many=True, required=False, complete="container"),
    FORMAT,
    choice("-t", "--type", choices=TYPES, help="What the names are names of.", default="all"),
    LATEST,
    SIZE,
)
def inspect(app: App, *, name: tuple[str, ...], format: str | None, type: str, latest: bool, size: bool) -> int:
    app.engine.refresh()
    return shown(lambda one: _any(app, one, type, size), _named(app, name, latest, type), format)


def _named(app: App, names: tuple[str, ...], latest: bool, type_: str = "container") -> tuple[str, ...]:
    """What is named, or the newest. Raises InvalidInput, NotFound."""
    if bool(names) == latest:
        raise InvalidInput("names and --latest exclude each other" if names else "nothing is named", hint="give names or ids, or --latest")
    if names:
        return names
    if type_ not in ("all", "container", "pod"):
        raise InvalidInput(f"--latest means a container or a pod, and not: {type_}")
    rows = [pod.uid for pod in app.store.runtime.pods(app.namespace)]
    if type_ == "pod":
        stored = [one for one in map(app.store.objects.by_uid, rows) if one is not None]
        found = [one.uid for one in sorted(stored, key=lambda one: one.created)]
    else:
        found = [one.id for one in sorted(app.store.runtime.containers(), key=lambda one: one.created) if one.pod_uid in rows]
    if not found:
        raise NotFound(f"there is no {'pod' if type_ == 'pod' else 'container'}")
    return (found[-1],)


def _any(app: App, name: str, type_: str, size: bool) -> Any:
    kinds = TYPES[1:] if type_ == "all" else (type_,)
    for kind in kinds:
        try:
            return _one(app, name, kind, size)
        except NotFound:
            if kind == kinds[-1] and type_ != "all":
                raise
    raise NotFound(f"no container, pod, image, volume or network {name!r}")


def _one(app: App, name: str, kind: str, size: bool) -> Any:
    if kind == "container":
        return _container(app, name, size)
    if kind == "pod":
        return described_pod(app, resolve.pod(app, name))
    if kind == "image":
        from kubeplay.cli.image import described, find

        return described(app, find(app, name))
    if kind == "volume":
        from kubeplay.cli import volume

        return volume.described(app, volume.find(app, name))
    from kubeplay.cli import network

    return network.described(app, app.engine.net.inspect(name))


@command(
    "inspect",
    "Show everything about containers, as JSON.",
    argument("CONTAINER", "Containers, or pods for the one kubectl would take.", dest="name", many=True, required=False,
             complete="container"),
    FORMAT,
    LATEST,
    SIZE,
)  # fmt: skip
def container_inspect(app: App, *, name: tuple[str, ...], format: str | None, latest: bool, size: bool) -> None:
    app.engine.refresh()
    show([_container(app, one, size) for one in _named(app, name, latest)], format)


@command(
    "inspect",
    "Show pods as Kubernetes objects with their status, as JSON.",
    argument("POD", "Pods.", many=True, required=False, complete="pod"),
    FORMAT,
    flag("-l", "--latest", help="The newest pod."),
)
def pod_inspect(app: App, *, pod: tuple[str, ...], format: str | None, latest: bool) -> None:
    rows = resolve.pods(app, _named(app, pod, latest, "pod") if latest else pod)
    bodies = [described_pod(app, row) for row in rows]
    if len(bodies) == 1 and format in (None, "json"):  # podman: one pod is printed bare, several as a list
        sys.stdout.write(listing.json_text(bodies[0]) + "\n")
    else:
        show(bodies, format)


def described_pod(app: App, row: PodRow) -> dict[str, Any]:
    from kubeplay.cli.podstatus import statuses

    one = app.store.objects.by_uid(row.uid)
    body = stored(one) if one else {"metadata": {"namespace": row.namespace, "name": row.name, "uid": row.uid}}
    body["status"] = statuses(app, [row])[row.uid]
    return body


def _container(app: App, name: str, size: bool = False) -> dict[str, Any]:
    found = resolve.container(app, name, note=False)
    if found.container is None or resolve.find_pods(app, name):
        raise NotFound(f"no container {name!r}")
    shown = described_container(app, found.pod, found.container)
    if size:
        from kubeplay.engine import usage

        own, whole = usage.container_sizes(app.engine, found.container)
        shown.update(SizeRw=own, SizeRootFs=whole)
    return shown


def described_container(app: App, pod: PodRow, row: ContainerRow) -> dict[str, Any]:
    """A container in the form of `podman inspect`; values that come from Secrets are hidden."""
    from kubeplay.cli.containers import Images
    from kubeplay.clock import rfc3339

    made = resolve.plan(pod)
    planned = next(c for c in made.containers if c.name == row.name)
    words = Images(app).command(planned.command, planned.args, row.image_id)
    sandbox = resolve.sandbox(app, pod)
    return {
        "Id": row.id, "Name": resolve.container_name(made, row.name), "Created": rfc3339(row.created), "Path": words[0] if words else "",
        "Args": words[1:], "State": _state(row), "Image": row.image_id.removeprefix("sha256:"), "ImageName": row.image,
        "RestartCount": row.attempt,
        "Pod": pod.uid, "Namespace": pod.namespace, "PodName": made.name, "LogPath": row.log_path, "IsInfra": False,
        "IsInit": planned.kind == "init",
        "Mounts": [_mount(app, pod.uid, made, m) for m in planned.mounts],
        "Config": {
            "Hostname": made.sandbox.hostname, "Env": _environment(app, planned, row.image_id), "Cmd": words, "Image": row.image,
            "Tty": planned.tty,
            "OpenStdin": planned.stdin, "WorkingDir": planned.working_dir, "Labels": dict(made.labels),
            "Annotations": dict(made.annotations),
            "User": _user(planned), "StopTimeout": made.grace_seconds,
        },
        "NetworkSettings": {
            "IPAddress": sandbox.addresses[0] if sandbox and sandbox.addresses else "", "Ports": _ports(planned),
            "Networks": _networks(app, sandbox),
        },
        "HostConfig": _host_config(made, planned),
    }  # fmt: skip


def _networks(app: App, sandbox: Any) -> dict[str, Any]:
    from kubeplay.cli import network

    return network.joined(app, sandbox.pod_uid) if sandbox and sandbox.addresses else {}


def _environment(app: App, planned: Any, image_id: str) -> list[str]:
    """The image's variables under the container's own, as podman shows them."""
    own = [_env(entry) for entry in planned.env]
    names = {entry.partition("=")[0] for entry in own}
    try:
        image = app.engine.images.config(image_id).env if image_id else ()
    except NotFound:  # removed by force since
        image = ()
    return [entry for entry in image if entry.partition("=")[0] not in names] + own


def _mount(app: App, uid: str, made: Any, mount: Any) -> dict[str, Any]:
    """A volumeMount as podman shows mounts: a claim is a volume, everything else a bind from its directory on the host."""
    volume = next((one for one in made.volumes if one.name == mount.volume), None)
    claim = volume is not None and type(volume.source).__name__ == "Claim"
    sub_path = mount.sub_path or mount.sub_path_expr
    return {
        "Type": "volume" if claim else "bind", "Name": volume.source.claim_name if claim and volume else mount.volume,
        "Source": app.engine.volumes.path(uid, made, volume) if volume else "", "Destination": mount.path,
        "RW": not mount.read_only, "SubPath": sub_path,
    }  # fmt: skip


def _state(row: ContainerRow) -> dict[str, Any]:
    from kubeplay.clock import rfc3339

    running, paused = row.state == runtime.RUNNING, row.reason == runtime.PAUSED
    return {
        "Status": "paused" if paused else row.state, "Running": running, "Paused": paused,
        "OOMKilled": row.reason == "OOMKilled", "Dead": False,
        "Pid": row.pid if running else 0,
        "ExitCode": row.exit_code or 0, "Error": row.message, "Reason": row.reason,
        "StartedAt": rfc3339(row.started) if row.started else _NEVER,
        "FinishedAt": rfc3339(row.finished) if row.finished else _NEVER,
    }  # fmt: skip


def _env(entry: Any) -> str:
    """One variable; references are shown as what they refer to."""
    from kubeplay.plan.env import EnvFileKey, EnvKeyRef, EnvLiteral

    if isinstance(entry, EnvLiteral):
        return f"{entry.name}={entry.value}"
    if isinstance(entry, EnvKeyRef):
        return f"{entry.name}=<{entry.kind} {entry.object_name}: {entry.key}>"
    if isinstance(entry, EnvFileKey):
        return f"{entry.name}=<{entry.volume}/{entry.path}: {entry.key}>"
    return f"{entry.name}=<{getattr(entry, 'path', '') or getattr(entry, 'resource', '')}>"


def _user(planned: Any) -> str:
    user, group = planned.security.run_as_user, planned.security.run_as_group
    if user is None and group is None:
        return ""
    return f"{user if user is not None else 0}" + (f":{group}" if group is not None else "")


def _ports(planned: Any) -> dict[str, list[dict[str, str]] | None]:
    return {
        f"{p.container_port}/{p.protocol.lower()}": [{"HostIp": p.host_ip, "HostPort": str(p.host_port)}] if p.host_port else None
        for p in planned.ports
    }


def _host_config(made: Any, planned: Any) -> dict[str, Any]:
    limits = planned.resources
    return {
        "RestartPolicy": {"Name": planned.restart_policy}, "Memory": limits.memory_limit or 0,
        "NanoCpus": (limits.cpu_limit or 0) * 1_000_000,
        "Privileged": planned.security.privileged, "ReadonlyRootfs": planned.security.read_only_rootfs,
        "CapAdd": list(planned.security.cap_add),
        "CapDrop": list(planned.security.cap_drop), "NetworkMode": "host" if made.sandbox.host_network else "bridge",
        "PidMode": "host" if made.sandbox.host_pid else "pod" if made.sandbox.share_pid else "private",
        "IpcMode": "host" if made.sandbox.host_ipc else "pod",
    }  # fmt: skip
