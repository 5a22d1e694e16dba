"""build: an image from a Containerfile and a context."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli.declare import argument, choice, command, flag, integer, many, text
from kubeplay.cli.transfer import REGISTRY, access_of
from kubeplay.errors import InvalidInput, KubeplayError, NotSupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubeplay.cli.app import App
    from kubeplay.engine.build.mounts import Secret
    from kubeplay.engine.build.request import Pull, Request

_TAIL = 1 << 16  # bytes of a quiet build's output that are shown when it fails
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "g": 1 << 30, "gb": 1 << 30}


class Console:
    """Steps on standard output as podman prints them, what programs write where they wrote it."""

    def line(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def output(self, stream: int, data: bytes) -> None:
        where = sys.stdout if stream == 1 else sys.stderr
        where.flush()
        where.buffer.write(data)
        where.buffer.flush()

    def warning(self, text: str) -> None:
        print(f"Warning: {text}", file=sys.stderr, flush=True)


class Quiet:
    """Says nothing, but keeps the end of what programs write, for a build that fails."""

    def __init__(self) -> None:
        self._tail = bytearray()

    def line(self, text: str) -> None:
        pass

    def output(self, stream: int, data: bytes) -> None:
        self._tail += data
        del self._tail[:-_TAIL]

    def warning(self, text: str) -> None:
        pass

    def show(self) -> None:
        sys.stderr.buffer.write(bytes(self._tail))
        sys.stderr.flush()


IMAGE_OPTIONS = (
    many("-t", "--tag", help="Name of the image; may be repeated.", metavar="NAME"),
    many("-f", "--file", help="The Containerfile; several are read as one; - is standard input.", complete="file"),
    many("--build-arg", help="NAME=VALUE for ARG; NAME takes the value from the environment."),
    many("--build-arg-file", help="File of build arguments, one NAME=VALUE a line.", complete="file"),
    text("--target", help="Name or number of the last stage to build."),
    text("--from", help="Image that replaces the one of the first FROM.", dest="base"),
    choice("--format", choices=("oci", "docker"), help="Format of the image; docker has HEALTHCHECK, SHELL and ONBUILD (BUILDAH_FORMAT)."),
    many("--platform", help="OS/ARCH[/VARIANT] of the image; several with --manifest. RUN needs this machine's, or an emulator."),
    text("--manifest", help="Manifest list to add the image to; made when it is not there."),
    text("--os", help="OS of the image."),
    text("--arch", help="Architecture of the image."),
    text("--variant", help="Variant of the architecture."),
    many("--label", help="NAME=VALUE for the image."),
    many("--annotation", help="NAME=VALUE for the image's manifest (format oci)."),
    many("--env", help="NAME=VALUE for the image's environment."),
    many("--unsetenv", help="Variable to take out of the image.", dest="unset_env"),
    many("--unsetlabel", help="Label to take out of the image.", dest="unset_labels"),
    integer("--timestamp", help="Time of the image, its history and its files, in seconds since 1970.", metavar="SECONDS"),
    integer("--source-date-epoch", help="Time of the image and its history, but not of its files.", metavar="SECONDS"),
    flag("--rewrite-timestamp", help="No file of the new layers is younger than --source-date-epoch."),
    flag("--omit-history", help="Leave the history out of the image."),
    flag("--squash", help="One layer for all steps."),
    flag("--squash-all", help="One layer for everything, the base's files too."),
    text("--iidfile", help="File to write the image's id to.", complete="file"),
)
CACHE_OPTIONS = (
    flag("--no-cache", help="Do every step anew."),
    flag("--layers", help="A layer for each step, and so a cache (BUILDAH_LAYERS).", default=True),
    many("--cache-from", help="Refused: caches in registries are not known here."),
    many("--cache-to", help="Refused: caches in registries are not known here."),
    text("--cache-ttl", help="Refused: cached steps do not age."),
    flag("--skip-unused-stages", help="Leave out stages that the target does not need.", default=True),
    flag("--rm", help="Accepted for podman's sake: working containers are always removed.", default=True),
    flag("--force-rm", help="Accepted for podman's sake: working containers are always removed.", default=True),
    integer("--jobs", help="Accepted for podman's sake: stages are built one after the other."),
    flag("--disable-compression", "-D", help="Accepted for podman's sake: stored layers are not compressed.", default=True),
    flag("--compress", help="Accepted for podman's sake; no effect, as there."),
)
STEP_OPTIONS = (
    many("--secret", help="id=ID,src=FILE or id=ID,env=NAME: for RUN --mount=type=secret; never in the image."),
    many("--ssh", help="default|ID[=SOCKET|KEY[,KEY]]: for RUN --mount=type=ssh."),
    many("--network", "--net", help="Network of RUN steps: default, none, host or a network's name."),
    many("--add-host", help="NAME[;NAME]:IP for /etc/hosts of RUN steps."),
    many("--dns", help="DNS server of RUN steps."),
    many("--dns-search", help="DNS search domain of RUN steps."),
    many("--dns-option", help="DNS option of RUN steps."),
    flag("--http-proxy", help="Give RUN steps the proxy variables of the environment.", default=True),
    many("--cap-add", help="Capability to give RUN steps."),
    many("--cap-drop", help="Capability to take from RUN steps."),
    text("--shm-size", help="Size of /dev/shm in RUN steps (64m)."),
    many("--ulimit", help="NAME=SOFT[:HARD] for RUN steps."),
    text("-m", "--memory", help="Memory limit of RUN steps."),
    integer("-c", "--cpu-shares", help="CPU weight of RUN steps."),
    integer("--cpu-quota", help="CPU time of RUN steps in a period, in microseconds.", metavar="MICROSECONDS"),
    integer("--cpu-period", help="The period of --cpu-quota.", metavar="MICROSECONDS"),
    text("--cpuset-cpus", help="CPUs of RUN steps."),
    text("--cpuset-mems", help="Memory nodes of RUN steps."),
)
SOURCE_OPTIONS = (
    many("--build-context", help="NAME=DIRECTORY, URL or docker-image://IMAGE: another source for COPY --from and FROM."),
    text("--ignorefile", help="Ignore file instead of .containerignore or .dockerignore.", complete="file", dest="ignore_file"),
    choice("--pull", choices=("always", "missing", "never", "newer", "true", "false"), default="missing", bare="always",
           help="When to pull base images; --pull alone means always."),
    flag("--pull-always", help="The same as --pull=always."),
    flag("--pull-never", help="The same as --pull=never."),
)


@command(
    "build",
    "Build an image from a Containerfile.\n\nThe context is a directory, a git repository, the URL of an archive or a Containerfile, "
    "or - for one of these on standard input.",
    argument("CONTEXT", "The build context; the current directory when it is not given.", required=False, complete="dir"),
    IMAGE_OPTIONS,
    CACHE_OPTIONS,
    STEP_OPTIONS,
    SOURCE_OPTIONS,
    REGISTRY,
    flag("-q", "--quiet", help="Print nothing but the image's id."),
)
def build(app: App, *, context: str | None, quiet: bool, iidfile: str | None, **given: Any) -> None:
    from kubeplay.engine.build.run import build as run

    request = requested(context or ".", given, os.environ)
    told = Quiet() if quiet else Console()
    _listen()
    try:
        for platform in _platforms(given):
            found = run(app.engine, request._replace(platform=platform), told, _puller(app, given, quiet))
            if given["manifest"]:
                _enlist(app, given, found)
    except KubeplayError:
        if isinstance(told, Quiet):
            told.show()
        raise
    if iidfile:
        with open(iidfile, "w", encoding="ascii") as file:
            file.write(found)
    print(found.removeprefix("sha256:"))


def _listen() -> None:
    """The first signal ends the build, which then clears up; more of them do not disturb that."""
    import signal

    from kubeplay.errors import Interrupted

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(number: int, frame: object) -> None:
        for one in numbers:
            signal.signal(one, signal.SIG_IGN)
        raise Interrupted("the build was stopped; finished steps are kept")

    for one in numbers:
        signal.signal(one, stop)


def _puller(app: App, given: Mapping[str, Any], quiet: bool) -> Pull:
    """Base images come as `pull` brings them."""

    def pull(reference: str, platform: str, policy: str) -> str:
        from kubeplay.cli.bars import Bars
        from kubeplay.engine.images import platforms
        from kubeplay.engine.images.copying import fetch
        from kubeplay.engine.images.copying.pull import PullOptions

        options = PullOptions(platform=platforms.wanted(platform), signature_policy=given["signature_policy"] or "")
        how = policy if policy == "newer" else "always"  # what is here and fits was taken before
        with Bars(quiet) as bars:
            # a name of a Containerfile is never a file: `FROM oci:x` means the repository oci
            return fetch.by_name(app.engine.images, reference, access_of(dict(given)), options, how, bars)

    return pull


def requested(context: str, given: Mapping[str, Any], environ: Mapping[str, str]) -> Request:
    """The request that the command line means. Raises InvalidInput, NotSupported."""
    from kubeplay.engine.build import network
    from kubeplay.engine.build.request import Request

    for name in ("cache_from", "cache_to", "cache_ttl"):
        if given.get(name):
            raise NotSupported(f"--{name.replace('_', '-')}: caches outside of this root are not known")
    layers = given["layers"] and environ.get("BUILDAH_LAYERS", "true").lower() not in ("false", "0")
    names = network.Names(given["add_host"], given["dns"], given["dns_search"], given["dns_option"])
    return Request(
        context=context, files=given["file"], tags=given["tag"], build_args=_arguments(given, environ), target=given["target"] or "",
        base=given["base"] or "", no_cache=given["no_cache"], layers=layers, squash=_squash(given),
        labels=_pairs(given["label"], "--label"), annotations=_pairs(given["annotation"], "--annotation"),
        env=_pairs(given["env"], "--env"), unset_env=given["unset_env"], unset_labels=given["unset_labels"],
        secrets=tuple(map(_secret, given["secret"])), ssh=tuple(map(_ssh, given["ssh"])),
        format=given["format"] or environ.get("BUILDAH_FORMAT", "") or "oci", pull=_policy(given), network=network.kinds(given["network"]),
        names=names, limits=_limits(given), build_contexts=tuple(map(_context, given["build_context"])),
        ignore_file=given["ignore_file"] or "", timestamp=given["timestamp"], epoch=given["source_date_epoch"],
        rewrite=given["rewrite_timestamp"], http_proxy=given["http_proxy"],
        omit_history=given["omit_history"], skip_unused_stages=given["skip_unused_stages"],
    )  # fmt: skip


def _squash(given: Mapping[str, Any]) -> str:
    return "all" if given["squash_all"] else "new" if given["squash"] else ""


def _policy(given: Mapping[str, Any]) -> str:
    if given["pull_always"]:
        return "always"
    if given["pull_never"]:
        return "never"
    return {"true": "always", "false": "missing"}.get(given["pull"], str(given["pull"]))


def _pairs(texts: tuple[str, ...], name: str) -> tuple[tuple[str, str], ...]:
    found = []
    for one in texts:
        key, equals, value = one.partition("=")
        if not key or (not equals and name == "--env"):
            raise InvalidInput(f"{name} {one!r}: the form is NAME=VALUE")
        found.append((key, value))
    return tuple(found)


def _arguments(given: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    texts: list[str] = []
    for path in given["build_arg_file"]:
        try:
            with open(path, encoding="utf-8") as file:
                texts += [line.strip() for line in file if line.strip() and not line.startswith("#")]
        except OSError as error:
            raise InvalidInput(f"--build-arg-file {path}: {error.strerror}") from error
    found = []
    for one in (*texts, *given["build_arg"]):
        key, equals, value = one.partition("=")
        if not key:
            raise InvalidInput(f"--build-arg {one!r}: the form is NAME=VALUE")
        if equals:
            found.append((key, value))
        elif key in environ:
            found.append((key, environ[key]))
    return tuple(found)


def _secret(text: str) -> tuple[str, Secret]:
    """id=ID[,src=FILE|,env=NAME][,type=file|env]."""
    from kubeplay.engine.build.mounts import Secret

    found = _words(text, "--secret")
    name = found.pop("id", "")
    kind = found.pop("type", "")
    path = found.pop("src", "") or found.pop("source", "")
    variable = found.pop("env", "")
    if not name or found or (path and variable) or kind not in ("", "file", "env"):
        raise InvalidInput(f"--secret {text!r}: the form is id=ID,src=FILE or id=ID,env=NAME")
    if variable or kind == "env" or (not path and name in os.environ):
        return name, Secret("env", variable or path or name)
    return name, Secret("file", os.path.abspath(path or name))


def _words(text: str, name: str) -> dict[str, str]:
    found = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals:
            raise InvalidInput(f"{name} {text!r}: {part!r} is not of the form KEY=VALUE")
        found[key] = value
    return found


def _ssh(text: str) -> tuple[str, tuple[str, ...]]:
    name, equals, value = text.partition("=")
    if not name or (equals and not value):
        raise InvalidInput(f"--ssh {text!r}: the form is default|ID[=SOCKET|KEY[,KEY]]")
    return name, tuple(os.path.abspath(path) for path in value.split(",") if path)


def _context(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals or not value:
        raise InvalidInput(f"--build-context {text!r}: the form is NAME=DIRECTORY, URL or docker-image://IMAGE")
    return name, value


def _platforms(given: Mapping[str, Any]) -> tuple[str, ...]:
    """What to build for, "" is this machine. Raises InvalidInput."""
    from kubeplay.engine.build.run import machine_platform

    listed = tuple(dict.fromkeys(one for text in given["platform"] for one in text.split(",") if one))
    if len(listed) > 1 and not given["manifest"]:
        raise InvalidInput("--platform: several platforms make several images", hint="give the list they go to: --manifest NAME")
    if listed:
        return listed
    if not (given["os"] or given["arch"] or given["variant"]):
        return ("",)
    system, _, machine = machine_platform().partition("/")
    return ("/".join(filter(None, (given["os"] or system, given["arch"] or machine, given["variant"]))),)


def _enlist(app: App, given: Mapping[str, Any], image_id: str) -> None:
    """Add an image to the list of --manifest."""
    from kubeplay.engine.images.lists import Lists
    from kubeplay.engine.images.members import find

    members = find(app.engine.images, app.store, image_id, access_of(dict(given)))
    lists = Lists(app.store)
    with app.store.write():
        row = lists.create(given["manifest"], amend=True)
        lists.add(row.id, members)


def _limits(given: Mapping[str, Any]) -> Any:
    from kubeplay.engine.build.runner import Limits

    return Limits(
        cap_add=_capabilities(given["cap_add"]), cap_drop=_capabilities(given["cap_drop"]),
        shm=_bytes(given["shm_size"] or "64m", "--shm-size"), ulimits=tuple(map(_ulimit, given["ulimit"])),
        memory=_bytes(given["memory"] or "0", "--memory"), cpu_shares=given["cpu_shares"] or 0, cpu_quota=given["cpu_quota"] or 0,
        cpu_period=given["cpu_period"] or 0, cpuset=given["cpuset_cpus"] or "", mems=given["cpuset_mems"] or "",
    )  # fmt: skip


def _capabilities(texts: tuple[str, ...]) -> tuple[str, ...]:
    from kubeplay.engine.oci import capabilities

    found = tuple(name.upper().removeprefix("CAP_") for text in texts for name in text.split(",") if name)
    for name in found:
        if not capabilities.is_known(name):
            raise InvalidInput(f"{name}: not a capability")
    return found


def _bytes(text: str, name: str) -> int:
    digits = text.rstrip("bkmgBKMG")
    unit = text[len(digits) :].lower()
    if not digits.isascii() or not digits.isdigit() or unit not in _UNITS:
        raise InvalidInput(f"{name} {text!r}: the form is NUMBER[b|k|m|g]")
    return int(digits) * _UNITS[unit]


def _ulimit(text: str) -> tuple[str, int, int]:
    name, _, value = text.partition("=")
    soft, _, hard = value.partition(":")
    try:
        low = int(soft)
        high = int(hard) if hard else low
    except ValueError:
        raise InvalidInput(f"--ulimit {text!r}: the form is NAME=SOFT[:HARD]") from None
    known = ("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime",
             "sigpending", "stack")  # fmt: skip
    if name not in known or low > high >= 0:
        raise InvalidInput(f"--ulimit {text!r}: not a limit, or the soft one is above the hard one")
    return name, low, high
