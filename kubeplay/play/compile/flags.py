"""Flags of the command line, written into the objects they change.

The stored object alone must explain the plan (DESIGN.md, decision 1), so `--publish` becomes hostPort, `--network host`
hostNetwork, and what a Pod has no field for one of our annotations.
"""

from __future__ import annotations

from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.play.compile import logs, network, ports, users
from kubeplay.play.compile import marks as known
from kubeplay.play.compile.options import CompileOptions
from kubeplay.record import Record


class Target(Record):
    """A pod, or the template a workload's pods are made of; `name` is for messages."""

    name: str
    pod: dict[str, Any]


def mark(meta: dict[str, Any], options: CompileOptions) -> None:
    """--annotation and --label on any object; the flag wins. Raises InvalidInput for what a manifest could not hold either."""
    _check(options)
    for field, given in (("annotations", options.annotations), ("labels", options.labels)):
        if given:
            meta[field] = {**(meta.get(field) or {}), **dict(given)}


def _check(options: CompileOptions) -> None:
    if not options.annotations and not options.labels:
        return
    from kubeplay.kube.validate.metadata import check_annotations, check_labels
    from kubeplay.kube.validate.report import Faults

    faults = Faults()
    check_annotations(faults, "--annotation", dict(options.annotations))
    check_labels(faults, "--label", dict(options.labels))
    found = [*faults.items, *known.faults({"annotations": dict(options.annotations)}, "--annotation")]
    if found:
        raise InvalidInput("--annotation and --label: invalid", found)


def write(meta: dict[str, Any], spec: dict[str, Any], options: CompileOptions) -> None:
    """Everything that holds for all pods alike, into a pod's (or template's) metadata and spec. Raises InvalidInput."""
    mark(meta, options)
    made = logs.from_flags(options.log_driver, options.log_opts)
    if options.userns:
        users.parse(options.userns)
        made[users.ANNOTATION] = options.userns
        meta["annotations"] = {k: v for k, v in (meta.get("annotations") or {}).items() if not k.startswith(f"{users.ANNOTATION}/")}
    if not options.container_prefix:
        made[known.CONTAINER_PREFIX] = "false"
    if options.networks or options.network_aliases:
        wanted = network.aliased(network.parse(options.networks), options.network_aliases)
        if wanted.host:
            _join_host(spec)
        else:
            made[known.NETWORK] = network.text(wanted)
    if made:
        meta["annotations"] = {**(meta.get("annotations") or {}), **made}
    if options.publish_all:
        ports.publish_all(spec)


def _join_host(spec: dict[str, Any]) -> None:
    """hostNetwork, and what the API server demands of ports with it: a hostPort is the containerPort (HP1)."""
    spec["hostNetwork"] = True
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        for port in container.get("ports") or []:
            if port.get("hostPort"):
                port["hostPort"] = port["containerPort"]


def address(pods: list[Target], options: CompileOptions) -> None:
    """--ip, --ip6 and --mac-address: the n-th to the n-th pod. Raises InvalidInput."""
    addresses = (("--ip", options.ips, network.address), ("--ip6", options.ips6, network.address6))
    for flag, values, check in (*addresses, ("--mac-address", options.macs, network.mac)):
        if len(values) > len(pods):
            raise InvalidInput(f"{flag} is given {len(values)} times, but there are {len(pods)} pods")
        for pod, value in zip(pods, values):
            _set_address(pod, flag, check(value))


def _set_address(target: Target, flag: str, value: str) -> None:
    meta, spec = target.pod["metadata"], target.pod["spec"]
    marks = meta.get("annotations") or {}
    wanted = network.parse(marks.get(known.NETWORK, "").split(";"))
    if spec.get("hostNetwork") or wanted.host or len(wanted.attachments) != 1:
        raise InvalidInput(f"{flag} {value}: pod {target.name} must join exactly one network")
    one = wanted.attachments[0]
    if flag == "--mac-address":
        one = one._replace(mac=value)
    else:
        one = one._replace(ip6=value) if ":" in value else one._replace(ip=value)
    meta["annotations"] = {**marks, known.NETWORK: network.text(network.Networks((one,)))}


def publish(pods: list[Target], options: CompileOptions) -> None:
    """--publish to the pods that declare the port. Raises InvalidInput where it is not clear which pod is meant."""
    wanted = [entry for text in options.publish for entry in ports.parse(text)]
    if wanted and not pods:
        raise InvalidInput("--publish: there is no pod")
    for number, protocol in dict.fromkeys((w.container_port, w.protocol) for w in wanted):
        entries = [w for w in wanted if (w.container_port, w.protocol) == (number, protocol)]
        users = [target for target in pods if ports.declares(target.pod["spec"], entries[0])] or pods
        _refuse_host_network(users, number)
        if len(users) == 1:
            ports.publish(users[0].pod["spec"], entries)
        elif len(users) == len(entries):
            for target, entry in zip(users, entries):
                ports.publish(target.pod["spec"], [entry])
        else:
            raise InvalidInput(
                f"--publish of port {number}/{protocol.lower()} is given {len(entries)} times but fits {len(users)} pods: "
                + ", ".join(target.name for target in users),
                hint="give it once for each pod, or reach them through a NodePort Service",
            )


def _refuse_host_network(pods: list[Target], port: int) -> None:
    for target in pods:
        if target.pod["spec"].get("hostNetwork"):
            raise InvalidInput(f"--publish of port {port}: pod {target.name} uses the host's network, its ports are the host's own")
