"""expose: a Service for what a workload, pod or Service has, with kubectl's flags and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubeplay.cli import choosing, things
from kubeplay.cli.declare import argument, choice, command, integer, text
from kubeplay.errors import InvalidInput
from kubeplay.kube.kinds import Kind

if TYPE_CHECKING:
    from kubeplay.cli.app import App

Json = dict[str, Any]
TEMPLATED = ("Deployment", "ReplicaSet")  # whose selector a Service takes over, where it names labels only


@command(
    "expose",
    "Make a Service for the pods of a workload.\n\n    kubeplay expose deploy/web --port=80 --target-port=8080\n"
    "    kubeplay expose pod web --port=80 --name=front --type=NodePort",
    argument("KIND", "KIND NAME or KIND/NAME: a Deployment, ReplicaSet, pod or Service.", dest="words", many=True, required=False,
             complete="kind"),
    choosing.OPTIONS,
    integer("--port", help="The Service's port; if not given, every port of the containers (or of the Service)."),
    text("--target-port", help="Where it leads, a number or a name; the same port if not given.", metavar="PORT"),
    choice("--protocol", choices=("TCP", "UDP", "SCTP"), help="Of --port.", default="TCP"),
    text("--name", help="Name of the Service; the object's if not given.", metavar="NAME"),
    choice("--type", choices=("ClusterIP", "NodePort", "LoadBalancer"), help="Type of the Service."),
    text("--cluster-ip", help="Its address; None: headless.", metavar="IP"),
    text("--external-ip", help="Another address it shall have.", metavar="IP"),
    choice("--session-affinity", choices=("None", "ClientIP"), help="Whether a client stays with its pod."),
    text("--labels", help="Its labels: a=b,c=d.", metavar="KEY=VALUE,..."),
)  # fmt: skip
def expose(app: App, *, words: tuple[str, ...], name: str | None, **given: Any) -> int:
    def act(one: Kind, body: Json) -> str:
        from kubeplay.cli.making import make

        meta = body["metadata"]
        own: Json = {"name": name or meta["name"], "namespace": meta.get("namespace") or "default"}
        labels = _pairs(given["labels"]) if given["labels"] else meta.get("labels")
        if labels:
            own["labels"] = labels
        made = {"apiVersion": "v1", "kind": "Service", "metadata": own, "spec": service(one, body, given)}
        return make(app, made, "exposed", given)

    return choosing.each(app, choosing.chosen(app, words, given), act)


def service(one: Kind, body: Json, given: dict[str, Any]) -> Json:
    """The spec of the Service. Raises InvalidInput for what cannot be exposed."""
    title = things.title(one, body["metadata"]["name"])
    spec: Json = {"selector": _selector(one, body, title), "ports": _ports(one, body, given, title)}
    for field, flag in (("type", "type"), ("clusterIP", "cluster_ip"), ("sessionAffinity", "session_affinity")):
        if given[flag]:
            spec[field] = given[flag]
    if given["external_ip"]:
        spec["externalIPs"] = [given["external_ip"]]
    return spec


def _selector(one: Kind, body: Json, title: str) -> Json:
    if one.kind == "Service":
        found = body["spec"].get("selector")
    elif one.kind == "Pod":
        found = body["metadata"].get("labels")
    elif one.kind in TEMPLATED:
        if body["spec"]["selector"].get("matchExpressions"):
            raise InvalidInput(f"{title} chooses its pods by expressions, which a Service cannot", hint="write the Service by hand")
        found = body["spec"]["selector"].get("matchLabels")
    else:
        raise InvalidInput(f"cannot expose a {one.singular}", hint="Deployments, ReplicaSets, pods and Services can be exposed")
    if not found:
        raise InvalidInput(f"{title} has no labels that a Service could choose its pods by")
    return dict(found)


def _ports(one: Kind, body: Json, given: dict[str, Any], title: str) -> list[Json]:
    target = given["target_port"]
    if given["port"] is not None:
        wanted = int(target) if target and target.isdigit() else target or given["port"]
        return [{"port": given["port"], "protocol": given["protocol"], "targetPort": wanted}]
    from kubeplay.play import rollout

    if one.kind == "Service":
        found = [(port["port"], port.get("protocol") or "TCP") for port in body["spec"].get("ports") or []]
    else:
        containers = rollout.pod_spec(body).get("containers") or []
        found = [(port["containerPort"], port.get("protocol") or "TCP") for one in containers for port in one.get("ports") or []]
    if not found:
        raise InvalidInput(f"couldn't find port via --port flag or introspection of {title}", hint="give --port")
    several = len(found) > 1
    made: list[Json] = [{"port": port, "protocol": protocol, "targetPort": port} for port, protocol in found]
    return [{**port, "name": f"port-{at}"} for at, port in enumerate(made, 1)] if several else made


def _pairs(text_: str) -> dict[str, str]:
    from kubeplay.cli.volume import pairs

    return dict(pairs("--labels", tuple(text_.split(","))))
