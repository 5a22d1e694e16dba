"""play kube, kube play, kube down: files in, running pods out, and away again."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli.declare import Option, argument, choice, command, flag, integer, many, number, text
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.kube.check import Manifest
    from kubeplay.plan.stack import Stack
    from kubeplay.play.compile import CompileOptions

FILES = argument("FILE", "Files, directories, URLs, or - for standard input.", dest="files", many=True, complete="file")
VALIDATE = choice(
    "--validate",
    choices=("strict", "warn", "ignore"),
    default="strict",
    help="What unknown and unsupported fields are: errors, warnings, nothing.",
)

OPTIONS: tuple[Option, ...] = (
    many("--annotation", help="Add an annotation to every object.", metavar="KEY=VALUE"),
    many("--label", help="Add a label to every object.", metavar="KEY=VALUE"),
    many("--configmap", help="A file of ConfigMaps that the pods may use.", metavar="FILE", complete="file"),
    flag("--replace", help="Remove what the file describes first, then create it."),
    flag("--start", help="Start the containers; --start=false only creates them.", default=True),
    flag("--down", help="Remove what the file describes (the older form of kube down)."),
    flag("--force", help="With --down: remove volumes too."),
    many("--network", "--net", dest="network", help="Join this network: bridge, host, none, NAME[:ip=IP,mac=MAC].", complete="network"),
    many("--ip", help="Address of the n-th pod.", metavar="IP"),
    many("--mac-address", help="MAC address of the n-th pod.", metavar="MAC"),
    many("--publish", help="Publish a container port on the host; wins over the file.", metavar="[[IP:]HOST:]PORT[/PROTOCOL]"),
    flag("--publish-all", help="Publish every container port that has no hostPort, at its own number."),
    flag("--no-pod-prefix", help="Name containers as in the file, not POD-CONTAINER."),
    text("--log-driver", help="Where container output goes: k8s-file or none.", metavar="DRIVER"),
    many("--log-opt", help="An option of the log driver: max-size=10m, max-file=5.", metavar="KEY=VALUE"),
    text("--seccomp-profile-root", help="Directory of localhost seccomp profiles.", metavar="DIR"),
    flag("-w", "--wait", help="Stay, and remove everything on a signal or when all pods have ended."),
    flag("--wait-ready", help="Return when all pods are ready."),
    number("--timeout", help="How long to wait at most: 90, 60s, 1m30s.", metavar="DURATION"),
    flag("--keep-on-failure", help="Keep what was created when something fails; the pods go on trying."),
    flag("--dry-run", help="Check, and show what would be created; touch nothing."),
    choice("-o", "--output", choices=("yaml", "json", "table"), help="What --dry-run shows.", default="table"),
    VALIDATE,
    flag("-q", "--quiet", help="Print no progress."),
    flag("--no-trunc", help="Accepted for podman's sake."),
)  # fmt: skip

HELP = """Create and start what Kubernetes files describe.

All files are checked first, and nothing is created when anything is wrong with any of them. A failure on the way removes
what this call has created. Playing the same files again changes nothing."""


@command("play", HELP, FILES, OPTIONS)
def play(app: App, *, files: tuple[str, ...], **given: Any) -> int | None:
    if given["down"]:
        return remove(app, files, force=given["force"], validate=given["validate"], quiet=given["quiet"])
    if given["force"]:
        raise InvalidInput("--force may be specified only with --down")
    manifests = _read(app, files, given["validate"], given["configmap"])
    for manifest in manifests:
        for warning in manifest.warnings:
            print(f"Warning: {warning}", file=sys.stderr)
        if app.settings.log_level in ("debug", "trace"):
            from kubeplay.play.read import notices

            sys.stderr.write("".join(f"debug: {notice}\n" for notice in notices(manifest)))
    stack = _stack(app, manifests, given)
    if given["dry_run"]:
        from kubeplay.cli.dryrun import show

        show(app, stack, given["output"])
        return 0
    from kubeplay.cli.playing import run

    return run(app, stack, given)


def _read(app: App, files: tuple[str, ...], mode: str, configmaps: tuple[str, ...] = ()) -> list[Manifest]:
    from kubeplay.kube.admission import Known
    from kubeplay.play.read import read

    known = Known()
    if app.has_store:
        from kubeplay.engine.net.services import RANGE_POOL

        namespaces = frozenset(one.key.name for one in app.store.objects.list("Namespace"))
        known = Known(namespaces, service_range=next((lease.value for lease in app.store.leases.held(RANGE_POOL)), ""))
    return read(files, validate_mode=mode, namespace=app.namespace, configmaps=configmaps, known=known)


def _stack(app: App, manifests: list[Manifest], given: dict[str, Any]) -> Stack:
    from kubeplay.play.stack import build

    return build(manifests, options(app, given))


def options(app: App, given: dict[str, Any]) -> CompileOptions:
    from kubeplay.cli.volume import pairs
    from kubeplay.play.compile import CompileOptions

    return CompileOptions(
        networks=given["network"], ips=given["ip"], macs=given["mac_address"], publish=given["publish"], publish_all=given["publish_all"],
        container_prefix=not given["no_pod_prefix"], log_driver=given["log_driver"] or "", log_opts=given["log_opt"],
        annotations=pairs("--annotation", given["annotation"]), labels=pairs("--label", given["label"]),
        seccomp_default=app.settings.seccomp_default,
        seccomp_profile_root=given["seccomp_profile_root"] or "",
        node_name=os.uname().nodename, start=given["start"],
    )  # fmt: skip


@command(
    "down",
    "Remove what Kubernetes files describe; what is gone already is no error.\n\nVolumes stay, unless --force is given.",
    FILES,
    flag("--force", help="Remove volumes too."),
    integer("-t", "--time", help="Seconds to wait before a container is killed, instead of its pod's own grace period.", metavar="SECONDS"),
    choice("--validate", choices=("strict", "warn", "ignore"), default="ignore", hidden=True, help="Accepted for symmetry with play."),
    flag("-q", "--quiet", help="Print no progress."),
)
def down(app: App, *, files: tuple[str, ...], force: bool, time: int | None, validate: str, quiet: bool) -> int | None:
    return remove(app, files, force=force, validate="ignore" if validate == "strict" else validate, timeout=time, quiet=quiet)


def remove(app: App, files: tuple[str, ...], *, force: bool, validate: str, quiet: bool, timeout: int | None = None) -> int | None:
    from kubeplay.cli.playing import take_down
    from kubeplay.play.stack import keys

    return take_down(app, keys(_read(app, files, validate)), force=force, timeout=timeout, quiet=quiet)
