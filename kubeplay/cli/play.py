"""play kube, kube play, kube down: files in, running pods out, and away again."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli.declare import FLAG, Option, choice, command, flag, integer, many, number, text
from kubeplay.cli.sourcing import FILES, NOT_COMPILED, SOURCES, texts, words
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubeplay.cli.app import App
    from kubeplay.engine.net.addresses import Subnet
    from kubeplay.errors import Fault
    from kubeplay.kube.check import Manifest
    from kubeplay.plan.stack import ObjectKey, Played
    from kubeplay.play.compile import CompileOptions
    from kubeplay.play.known import Facts
    from kubeplay.play.sources import Source

    Read = tuple[Sequence[Source], list[Manifest]]  # what was read, and what it came to

VALIDATE = choice(
    "--validate",
    choices=("strict", "warn", "ignore"),
    default="strict",
    help="What unknown and unsupported fields are: errors, warnings, nothing.",
)

OPTIONS: tuple[Option, ...] = (
    *SOURCES,
    many("--annotation", help="Add an annotation to every object.", metavar="KEY=VALUE"),
    many("--label", help="Add a label to every object.", metavar="KEY=VALUE"),
    many("--configmap", help="A file of ConfigMaps that the pods may use.", metavar="FILE", complete="file"),
    flag("--replace", help="Remove what the file describes first, then create it."),
    flag("--update", help="Bring what runs to the files with the least disturbance: only what differs changes, in place where that can be,"
         " by rollouts of workloads, anew where nothing else is left. What commands have set and no file says stays."),
    flag("--prune", help="With --update: remove what the files had before and have no more; volumes stay."),
    text("--applyset", help="With --update: the stack's name. Its objects get the label applyset.kubernetes.io/part-of, by which --prune"
         " finds them, and it gets a parent object as kubectl's has: NAME (a Secret), or configmap/NAME.", metavar="NAME"),
    flag("--rollback-on-failure", help="With --update: wait until everything is ready, for --timeout (5m) at most, and bring the old state"
         " back when it is not."),
    flag("--start", help="Start the containers; --start=false only creates them.", default=True),
    flag("--down", help="Remove what the file describes (the older form of kube down)."),
    flag("--force", help="With --down: remove volumes too."),
    many("--network", "--net", dest="network", help="Join this network: bridge, host, none, NAME[:ip=IP,mac=MAC].", complete="network"),
    many("--ip", help="Address of the n-th pod.", metavar="IP"),
    many("--mac-address", help="MAC address of the n-th pod.", metavar="MAC"),
    many("--publish", help="Publish a container port on the host, at its own number if HOST is not given, or a range, as 8080-8082:80-82;"
         " wins over the file.", metavar="[[IP:]HOST:]PORT[/PROTOCOL]"),
    flag("--publish-all", help="Publish every container port that has no hostPort, at its own number."),
    flag("--no-pod-prefix", help="Name containers as in the file, not POD-CONTAINER."),
    text("--userns", help="User namespace of the pods: host, auto[:size=N], keep-id[:uid=N,gid=N] or nomap; wins over hostUsers.",
         metavar="MODE"),
    text("--log-driver", help="Where container output goes: k8s-file or none.", metavar="DRIVER"),
    many("--log-opt", help="An option of the log driver: max-size=10m, max-file=5.", metavar="KEY=VALUE"),
    Option(("--build",), "Build images that have a directory of their name beside the file: always (true), never (false), or those that"
           " are not here (not given).", "build", FLAG, None),
    text("--context-dir", help="With --build: where the directories of images are, instead of beside the file.", metavar="DIR",
         complete="file"),
    text("--authfile", help="Logins for this play's pulls, instead of the usual auth files.", metavar="FILE", complete="file"),
    text("--cert-dir", help="Certificates and keys for this play's pulls, instead of certs.d.", metavar="DIR", complete="file"),
    text("--creds", help="Who to be at the registries of this play; without a password it is asked for.", metavar="USER[:PASSWORD]"),
    Option(("--tls-verify",), "Whether this play's pulls check the registries' certificates; if not given, registries.conf says.",
           "tls_verify", FLAG, None),
    text("--signature-policy", help="Trust policy for this play's pulls.", metavar="FILE", hidden=True),
    text("--seccomp-profile-root", help="Directory of localhost seccomp profiles.", metavar="DIR"),
    flag("-w", "--wait", help="Stay, and remove everything on a signal or when all pods have ended."),
    flag("--service-container", help="Stay as the process that systemd watches: tell it when the pods have started, end when all have"
         " ended."),
    choice("--service-exit-code-propagation", choices=("all", "any", "none"), default="none",
           help="With --service-container: exit as the container that failed, when any or all have; none: with 0."),
    flag("--wait-ready", help="Return when all pods are ready or have completed; fail when one has failed."),
    number("--timeout", help="How long to wait at most: 90, 60s, 1m30s.", metavar="DURATION"),
    flag("--keep-on-failure", help="Keep what was created when something fails; the pods go on trying."),
    flag("--dry-run", help="Check, and show what would be created; touch nothing."),
    choice("-o", "--output", choices=("yaml", "json", "table"), help="What --dry-run shows.", default="table"),
    VALIDATE,
    flag("-q", "--quiet", help="Print no progress, of pulls and builds neither."),
    flag("--no-trunc", help="Accepted for podman's sake; no effect, as nothing is cut."),
)  # fmt: skip

_MANY = 50  # documents: fewer are planned as fast as looked up (apply/remembered.py)

HELP = """Create and start what Kubernetes files describe.

