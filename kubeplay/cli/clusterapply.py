"""kube apply: files, or what is stored here, into a Kubernetes cluster by server-side apply; with --local, onto this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.cli import applying, sourcing
from kubeplay.cli.clusters import CLUSTER, connect, warn
from kubeplay.cli.declare import argument, choice, command, flag, many, number, text
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.cluster.apply import Applied, ApplyOptions
    from kubeplay.cluster.connection import Connection
    from kubeplay.cluster.sending import Item, Source
    from kubeplay.kube.portable.model import Facts

NONE, CLIENT, SERVER = "none", "client", "server"

HELP = """Bring a Kubernetes cluster, or with --local what runs here, to its files.

    kubeplay kube apply -f app.yaml --dry-run=server
    kubeplay kube apply deployment/web --context staging --wait
    kubeplay kube apply --local -f app.yaml
    kubeplay kube apply --local --prune --rollback-on-failure --timeout=60s deploy/

To a cluster objects are sent by server-side apply: it merges them, and refuses to take fields that others hold. NAMEs are those of
`generate kube`; what they need goes with them, Secrets with their values. Onto this machine they are brought with the least
disturbance, as by play kube --update."""

_OF_A_CLUSTER = ("context", "kubeconfig", "force_conflicts", "create_namespace")


@command(
    "apply",
    HELP,
    argument("NAME", "Pods, workloads or KIND/NAME stored here; with --local, files.", many=True, required=False, complete="pod"),
    many("-f", "--filename", dest="files", help="Files, directories, URLs, or - for standard input.", metavar="FILE", complete="file"),
    sourcing.SOURCES,
    CLUSTER,
    applying.LOCAL,
    choice("--dry-run", choices=(NONE, CLIENT, SERVER), default=NONE, bare=CLIENT,
           help="client: check here and send nothing; server: the cluster does everything but store."),
    text("--field-manager", help="Who holds the fields that are applied (kubeplay).", metavar="NAME", default="kubeplay"),
    flag("--force-conflicts", help="Take over fields that others hold."),
    flag("--create-namespace", help="Make namespaces that are not there."),
    flag("-w", "--wait", help="Stay until workloads are rolled out, pods ready and Jobs complete."),
    number("--timeout", help="How long to wait at most (to a cluster 5m): 90, 60s, 1m30s.", metavar="DURATION"),
    choice("-o", "--output", choices=("yaml", "json", "name"), help="Show the objects as the cluster has them then."),
    choice("--validate", choices=("strict", "warn", "ignore"), default="strict", help="What unknown fields are to the cluster."),
    flag("--server-side", help="Accepted for kubectl's sake: it is always so.", default=True, hidden=True),
    flag("-q", "--quiet", help="Print no line for each object."),
)  # fmt: skip
def apply(app: App, *, name: tuple[str, ...], files: tuple[str, ...], **given: Any) -> int | None:
    if given["local"]:
        return applying.local(app, (*name, *files), _only_local(given))
    if wrong := [option.flags[0] for option in applying.LOCAL if given[option.dest]]:
        raise InvalidInput(f"{', '.join(wrong)}: with --local only", hint="a cluster's own tools prune and roll back there")
    from_files = bool(files or given["kustomize"])
    if bool(name) == from_files:
        hint = "kubeplay kube apply -f FILE, or kubeplay kube apply NAME"
        raise InvalidInput("give either files with -f or -k, or names of what is stored here", hint=hint)
    if given["wait"] and given["dry_run"] != NONE:
        raise InvalidInput("--wait and --dry-run exclude each other: nothing would come up")
    if given["timeout"] is not None and not given["wait"]:
        raise InvalidInput("--timeout is for --wait")
    texts = _texts(app, name, files, given)
    from kubeplay.cluster import sending

    namespace = app.namespace if from_files and app.namespace_given else ""
    items = sending.items(texts, namespace)
    if given["dry_run"] == CLIENT:
        return _client(texts, items, namespace, given)
    _warn_of_what_fails(items, _facts(app, items) if name else None)
    with connect(given) as connection:
        return _send(connection, items, namespace or connection.access.namespace, given)


def _only_local(given: dict[str, Any]) -> dict[str, Any]:
    wrong = [f"--{name.replace('_', '-')}" for name in _OF_A_CLUSTER if given[name]]
    if wrong:
        raise InvalidInput(f"--local and {', '.join(wrong)} exclude each other")
    return given


def _texts(app: App, names: Sequence[str], files: Sequence[str], given: dict[str, Any]) -> list[Source]:
    if not names:
        return sourcing.texts(files, given)
    from kubeplay.generate import lookup
    from kubeplay.generate.options import GenerateOptions

    written = lookup.text(app.store, names, app.namespace, GenerateOptions(show_secrets=True))
    return [(f"generate kube {' '.join(names)}", written.encode())]


def _client(texts: Sequence[Source], items: Sequence[Item], namespace: str, given: dict[str, Any]) -> int:
    """--dry-run=client: nothing is asked of any cluster."""
    from kubeplay.cluster import sending
    from kubeplay.play.read import summary

    faults = sending.checked(texts, namespace)
    if faults:
        raise InvalidInput(summary(faults).replace("created", "sent"), faults)
    _warn_of_what_fails(items, None)
    if given["output"] in ("yaml", "json"):
        _write([item.object for item in items], given["output"])
    elif not given["quiet"]:
        for item in items:
            print(sending.title(item) + ("" if given["output"] else " serverside-applied (dry run)"))
    return 0


def _send(connection: Connection, items: Sequence[Item], namespace: str, given: dict[str, Any]) -> int:
    from kubeplay.cli.failure import report
    from kubeplay.cluster import apply as applying

    options = _options(given, namespace)
    done: list[Applied] = []
    status = 0
    for one in applying.apply(connection, items, options):
        warn(one.warnings)
        if one.error is not None:
            status = report(one.error)
            continue
        done.append(one)
        if given["output"] in (None, "name") and not given["quiet"]:
            _say(one, given)
    if given["output"] in ("yaml", "json"):
        _write([one.object for one in done], given["output"])
    if given["wait"] and not status:
        from kubeplay.cluster import rollout

        seconds = given["timeout"] if given["timeout"] is not None else rollout.SECONDS
        rollout.wait(connection, done, seconds, lambda line: _tell(line, given["quiet"]))
    return status


def _options(given: dict[str, Any], namespace: str) -> ApplyOptions:
    from kubeplay.cluster.apply import ApplyOptions

    return ApplyOptions(namespace, given["field_manager"] or "", given["force_conflicts"], given["dry_run"] == SERVER,
                        given["validate"], given["create_namespace"])  # fmt: skip


def _say(one: Applied, given: dict[str, Any]) -> None:
    from kubeplay.cli.table import printable

    done = "" if given["output"] else " serverside-applied"
    print(printable(one.title) + done + (" (server dry run)" if given["dry_run"] == SERVER and done else ""), flush=True)


def _tell(line: str, quiet: bool) -> None:
    from kubeplay.cli.failure import safe

    if not quiet:
        print(safe(f"Waiting for {line}"), file=sys.stderr, flush=True)


def _write(objects: Sequence[dict[str, Any]], form: str) -> None:
    """As `kubectl apply -o`: one object alone, several as a List; who holds which field is left out as by kubectl."""
    import json

    from kubeplay.kube import write

    bare = [_without_owners(one) for one in objects]
    whole = bare[0] if len(bare) == 1 else {"apiVersion": "v1", "kind": "List", "items": bare}
    sys.stdout.write(json.dumps(whole, indent=4) + "\n" if form == "json" else write.document(whole))


def _without_owners(obj: dict[str, Any]) -> dict[str, Any]:
    meta = obj.get("metadata")
    bare = {key: value for key, value in meta.items() if key != "managedFields"} if isinstance(meta, dict) else meta
    return {**obj, "metadata": bare}


def _facts(app: App, items: Sequence[Item]) -> Facts:
    """What this machine knows of the images of what is stored here."""
    from kubeplay.generate import published

    return published.facts(app.engine.images, [item.object for item in items])


def _warn_of_what_fails(items: Sequence[Item], facts: Facts | None) -> None:
    """What no cluster would run, by the rules of `kube check --for cluster`: the rest of them is that command's."""
    from kubeplay.kube.portable.findings import NOTHING, findings
    from kubeplay.kube.portable.model import ERROR

    for item in items:
        found = [str(one).removeprefix(f"{ERROR}: ") for one in findings(item.object, facts=facts or NOTHING) if one.level == ERROR]
        warn(f"{item.where}: {item.kind} {item.name}: {line}" for line in found)


