"""sync: a directory, a git repository or an artifact followed; what is known of those that are."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli.declare import argument, choice, command, flag, number, text
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubeplay.cli.app import App
    from kubeplay.sync.follow import Follower, Told
    from kubeplay.sync.ground import Ground
    from kubeplay.sync.model import Spec

HELP = """Bring what runs to what a source says, and keep it there.

SOURCE is a directory, a git repository (https://, ssh://, git@HOST:PATH, file://, or a path with --branch, --tag or --commit), or an OCI
artifact (oci://REGISTRY/NAME:TAG). A kustomization in the folder is built. Without --watch the source is applied once.

With --watch the source is followed until a signal comes: files are seen at once, other sources are asked each --interval. What is changed
by hand is brought back. A source that cannot be read, or a state that does not become ready, changes nothing: the last good one stays.

    kubeplay sync ./deploy --watch --prune
    kubeplay sync https://git.example/team/shop.git --branch main --path deploy --watch
    kubeplay sync status [NAME...] [-o json]     what runs, since when, drift, the last error
    kubeplay sync rm NAME...                     forget it; what runs stays

A directory called status or rm is ./status, ./rm."""


@command(
    "sync",
    HELP,
    argument("SOURCE", "A source; or status or rm, and names.", dest="words", many=True, complete="file"),
    flag("-w", "--watch", help="Stay, and follow the source."),
    flag("--prune", help="Remove what the source had before and has no more."),
    number("--interval", help="With --watch: how often the source is asked (1m).", metavar="DURATION"),
    text("--branch", help="Follow this branch of a git repository.", metavar="NAME"),
    text("--tag", help="Follow this tag of a git repository, or of an artifact.", metavar="NAME"),
    text("--commit", help="Take this commit of a git repository.", metavar="SHA"),
    text("--path", help="The folder in the source that holds the manifests or the kustomization.", metavar="DIR"),
    flag("-R", "--recursive", help="Take the manifests of the folders below, too."),
    text("--name", help="Name of this sync, and of its stack (made from SOURCE when not given).", metavar="NAME"),
    number("--timeout", help="How long a new state may take to become ready before the old one is brought back (5m).", metavar="DURATION"),
    choice("--validate", choices=("strict", "warn", "ignore"), default="strict",
           help="What unknown and unsupported fields are: errors, warnings, nothing."),
    flag("--systemd", help="Write the systemd unit that follows the source, and do nothing else."),
    text("--authfile", help="Logins for the artifact and for images, instead of the usual auth files.", metavar="FILE", complete="file"),
    text("--cert-dir", help="Certificates and keys, instead of certs.d.", metavar="DIR", complete="file"),
    text("--creds", help="Who to be at the artifact's registry.", metavar="USER:PASSWORD"),
    flag("--tls-verify", help="--tls-verify=false: the artifact's registry need not prove who it is.", default=True),
    choice("-o", "--output", choices=("json", "yaml", "wide"), help="Form of `sync status`."),
    flag("-q", "--quiet", help="Print no progress."),
)  # fmt: skip
def sync(app: App, *, words: tuple[str, ...], **given: Any) -> int | None:
    if words[0] in ("status", "rm"):
        from kubeplay.cli import syncstatus

        return (syncstatus.status if words[0] == "status" else syncstatus.remove)(app, words[1:], given["output"] or "")
    if len(words) > 1:
        raise InvalidInput(f"one source at a time: {' '.join(words[1:])} is too much", hint="each source is a sync of its own")
    if given["output"]:
        raise InvalidInput("-o is for `kubeplay sync status`")
    spec = _spec(app, words[0], given)
    if given["systemd"]:
        return _unit(app, spec, given)
    return _run(app, spec, given)


def _spec(app: App, source: str, given: dict[str, Any]) -> Spec:
    """What is asked for. Raises InvalidInput, NotFound."""
    from kubeplay.sync import git, model, sources
    from kubeplay.sync.model import DIRECTORY, GIT, INTERVAL, OCI, TIMEOUT, Spec

    chosen = [name for name in ("branch", "tag", "commit") if given[name]]
    if len(chosen) > 1:
        raise InvalidInput(f"--{chosen[0]} and --{chosen[1]} exclude each other")
    kind = sources.kind(source, bool(given["branch"] or given["commit"] or given["tag"]))
    if kind == OCI and chosen not in ([], ["tag"]):
        raise InvalidInput(f"--{chosen[0]} is for git repositories", hint="an artifact has tags and digests")
    local = kind == DIRECTORY or (kind == GIT and not git.is_url(source))
    where = os.path.abspath(source) if local else source
    for name, value, least in (("--interval", given["interval"], 1.0), ("--timeout", given["timeout"], 1.0)):
        if value is not None and value < least:
            raise InvalidInput(f"{name} must be a second at least")
    path = given["path"] or ""
    return Spec(
        model.named(given["name"] or model.name_for(where, path)), kind, where, git.without_password(where), app.namespace,
        given["branch"] or "", given["tag"] or "", given["commit"] or "", path, given["recursive"], given["prune"],
        given["interval"] or INTERVAL, given["timeout"] or TIMEOUT, given["validate"],
    )  # fmt: skip


def _run(app: App, spec: Spec, given: dict[str, Any]) -> int:
    from kubeplay.cli.playing import Reporter
    from kubeplay.sync import sources
    from kubeplay.sync.artifact import credentials
    from kubeplay.sync.follow import Follower
    from kubeplay.sync.ground import refuse_another
    from kubeplay.sync.state import State

    verify = None if given["tls_verify"] else False
    if spec.prune and not given["name"]:
        refuse_another(app.engine.store, spec)
    access = credentials(given["authfile"] or "", given["cert_dir"] or "", given["creds"] or "", verify)
    state = State(app.engine.paths, spec.name)
    state.hold()
    try:
        with Reporter(given["quiet"] or given["watch"]) as reporter:
            ground = _ground(app, spec, given, reporter)
            source = sources.opened(spec, state.directory, access)
            follower = Follower(spec, source, ground, state, app.engine.clock, _teller(app, spec))
            if given["watch"]:
                return _watch(follower)
            follower.once()
    finally:
        state.release()
    return 0


def _ground(app: App, spec: Spec, given: dict[str, Any], reporter: Callable[..., None]) -> Ground:
    from kubeplay.reconcile.pulls import Flags
    from kubeplay.sync.ground import Ground

    pull = Flags(given["authfile"] or "", given["cert_dir"] or "", "", None, "") if given["authfile"] or given["cert_dir"] else None
    return Ground(app.engine, spec, app.supervised, reporter, pull)


def _watch(follower: Follower) -> int:
    """Until a signal: then what runs goes on."""
    import gc

    from kubeplay.errors import Interrupted
    from kubeplay.play.signals import watched
    from kubeplay.sync.watching import Watcher

    gc.enable()  # entry.py began without: this process lives long
    watcher = Watcher()
    try:
        with watched(), _Heard() as heard:
            follower.begin()
            stirred = True
            while not heard():
                watcher.follow(follower.source.places())
                follower.step(stirred=stirred)
                stirred = not heard() and watcher.wait(follower.wait())
    except Interrupted:
        pass
    finally:
        watcher.close()
    return 0


class _Heard:
    """Whether a signal to end has come, also one that an apply took for its own and outlived: what it brings about is brought about."""

    def __enter__(self) -> _Heard:
        self._end = False
        self._reads, writes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._writes = writes
        self._before = signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
        return self

    def __call__(self) -> bool:
        try:
            self._end = self._end or bool({signal.SIGINT, signal.SIGTERM} & set(os.read(self._reads, 4096)))
        except BlockingIOError:
            pass
        return self._end

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._before)
        os.close(self._reads)
        os.close(self._writes)


def _teller(app: App, spec: Spec) -> Callable[[Told], None]:
    """What happens is printed, and is an event of the sync."""
    from kubeplay.cli.failure import safe
    from kubeplay.engine.store.events import NORMAL, WARNING
    from kubeplay.plan.stack import ObjectKey

    def tell(told: Told) -> None:
        for line in told.lines:
            print(line)
        print(safe(f"sync/{spec.name}: {told.reason}: {told.message}"), file=sys.stderr if told.warning else sys.stdout, flush=True)
        sys.stdout.flush()
        key = ObjectKey("Sync", spec.namespace, spec.name)
        app.store.events.add(key, f"sync-{spec.name}", told.reason, told.message[:1024], WARNING if told.warning else NORMAL)

    return tell


def _unit(app: App, spec: Spec, given: dict[str, Any]) -> int:
    from kubeplay.cli.boot import _ordinary, program
    from kubeplay.sync.unit import unit

    if spec.shown != spec.source:
        hint = "give git a credential helper"
        raise InvalidInput("a unit can be read by everybody: the source's password must not stand in it", hint=hint)
    if given["creds"]:
        raise InvalidInput("a unit can be read by everybody: --creds must not stand in it", hint="`kubeplay login`, or --authfile")
    words = ["--namespace", spec.namespace, "sync", "--watch", "--name", spec.name]
    for name in ("branch", "tag", "commit", "path", "validate"):
        value = getattr(spec, name)
        words += [f"--{name}={value}"] if value and value != "strict" else []
    words += [f"--{name}" for name in ("recursive", "prune") if getattr(spec, name)]
    words += [f"--{name}={given[name]:g}s" for name in ("interval", "timeout") if given[name]]
    words += [f"--{name.replace('_', '-')}={os.path.abspath(given[name])}" for name in ("authfile", "cert_dir") if given[name]]
    words += ["--tls-verify=false"] if not given["tls_verify"] else []
    sys.stdout.write(unit(program(), app.settings.root, app.settings.runroot, spec, [*words, spec.source], _ordinary()))
    return 0
