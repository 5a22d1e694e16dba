"""drain: every pod evicted as its disruption budget allows, with kubectl's flags and words."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli.declare import argument, choice, command, flag, integer, number, text
from kubeplay.errors import Conflict, NotFound, Timeout
from kubeplay.plan.stack import ObjectKey

if TYPE_CHECKING:
    from kubeplay.cli.app import App

Json = dict[str, Any]
LOOK_SECONDS = 0.1
# what a drain leaves alone or refuses, and the flag that says otherwise
_REFUSALS = (
    ("alone", "force", "cannot delete Pods that declare no controller (use --force to override)"),
    ("daemons", "ignore_daemonsets", "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"),
    ("storage", "delete_emptydir_data", "cannot delete Pods with local storage (use --delete-emptydir-data to override)"),
)


@command(
    "drain",
    "Evict every pod of this machine, as disruption budgets allow.\n\n    kubeplay drain --ignore-daemonsets\n"
    "    kubeplay drain --pod-selector app=web --force --timeout 60s\n\nThere is no other node: pods of workloads come again here, anew.",
    argument("NODE", "This machine's name.", dest="node", required=False),
    flag("--ignore-daemonsets", help="Leave pods of DaemonSets."),
    flag("--delete-emptydir-data", help="Evict pods with emptyDir volumes, whose data go."),
    flag("--force", help="Evict pods without a controller, which do not come again."),
    text("--pod-selector", help="Only pods with these labels.", metavar="SELECTOR"),
    integer("--grace-period", help="Seconds that pods get to end; negative: their own.", default=-1),
    number("--timeout", help="Wait at most this long; 0: as long as it takes.", default=0.0, metavar="DURATION"),
    choice("--dry-run", choices=("none", "client", "server"), bare="client", default="none", help="Only say what would be done."),
)  # fmt: skip
def drain(app: App, *, node: str | None, **given: Any) -> int:
    name = app.engine.node_name
    if node not in (None, name):
        raise NotFound(f'nodes "{node}" not found', hint=f"this machine is {name}")
    found = _pods(app, given)
    keys = list(found)
    if given["dry_run"] != "none":
        print("".join(f"evicting pod {key.namespace}/{key.name} ({given['dry_run']} dry run)\n" for key in keys), end="")
        return 0
    for key in keys:
        print(f"evicting pod {key.namespace}/{key.name}")
    _evict(app, keys, found, given)
    print(f"node/{name} drained")
    return 0


def _pods(app: App, given: Json) -> dict[ObjectKey, str]:
    """The pods to evict and their uids. Raises Conflict naming those that a flag would have to allow."""
    import json

    from kubeplay.kube import selector
    from kubeplay.reconcile import system

    fits = selector.labels(given["pod_selector"] or "")
    found: dict[ObjectKey, str] = {}
    refused: dict[str, list[str]] = {}
    for one in app.store.objects.list("Pod"):
        body, status = json.loads(one.body), json.loads(one.status or "{}")
        if one.key.namespace == system.NAMESPACE or not fits(body["metadata"].get("labels") or {}):
            continue
        ended = status.get("phase") in ("Succeeded", "Failed")
        kinds = _kinds(body) if not ended else set()
        for kind, allowed, _ in _REFUSALS:
            if kind in kinds and not given[allowed]:
                refused.setdefault(kind, []).append(f"{one.key.namespace}/{one.key.name}")
        if "daemons" in kinds and given["ignore_daemonsets"]:
            print(f"Warning: ignoring DaemonSet-managed Pods: {one.key.namespace}/{one.key.name}", file=sys.stderr)
        else:
            found[one.key] = one.uid
    if refused:
        lines = [f"{said}: {', '.join(refused[kind])}" for kind, _, said in _REFUSALS if kind in refused]
        raise Conflict(f'unable to drain node "{app.engine.node_name}": {"; ".join(lines)}')
    return found


def _kinds(body: Json) -> set[str]:
    """Why a pod should not simply go."""
    owner = next((one for one in body["metadata"].get("ownerReferences") or () if one.get("controller")), None)
    made = {"alone"} if owner is None else {"daemons"} if owner["kind"] == "DaemonSet" else set()
    if "daemons" not in made and any(volume.get("emptyDir") is not None for volume in body["spec"].get("volumes") or ()):
        made.add("storage")
    return made


def _evict(app: App, keys: list[ObjectKey], uids: dict[ObjectKey, str], given: Json) -> None:
    """Evict them and wait until they are gone. Raises Timeout with what is left and why."""
    from kubeplay.supervisor import ensure, evicting

    clock = app.engine.clock
    deadline = clock.monotonic() + given["timeout"] if given["timeout"] > 0 else None
    grace = None if given["grace_period"] < 0 else float(given["grace_period"])

    def told(key: ObjectKey, why: str) -> None:
        print(f'error when evicting pods/"{key.name}" -n "{key.namespace}" (will retry): {why}', file=sys.stderr)

    with app.supervised():
        done = evicting.drain(app.engine, keys, grace, deadline, told=told, look=lambda: ensure(app.engine))
    left = dict(done.refused)
    for key in done.evicted:
        while (stored := app.store.objects.find(key)) is not None and stored.uid == uids[key]:
            if deadline is not None and clock.monotonic() >= deadline:
                left[key] = "it is still ending"
                break
            clock.sleep(LOOK_SECONDS)
        else:
            print(f"pod/{key.name} evicted")
    if left:
        raise Timeout("drain did not complete in time: " + "; ".join(f"{key}: {why}" for key, why in left.items()))
