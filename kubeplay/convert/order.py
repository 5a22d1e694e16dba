"""`depends_on`: Kubernetes starts everything at once, so who must wait does so in an init container.

`service_healthy` waits until the other's Service leads somewhere, which it does once its readiness probe succeeds.
`service_completed_successfully` makes the other an init container of the pod: that is where Kubernetes has what runs first and once.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubeplay.convert.model import Object
from kubeplay.convert.part import Part, Work
from kubeplay.convert.project import DEEPEST
from kubeplay.convert.section import Section

# Any image with sh, nc and ping does; `x-kubeplay: {wait-image: ...}` at the top of the file names another.
WAIT_IMAGE = "docker.io/library/busybox:1.37"
CONDITIONS = ("service_started", "service_healthy", "service_completed_successfully")


def conditions(found: Section) -> dict[str, str]:
    """The services that one waits for, and how."""
    made = {}
    for name, value in found.section("depends_on").map.items():
        inner = found.section("depends_on").section(name)
        inner.only("condition required restart")
        condition = inner.text("condition", CONDITIONS[0]) if value is not None else CONDITIONS[0]
        if condition not in CONDITIONS:
            inner.fault("condition", f"{condition!r} is none of {', '.join(CONDITIONS)}")
        made[name] = condition
        inner.unsaid({"restart": "a restart there restarts nothing here: probes do"})
    return made


def folded(parts: Mapping[str, Part]) -> set[str]:
    """Services that become init containers of those who wait until they are done."""
    return {
        name
        for part in parts.values()
        for name, condition in conditions(part.section).items()
        if condition == "service_completed_successfully" and name in parts
    }


def refuse_circles(parts: Mapping[str, Part]) -> None:
    """A fault for services that run first for each other alone: nobody's pod would have them."""
    needs = {name: [other for other, how in conditions(part.section).items() if how == CONDITIONS[2]] for name, part in parts.items()}
    lost, left = folded(parts), [name for name in parts if name not in folded(parts)]
    while left:
        for other in needs[left.pop()]:
            if other in lost:
                lost.remove(other)
                left.append(other)
    for name in sorted(lost):
        parts[name].section.fault("depends_on", f"services wait for each other in a circle: {', '.join(sorted(lost)[:20])}")


Placed = tuple[Object, tuple[Object, ...]]  # a container and the volumes that it mounts


def first(part: Part, parts: Mapping[str, Part], work: Work, chain: tuple[str, ...] = (), done: set[str] | None = None) -> list[Placed]:
    """The init containers of a part, in the order of what depends on what. `done` are services that have come before: each comes once."""
    found = part.section
    if part.service in chain:
        found.fault("depends_on", f"services wait for each other in a circle: {' -> '.join((*chain, part.service))}")
        return []
    if len(chain) >= DEEPEST:
        found.fault("depends_on", f"more than {DEEPEST} services wait for one another")
        return []
    done = set() if done is None else done
    if part.service in done:
        return []
    done.add(part.service)
    made: list[Placed] = []
    plain = []
    for name, condition in conditions(found).items():
        other = parts.get(name)
        if other is None:
            _absent(found, name, work)
        elif condition == "service_healthy":
            made.append((_wait(found, other, work), ()))
        elif condition == "service_completed_successfully":
            made += [*first(other, parts, work, (*chain, part.service), done), (_once(other), other.volumes)]
            found.note("depends_on", f"{name} runs first, as an init container: before each pod of {part.service}, not once for all")
        else:
            plain.append(name)
    if plain:
        found.note(
            "depends_on",
            f"{', '.join(plain)}: Kubernetes starts all at once; what is started too early must try again, or ask for "
            "condition: service_healthy",
        )
    return list({placed[0]["name"]: placed for placed in made}.values())


def _absent(found: Section, name: str, work: Work) -> None:
    if name in (work.project.top.get("services") or {}):
        found.note("depends_on", f"{name} is left out by its profile")
    else:
        found.fault("depends_on", f"there is no service {name!r}", reason="FieldValueNotFound")


def _wait(found: Section, other: Part, work: Work) -> Object:
    image = Section(work.project.top, "", work.report).section("x-kubeplay").text("wait-image", WAIT_IMAGE)
    tcp = [port.target for port in other.ports if port.protocol == "TCP"]
    if tcp:
        ask = f"nc -w 2 {other.name} {tcp[0]} -e true"  # not -z: small busyboxes have no such option
    else:
        ask = f"ping -c 1 -W 2 {other.name} >/dev/null 2>&1"
        found.note("depends_on", f"{other.service} has no port to ask: its name is there when it is ready; `expose` one to be sure")
    if "readinessProbe" not in other.container:
        found.note("depends_on", f"{other.service} has no healthcheck in the file: it counts as healthy when it runs")
    return {"name": f"wait-for-{other.name}"[:63].strip("-"), "image": image, "command": ["sh", "-c", f"until {ask}; do sleep 1; done"]}


def _once(other: Part) -> Object:
    """A container as an init container: it is not probed, and nobody calls it."""
    return {key: value for key, value in other.container.items() if key not in ("readinessProbe", "livenessProbe", "lifecycle", "ports")}