All files are checked first, and nothing is created when anything is wrong with any of them. A failure on the way removes
what this call has created. Playing the same files again changes nothing. When they have changed, --update changes in place what can be
changed so and makes the rest anew, and --replace makes everything anew.

Images that are not here are pulled first, as imagePullPolicy and imagePullSecrets say. The flags about registries are for this
play; what a pod pulls later, when it is restarted or tries again, goes by the auth files, registries.conf and its pull secrets."""


@command("play", HELP, FILES, OPTIONS)
def play(app: App, *, files: tuple[str, ...], **given: Any) -> int | None:
    if given["down"]:
        return remove(app, files, given, force=given["force"], quiet=given["quiet"])
    if given["force"]:
        raise InvalidInput("--force may be specified only with --down")
    if given["update"] and given["replace"]:
        raise InvalidInput("--update and --replace exclude each other", hint="--update keeps what runs, --replace makes it anew")
    _for_updates(given)
    if given["service_container"] and (given["wait"] or given["update"] or not given["start"]):
        raise InvalidInput("--service-container goes with none of --wait, --update and --start=false", hint="--replace makes all anew")
    if given["context_dir"] and not given["build"]:
        raise InvalidInput("--build must be specified when using --context-dir option")
    if given["update"] and not given["dry_run"]:
        from kubeplay.cli import applying

        return applying.update(app, files, given)
    if given["update"] and given["output"] == "table":
        from kubeplay.cli import planning, planshow

        sys.stdout.write(planshow.as_text(planning.planned(app, files, given), planning.colored("auto")))
        return 0
    read: list[Read] = []
    played = _compiled(app, files, given, read)
    if given["dry_run"]:
        from kubeplay.cli.dryrun import show

        show(app, played.stack, given["output"])
        return 0
    from kubeplay.cli.playing import run

    status = run(app, played, words(files, given), given)
    if read and len(read[0][1]) >= _MANY:
        from kubeplay.cli.planning import remember

        remember(app, *read[0], given)
    return status


def _for_updates(given: dict[str, Any]) -> None:
    """Raises InvalidInput for flags that mean something with --update only."""
    for name in ("prune", "applyset", "rollback_on_failure"):
        if given[name] and not given["update"]:
            raise InvalidInput(f"--{name.replace('_', '-')} may be specified only with --update")


def manifests(app: App, files: tuple[str, ...], given: dict[str, Any]) -> list[Manifest]:
    """The files' checked manifests, with what the store knows; their warnings are said."""
    return checked(app, texts(files, given), given)


def checked(app: App, read: Sequence[Source], given: dict[str, Any]) -> list[Manifest]:
    """The same of texts that have been read."""
    from kubeplay.play.sources import load

    return _checked(app, read, given["validate"], load(given["configmap"], None), known(app, read))


def known(app: App, read: Sequence[Source]) -> Facts:
    """What the verdict on these texts depends on beside them."""
    return _known(app, any(b"clusterIP" in data for _, data in read))


def _compiled(app: App, files: tuple[str, ...], given: dict[str, Any], seen: list[Read]) -> Played:
    """The files' Stack and what they say, from the cache where these very files have been compiled before; else they come to `seen`."""
    from kubeplay.play import cache
    from kubeplay.play.sources import load

    read, maps = texts(files, given), load(given["configmap"], None)
    facts = known(app, read)
    flags = sorted((key, value) for key, value in given.items() if key not in _NOT_COMPILED)
    debug = app.settings.log_level in ("debug", "trace")

    def make() -> tuple[Played, bool]:
        manifests = _checked(app, read, given["validate"], maps, facts)
        seen.append((read, manifests))
        # A warning must be shown every time; a Secret must not stay on the disk after it has been removed.
        clean = not any(manifest.warnings or manifest.kind.kind == "Secret" for manifest in manifests)
        return _played(app, manifests, given), clean

    if not app.has_store or debug:
        return make()[0]
    name = cache.key((*read, *maps), "play", len(maps), flags, app.namespace, facts, app.settings.seccomp_default, os.uname().nodename)
    played: Played = cache.through(plans(app), name, make)
    return played


def named(app: App, files: tuple[str, ...], given: dict[str, Any]) -> tuple[list[ObjectKey], tuple[Fault, ...]]:
    """The objects that the files name, valid or not, and why some documents name none. Kinds that we never run are warnings."""
    from kubeplay.play import cache

    read = texts(files, given)
    faults: list[Fault] = []

    def make() -> tuple[tuple[ObjectKey, ...], bool]:
        from kubeplay.kube.identity import identify
        from kubeplay.play.stack import keys

        found = identify(read, app.namespace)
        faults.extend(found.faults)
        for skipped in found.skipped:
            print(f"Warning: {skipped}", file=sys.stderr)
        return tuple(keys(found.found)), not (found.faults or found.skipped)

    if not app.has_store:
        return list(make()[0]), tuple(faults)
    return list(cache.through(plans(app), cache.key(read, "down", app.namespace), make)), tuple(faults)


