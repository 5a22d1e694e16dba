"""`version` and `info`: what kubeplay is, what it found on this machine, and how much it holds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kubeplay import __version__
from kubeplay.engine.host.userns import rootless

if TYPE_CHECKING:
    from kubeplay.cli.app import App

KUBERNETES = "1.36"  # the API that manifests are read as (DESIGN.md, components)


def versions() -> dict[str, Any]:
    import platform

    name = os.uname()
    return {
        "Client": {
            "Version": __version__, "Kubernetes": KUBERNETES, "Python": platform.python_version(), "OS/Arch": f"linux/{name.machine}",
            "Kernel": name.release,
        }
    }  # fmt: skip


def info(app: App) -> dict[str, Any]:
    """Everything `info` shows; a part that cannot be found out says why."""
    return {
        "version": versions()["Client"],
        "host": _host(app),
        **({"user": _try(_user)} if rootless() else {}),
        "store": _store(app),
        "network": _network(app),
        "notices": _try(lambda: list(app.engine.notices())),
    }


def _try(ask: Any) -> Any:
    from kubeplay.errors import KubeplayError

    try:
        return ask()
    except (KubeplayError, OSError) as error:
        return f"unknown: {error}"


def _host(app: App) -> dict[str, Any]:
    from kubeplay.engine.host.machine import machine

    facts = machine()
    return {
        "hostname": os.uname().nodename, "cpus": os.cpu_count() or 0, "memTotal": facts.memory, "bootId": facts.boot_id,
        "ociRuntime": _try(lambda: _runtime(app)), "conmon": _try(_conmon), "cgroups": _try(lambda: _cgroups(app)),
        "security": {"apparmor": facts.apparmor, "selinux": facts.selinux, "seccomp": facts.seccomp, "rootless": facts.rootless},
    }  # fmt: skip


def _runtime(app: App) -> dict[str, str]:
    choice = app.engine.host.choice
    return {"name": choice.name, "path": choice.path, "version": choice.version}


def _conmon() -> str:
    from kubeplay.engine.host.processes import program

    return program("conmon")


def _cgroups(app: App) -> dict[str, Any]:
    from kubeplay.engine.host.machine import machine

    groups, facts = app.engine.cgroups, machine()
    from kubeplay.engine.oci.cgroup import discover

    kinds = {hierarchy.version for hierarchy in discover()}
    return {
        "version": "v2" if kinds == {2} else "v1 and v2" if kinds == {1, 2} else "v1" if kinds else "none",
        "manager": app.settings.cgroup_manager,
        "parent": groups.parent,
        "controllers": sorted(groups.controllers),
        "missing": list(groups.missing),
        **({"delegated": groups.hierarchies[0].top if groups.hierarchies else "", "why": groups.why} if facts.user_namespace else {}),
    }


def _store(app: App) -> dict[str, Any]:
    states: dict[str, int] = {}
    app.engine.refresh()
    for row in app.store.runtime.containers():
        states[row.state] = states.get(row.state, 0) + 1
    return {
        "root": app.settings.root, "runroot": app.settings.runroot, "database": app.engine.paths.database,
        "snapshotter": _try(lambda: _snapshotter(app)),
        "pods": len(app.store.runtime.pods()), "containers": {"number": sum(states.values()), **states},
        "images": len(app.store.images.list()), "volumes": len(app.store.resources.volumes()), "objects": len(app.store.objects.list()),
    }  # fmt: skip


def _snapshotter(app: App) -> dict[str, str]:
    from kubeplay.engine.layers import snapshotter

    choice = snapshotter.choice(app.engine.paths)
    return {"driver": choice.driver, **({"instead": choice.why} if choice.why else {})}


def _user() -> dict[str, Any]:
    """For whom this is done, with which ids, and what keeps the namespaces."""
    from kubeplay.engine.rootless import enter, needs, who

    me, maps, directory = who.user(), who.maps(), who.user_directory()
    holder = enter.read(directory)
    cost = needs.cost(needs.read()) if maps.single else ""
    return {
        "name": me.name, "uid": me.uid, "gid": me.gid, "home": me.home, "runtimeDirectory": os.path.dirname(directory),
        "uidMap": [r._asdict() for r in maps.uids], "gidMap": [r._asdict() for r in maps.gids],
        **({"singleId": cost or "the namespaces were made before there were subordinate ids"} if maps.single else {}),
        "holder": holder.pid if holder else 0,
    }  # fmt: skip


def _helper(app: App) -> dict[str, str]:
    from kubeplay.engine.net.rootless.networks import UserNetworks

    net = app.engine.net
    name, why = net.way_out() if isinstance(net, UserNetworks) else ("", "")
    return {"name": name, "why": why}


def _network(app: App) -> dict[str, Any]:
    return {
        **({"helper": _try(lambda: _helper(app))} if rootless() else {}),
        "bridge": app.settings.bridge, "nftTable": app.settings.nft_table,
        "networks": [{"name": row.name, "subnet": row.subnet, "gateway": row.gateway} for row in app.store.resources.networks()],
        "services": len(app.store.objects.list("Service")),
    }  # fmt: skip
