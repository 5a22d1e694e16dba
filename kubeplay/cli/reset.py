"""system reset: everything of one root, also from a state in which nothing else works."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from kubeplay.config import Settings
from kubeplay.engine.host.userns import rootless
from kubeplay.errors import Forbidden, KubeplayError

if TYPE_CHECKING:
    from kubeplay.cli.app import App

# what lies in a root; a directory with anything else is not ours to remove (a typing error in --root must not cost a home)
OURS = frozenset(
    ("state.db", "state.db-wal", "state.db-shm", "images", "layers", "blobs", "containers", "pods", "volumes", "logs", "host.json",
     "snapshotter.json", "vfs", "serviceaccount.key", "serviceaccount.jwks",
     ".runroot.lock", "net", "cache", "dns", "locks", "tmp", "supervisor", "seccomp", "snapshots",
     "build", "build-cache", "sync")
)  # fmt: skip


def reset(app: App) -> Iterator[str]:
    """Remove everything, telling what. First in order, then by force: each step goes on when the one before has failed."""
    settings = app.settings
    _check(settings)
    if not _readable(app):
        _forget_database(app)
        yield "database: removed, as it cannot be read"
    yield from _step("followers", lambda: _end_followers(app))
    yield from _step("pods", lambda: _remove_pods(app))
    yield from _step("networks", lambda: app.engine.net.reset())
    yield from _step("leftovers", lambda: app.engine.collect())
    yield from _step("processes", lambda: _kill(settings))
    yield from _step("rules", lambda: _rules(settings))
    app.close()
    app.forget()
    yield from _step("mounts", lambda: _unmount(settings))
    yield from _step("files", lambda: _remove_files(settings))
    if rootless():
        yield from _namespaces()


def _step(name: str, work: Callable[[], object]) -> Iterator[str]:
    try:
        work()
        yield f"{name}: removed"
    except Exception as error:  # whatever is broken here, the next step is to be taken
        yield f"{name}: {error}"


def _namespaces() -> Iterator[str]:
    """An ordinary user's: they go with the last root."""
    from kubeplay.engine.rootless.leave import finish

    try:
        yield "namespaces: removed" if finish() else "namespaces: kept, another root uses them"
    except OSError as error:
        yield f"namespaces: {error}"


def _check(settings: Settings) -> None:
    """Raises Forbidden for a directory that is not a root of kubeplay."""
    for path in (settings.root, settings.runroot):
        if os.path.realpath(path) in ("/", "/var", "/var/lib", "/run", "/tmp", "/home", "/root", "/etc", "/usr"):
            raise Forbidden(f"{path} is not a directory of kubeplay's")
    if os.path.isdir(settings.root):
        ours = (".", "host.json", "snapshotter.json", "state.db")
        foreign = [name for name in os.listdir(settings.root) if name not in OURS and not name.startswith(ours)]
        if foreign:
            raise Forbidden(
                f"{settings.root} holds what is not kubeplay's: {', '.join(foreign[:5])}", hint="remove it yourself, or check --root"
            )


def _readable(app: App) -> bool:
    try:
        app.store.runtime.pods()
        app.store.objects.list()
        return True
    except (KubeplayError, OSError, ValueError):
        return False


def _forget_database(app: App) -> None:
    """With an empty one everything on disk and in the kernel is garbage, which the engine knows how to find."""
    app.close()
    app.forget()
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        if os.path.lexists(f"{app.settings.root}/{name}"):
            os.unlink(f"{app.settings.root}/{name}")


def _end_followers(app: App) -> None:
    """Processes of `sync --watch`, which would bring it all back."""
    from kubeplay.sync import state

    for one in state.every(app.engine.paths):
        one.end()


def _remove_pods(app: App) -> None:
    from kubeplay.plan.stack import ObjectKey
    from kubeplay.play.down import down

    keys = [ObjectKey("Pod", row.namespace, row.name) for row in app.store.runtime.pods()]
    keys += [one.key for one in app.store.objects.list() if one.key not in keys]
    down(app.engine, keys, force=True, timeout=0, progress=lambda event: None)


def _kill(settings: Settings) -> None:
    """The supervisor (which does not come back without boot_id), and whatever still runs in cgroups of ours."""
    from kubeplay.engine.oci.cgroup import Cgroups, discover
    from kubeplay.supervisor.end import end

    try:
        os.unlink(f"{settings.runroot}/boot_id")
    except OSError:
        pass
    end(settings.runroot)
    groups = Cgroups(settings.cgroup_parent, discover())
    groups.kill(f"/{groups.parent}")
    groups.remove(f"/{groups.parent}")


def _rules(settings: Settings) -> None:
    from kubeplay.engine.host.processes import program, run

    for family in ("inet", "ip", "ip6", "bridge", "netdev"):
        run([program("nft"), "delete", "table", family, settings.nft_table], check=False)


def _unmount(settings: Settings) -> None:
    """Everything mounted in root and runroot, and the runroot itself."""
    from kubeplay.engine.host import runroot
    from kubeplay.engine.host.paths import Paths
    from kubeplay.engine.host.syscalls import umount

    for target in runroot.mounts_below(settings.root):
        if target != os.path.realpath(settings.root):
            umount(target)
    runroot.release(Paths(settings))


def _remove_files(settings: Settings) -> None:
    import shutil

    for path in (settings.runroot, settings.root):
        if os.path.isdir(path):
            for name in os.listdir(path):
                inner = os.path.join(path, name)
                if os.path.isdir(inner) and not os.path.islink(inner):
                    shutil.rmtree(inner)
                else:
                    os.unlink(inner)
            if not os.path.ismount(path):
                os.rmdir(path)