# Flags that decide what is done with the Stack, not what is in it.
_NOT_COMPILED = NOT_COMPILED | frozenset(
    (
        "prune", "applyset", "rollback_on_failure",
        "quiet", "replace", "update", "wait", "wait_ready", "timeout", "keep_on_failure", "dry_run", "output", "down", "force", "no_trunc",
        "service_container", "service_exit_code_propagation",
        "configmap", "build", "context_dir", "authfile", "cert_dir", "creds", "tls_verify", "signature_policy",
    )
)


def plans(app: App) -> str:
    """The directory of what files have come to (play/cache.py)."""
    return f"{app.settings.root}/cache/plans"


def _known(app: App, addresses: bool) -> Facts:
    """What the store and the machine know and a verdict depends on.

    `addresses`: the files ask for some in the Service range, so it is looked up where this root has none yet; else "".
    """
    from kubeplay.play.known import Facts, facts

    if not app.has_store:
        return Facts(service_range=str(_first_range()) if addresses else "")
    from kubeplay.engine.net.services import RANGE_POOL

    held = next((lease.value for lease in app.store.leases.held(RANGE_POOL)), "")
    return facts(app.store, str(app.engine.net.expected_service_range()) if addresses else held)


def _first_range() -> Subnet:
    from kubeplay.engine.net.expected import first_range

    return first_range()


def _checked(
    app: App, texts: Sequence[Source], mode: str, configmaps: Sequence[Source], facts: Facts
) -> list[Manifest]:
    """The manifests of the texts; says their warnings and, when asked for, which fields have no effect."""
    from kubeplay.play.known import known
    from kubeplay.play.read import check_all, notices

    manifests = check_all(texts, mode, app.namespace, configmaps, known(facts))
    for manifest in manifests:
        for warning in manifest.warnings:
            print(f"Warning: {warning}", file=sys.stderr)
        if app.settings.log_level in ("debug", "trace"):
            sys.stderr.write("".join(f"debug: {notice}\n" for notice in notices(manifest)))
    return manifests


def _played(app: App, manifests: list[Manifest], given: dict[str, Any]) -> Played:
    from kubeplay.plan.stack import Played
    from kubeplay.play import given as givens
    from kubeplay.play.stack import build

    stack = build(manifests, options(app, given))
    return Played(stack, givens.given(manifests, stack.objects))


def options(app: App, given: dict[str, Any]) -> CompileOptions:
    from kubeplay.cli.volume import pairs
    from kubeplay.play import policies
    from kubeplay.play.compile import CompileOptions

    return CompileOptions(
        policies=policies.stored(app.store) if app.has_store else None,
        networks=given["network"], network_aliases=given.get("network_alias", ()), ips=given["ip"], ips6=given.get("ip6", ()),
        macs=given["mac_address"], publish=given["publish"], publish_all=given["publish_all"],
        container_prefix=not given["no_pod_prefix"], log_driver=given["log_driver"] or "", log_opts=given["log_opt"],
        annotations=pairs("--annotation", given["annotation"]), labels=pairs("--label", given["label"]),
        userns=given["userns"] or "",
        seccomp_default=app.settings.seccomp_default,
        seccomp_profile_root=given["seccomp_profile_root"] or "",
        node_name=os.uname().nodename, start=given["start"],
    )  # fmt: skip


@command(
    "down",
    "Remove what Kubernetes files describe; what is gone already is no error.\n\nThe files may be invalid: kind, namespace and name"
    " are all that counts. Volumes stay, unless --force is given.",
    FILES,
    SOURCES,
    flag("--force", help="Remove volumes too."),
    integer("-t", "--time", help="Seconds to wait before a container is killed, instead of its pod's own grace period.", metavar="SECONDS"),
    choice("--validate", choices=("strict", "warn", "ignore"), default="ignore", hidden=True, help="Accepted for symmetry with play."),
    flag("-q", "--quiet", help="Print no progress."),
)
def down(
    app: App, *, files: tuple[str, ...], force: bool, time: int | None, validate: str, quiet: bool, **given: Any
) -> int | None:
    return remove(app, files, given, force=force, timeout=time, quiet=quiet)


def remove(app: App, files: tuple[str, ...], given: dict[str, Any], *, force: bool, quiet: bool, timeout: int | None = None) -> int | None:
    """What the files name goes; then raises InvalidInput with the documents that name nothing."""
    from kubeplay.cli.playing import take_down

    keys, faults = named(app, files, given)
    if keys or not faults:
        take_down(app, keys, force=force, timeout=timeout, quiet=quiet)
    if faults:
        rest = "; what the others name has been removed" if keys else ", nothing was removed"
        raise InvalidInput(f"not every document names an object{rest}", faults)
    return None
