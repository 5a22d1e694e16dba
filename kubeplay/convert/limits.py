"""What a service may use, and what it asks for."""

from __future__ import annotations

from kubeplay.convert import amounts
from kubeplay.convert.model import Object
from kubeplay.convert.section import Section


def _size(text: str) -> str:
    return amounts.quantity(amounts.size(text))


def fill(found: Section, container: Object) -> None:
    """`resources` of the container: deploy.resources, or the older fields where that says nothing."""
    deploy = found.section("deploy").section("resources")
    deploy.only("limits reservations")
    limits, reserved = deploy.section("limits"), deploy.section("reservations")
    limits.only("cpus memory pids")
    reserved.only("cpus memory generic_resources devices")
    limits.unsaid({"pids": "a limit of the node's (kubelet --pod-max-pids)"})
    reserved.unsaid(
        {
            "devices": "on a cluster resources.limits has nvidia.com/gpu and its like",
            "generic_resources": "on a cluster resources.limits has the device plugin's name",
        }
    )
    made: Object = {}
    for kind, older, newer in (
        ("limits", {"cpu": "cpus", "memory": "mem_limit"}, limits),
        ("requests", {"memory": "mem_reservation"}, reserved),
    ):
        amount: Object = {}
        for name, key in (("cpu", "cpus"), ("memory", "memory")):
            how = amounts.cpus if name == "cpu" else _size
            value = newer.parsed(key, how, "") or (found.parsed(older[name], how, "") if name in older else "")
            if value and value != "0":
                amount[name] = value
        if kind == "limits" and "cpu" not in amount and (quota := found.integer("cpu_quota")) and quota > 0:
            amount["cpu"] = amounts.cpus(f"{quota / (found.integer('cpu_period') or 100_000):.3f}")  # dockerd's default period, µs
        if amount:
            made[kind] = amount
    if made:
        container["resources"] = made
