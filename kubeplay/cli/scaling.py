"""scale and autoscale: how many pods workloads have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubeplay.cli import choosing, things
from kubeplay.cli.declare import argument, command, integer, number, text
from kubeplay.errors import InvalidInput, Timeout
from kubeplay.kube.kinds import Kind

if TYPE_CHECKING:
    from kubeplay.cli.app import App

Json = dict[str, Any]
LOOK_SECONDS = 0.2


@command(
    "scale",
    "Give workloads another number of pods.\n\n    kubeplay scale deploy web --replicas=3\n    kubeplay scale sts/db --replicas=2"
    " --current-replicas=3\n    kubeplay scale -f web.yaml --replicas=0",
    argument("KIND", "KIND NAME..., or KIND/NAME...: Deployments, ReplicaSets, StatefulSets.", dest="words", many=True, required=False,
             complete="kind"),
    choosing.OPTIONS,
    integer("--replicas", help="How many pods there shall be."),
    integer("--current-replicas", help="Only if this many were asked for until now."),
    integer("--resource-version", help="Only if the object has this version still."),
    number("--timeout", help="Wait this long until there are so many; not given or 0: do not wait.", metavar="DURATION"),
)  # fmt: skip
def scale(
    app: App, *, words: tuple[str, ...], replicas: int | None, current_replicas: int | None, resource_version: int | None,
    timeout: float | None, **given: Any,
) -> int:  # fmt: skip
    from kubeplay.play import rollout

    if replicas is None or replicas < 0:
        raise InvalidInput("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0")
    found = choosing.chosen(app, words, given)
    if not found:
        raise InvalidInput("no objects passed to scale")

    current = None if current_replicas == -1 else current_replicas

    def act(one: Kind, body: Json) -> str:
        change = rollout.scaled(choosing.key_of(one, body), replicas, current)
        edited = choosing.edit(app, one, body, change, given, version=resource_version)
        return choosing.said(one, edited.body, "scaled", given)

    status = choosing.each(app, found, act)
    if timeout and not status and given["dry_run"] == "none":
        _await(app, found, replicas, timeout)
    return status


def _await(app: App, found: list[choosing.Chosen], replicas: int, timeout: float) -> None:
    """Until every object has so many pods. Raises Timeout."""
    deadline = app.engine.clock.monotonic() + timeout
    for one, body in found:
        key = choosing.key_of(one, body)
        while (things.fetched(app, one, f"{key.namespace}/{key.name}").get("status") or {}).get("replicas", 0) != replicas:
            if app.engine.clock.monotonic() >= deadline:
                raise Timeout(f"timed out waiting for {things.title(one, key.name)} to be scaled")
            app.engine.clock.sleep(LOOK_SECONDS)


@command(
    "autoscale",
    "Have a workload scaled by what its pods take of the machine: makes a HorizontalPodAutoscaler.\n\n"
    "    kubeplay autoscale deploy web --min=2 --max=5 --cpu=80%",
    argument("KIND", "KIND NAME, or KIND/NAME.", dest="words", many=True, required=False, complete="kind"),
    choosing.OPTIONS,
    integer("--min", help="The least number of pods.", dest="least"),
    integer("--max", help="The largest number of pods.", dest="most"),
    text("--cpu", help="What a pod may take of the cpu on average: 80% of its request, or an amount as 500m.", metavar="AMOUNT"),
    integer("--cpu-percent", help="The older form of --cpu=N%."),
    text("--memory", help="The same of memory: 80%, or 64Mi.", metavar="AMOUNT"),
    text("--name", help="Name of the autoscaler; the workload's if not given.", metavar="NAME"),
)
def autoscale(app: App, *, words: tuple[str, ...], least: int | None, most: int | None, name: str | None, **given: Any) -> int:
    if most is None or most < 1:
        raise InvalidInput(f"--max=MAXPODS is required and must be at least 1, max: {most or 0}")
    if least is not None and least > most:
        raise InvalidInput(f"--max=MAXPODS must be larger or equal to --min=MINPODS, max: {most}, min: {least}")
    metrics = _metrics(given)

    def act(one: Kind, body: Json) -> str:
        from kubeplay.cli.making import make
        from kubeplay.play.rollout import SCALED

        if one.kind not in SCALED:
            raise InvalidInput(f"cannot autoscale a {one.singular}", hint=f"kinds: {', '.join(SCALED)}")
        meta = body["metadata"]
        target = {"apiVersion": one.api_version, "kind": one.kind, "name": meta["name"]}
        spec: Json = {"scaleTargetRef": target, "maxReplicas": most, "metrics": metrics}
        if least is not None:
            spec["minReplicas"] = least
        made = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": name or meta["name"], "namespace": meta.get("namespace") or "default"}, "spec": spec}  # fmt: skip
        return make(app, made, "autoscaled", given)

    return choosing.each(app, choosing.chosen(app, words, given), act)


def _metrics(given: dict[str, Any]) -> list[Json]:
    """The metrics of the flags; 80 % of the cpu where none is given, as a server would fill in."""
    cpu = given["cpu"] or (f"{given['cpu_percent']}%" if given["cpu_percent"] is not None else None)
    wanted = {"cpu": cpu, "memory": given["memory"]}
    found: list[Json] = []
    for resource, amount in wanted.items():
        if not amount:
            continue
        share = amount.removesuffix("%")
        if share != amount and not share.isdigit():
            raise InvalidInput(f"--{resource} {amount!r} is neither a percentage nor an amount")
        target: Json = {"type": "Utilization", "averageUtilization": int(share)} if share != amount else {
            "type": "AverageValue", "averageValue": amount}  # fmt: skip
        found.append({"type": "Resource", "resource": {"name": resource, "target": target}})
    default = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    return found or [default]
