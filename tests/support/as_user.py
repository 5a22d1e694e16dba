"""Which tests with real containers run as an ordinary user too, and in which of two ways.

`COMMANDS`: tests of the installed program. pytest runs as the user; each command finds its way into the user's namespaces by itself.
`LIBRARY`: tests that drive the engine in their own process. pytest itself runs in the user's namespaces, as a command does after its start.
`ROOT_ONLY`: not as a user, and why. A module with real containers that is in none of them fails test_as_user.py.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import again

if TYPE_CHECKING:
    from tests.support.user import User

VARIABLE = "KUBEPLAY_TESTS_AS"  # "commands" or "library" in a run as a user
TESTS = Path(__file__).resolve().parents[1]


def _modules(directory: str, names: str) -> set[str]:
    return {f"{directory}/test_{name}.py" for name in names.split()}


COMMANDS = _modules("e2e", "build_cli cli_commands cli_system examples fields_hooks play_build security_images security_pods") | _modules(
    "e2e", "reach fields_env fields_files fields_life fields_network fields_resources fields_security fields_volumes fields_workloads"
)
COMMANDS |= _modules("e2e", "fields_probes volume_commands pausing service_units")
LIBRARY = (
    _modules("e2e", "build build_attacks build_cache build_copy build_instructions build_run")
    | _modules("e2e", "commit engine engine_copy engine_exec engine_logs engine_seccomp security_exec")
    | _modules("e2e", "net_dns net_pods net_rules networks security_net handlers_exec probes")
    | _modules("e2e", "fields_images play_cache play_services play_up supervisor")
    | _modules("unit/layers", "overlay depot")
    | _modules("unit/volumes", "manager")
)
ROOT_ONLY = {
    "e2e/test_readme_as_user.py": "root makes the user who has just come",
    "e2e/test_rootless_attacks.py": "root makes the users who attack one another",
    **dict.fromkeys(_modules("e2e", "fields_scheduler fields_devices fields_resize"), "the machine's own devices and CPUs"),
    **dict.fromkeys(_modules("e2e", "crash engine_crash disk termination chaos deletion"), "chaos: kills at every step and full disks"),
    **dict.fromkeys(_modules("conformance/kubelet", "surprises record deletions cm_update"), "the kubelet's record"),
    **dict.fromkeys(_modules("e2e", "build_reference"), "the record of builds by podman"),
    **dict.fromkeys(_modules("e2e", "image_commands images images_whole manifest transfer"), "image formats"),
    **dict.fromkeys(_modules("unit/images", "copying store") | _modules("unit/layers", "commit extract formats incoming"), "image formats"),
    **dict.fromkeys(_modules("e2e", "rootless_entry rootless_runtime rootless_storage rootless_users"), "makes users of its own"),
    **dict.fromkeys(_modules("e2e", "users_keep"), "makes users of its own"),
    **dict.fromkeys(_modules("e2e", "fields_envfiles live_updates"), "reads files by the same way whoever plays"),
    **dict.fromkeys(_modules("e2e", "fields_jobs"), "controllers decide the same way whoever plays"),
    **dict.fromkeys(_modules("e2e", "kubectl_commands"), "objects of the store, the same way whoever changes them"),
    **dict.fromkeys(_modules("e2e", "rootless_net"), "makes a user and another machine of its own"),
    **dict.fromkeys(_modules("unit/layers", "snapshotters userns"), "makes user namespaces of its own"),
    **dict.fromkeys(_modules("e2e", "generate"), "what is stored is read the same way whoever stored it"),
    **dict.fromkeys(_modules("e2e", "run pod_verbs"), "the same commands; docs/decisions/0508 says what was tried as a user"),
    **dict.fromkeys(_modules("e2e", "fields_deployments"), "what controllers decide, the same for everybody"),
    **dict.fromkeys(_modules("e2e", "fields_policies"), "decided before anything runs"),
    **dict.fromkeys(_modules("e2e", "apply kustomize plan story"), "a play of what is stored, the same whoever plays"),
    **dict.fromkeys(_modules("e2e", "compose"), "what is made of a file, the same whoever makes it"),
    **dict.fromkeys(_modules("e2e", "fields_users"), "ids of the machine's own"),
    **dict.fromkeys(_modules("e2e", "networks_played"), "what differs for a user is in networks"),
    **dict.fromkeys(_modules("e2e", "fields_ingress"), "the same proxy and rules; docs/decisions/0607 says what was tried as a user"),
    **dict.fromkeys(_modules("e2e", "fields_storage"), "what differs for a user is in fields_volumes"),
    **dict.fromkeys(_modules("e2e", "fields_sidecars"), "what differs for a user is in fields_life"),
    **dict.fromkeys(_modules("e2e", "names"), "what differs for a user is in net_dns"),
    **dict.fromkeys(_modules("e2e", "fields_sets"), "controllers, the same for everybody"),
    **dict.fromkeys(_modules("e2e", "fields_services net_table services_faults"), "what differs for a user is in fields_network"),
    **dict.fromkeys(_modules("e2e", "sync"), "the same doors as apply; git and files are read the same way"),
    **dict.fromkeys(_modules("e2e", "look"), "what is stored and logged, the same for everybody"),
    **dict.fromkeys(_modules("e2e", "registries_conf registry trust trust_commands"), "registries and trust"),
}


def select(items: list[pytest.Item], way: str) -> list[pytest.Item]:
    """Those of `items` that a run as a user is for."""
    modules = {"commands": COMMANDS, "library": LIBRARY}[way]
    return [item for item in items if str(item.path.relative_to(TESTS)) in modules and item.get_closest_marker("root")]


def skip(item: pytest.Item) -> None:
    """Mark a test that only root can pass (`@pytest.mark.rootful(reason)`), or only root on this machine (`@pytest.mark.limits`)."""
    marker = item.get_closest_marker("rootful")
    reason = marker.args[0] if marker else ""
    if item.get_closest_marker("limits") and not delegated():
        reason = "no control groups are delegated on this machine (version 1, or no systemd user session)"
    if reason:
        item.add_marker(pytest.mark.skip(reason=f"as an ordinary user: {reason}"))


def delegated() -> bool:
    """Whether this process may make groups with limits below its own (cgroups(7), "Delegation")."""
    own = next((line.split(":", 2)[2] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), "")
    group = Path(f"/sys/fs/cgroup{own}")
    controllers = group / "cgroup.controllers"
    return controllers.exists() and "memory" in controllers.read_text().split() and os.access(group, os.W_OK)


def main(argv: list[str]) -> int:
    """Run tests as a fresh user on a network of its own: all, with junit files in a directory, or by hand one way with words for pytest.

    usage: python -m tests.support.as_user all DIRECTORY | commands [WORD...] | library [WORD...]
    """
    from tests.support.user import user

    failed = 0
    with user(own_network=True) as made:
        if argv[0] != "all":
            return made.pytest(argv[0], "", *argv[1:])
        for way in ("commands", "library"):
            failed += _twice(made, way, Path(argv[1]))
    return failed


def _twice(made: User, way: str, reports: Path) -> int:
    """All tests of one way; a few that failed once more (docs/decisions/0020-a-second-try.md)."""
    report = reports / f"{way}.xml"
    status = made.pytest(way, str(report))
    chosen = again.few(report) if status == 1 else []
    return made.pytest(way, str(reports / f"{way}-again.xml"), *chosen) if chosen else status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) != 0)
