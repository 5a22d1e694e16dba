"""One container of a pod, as the engine needs it."""

from __future__ import annotations

from kubeplay.plan.env import EnvEntry, EnvFrom
from kubeplay.plan.probe import Handler, Probe, RestartRule
from kubeplay.plan.security import Security
from kubeplay.plan.volumes import Mount
from kubeplay.record import Record

APP = "app"
INIT = "init"
SIDECAR = "sidecar"  # an init container with restartPolicy Always (IN3)
EPHEMERAL = "ephemeral"  # added to a running pod by `debug`

TERMINATION_PATH = "/dev/termination-log"  # TM1


class Resources(Record):
    """Requests and limits; CPU in milli, the rest in bytes or counts; None = not set (RS1, RS2).

    `others` holds extended resources and hugepages as ((name, limit), ...).
    """

    cpu_request: int | None = None
    cpu_limit: int | None = None
    memory_request: int | None = None
    memory_limit: int | None = None
    ephemeral_request: int | None = None
    ephemeral_limit: int | None = None
    others: tuple[tuple[str, int], ...] = ()


class Port(Record):
    """A containerPort; `host_port` 0 = not published; `host_ip` "" = every address (HP1)."""

    container_port: int
    protocol: str = "TCP"
    name: str = ""
    host_port: int = 0
    host_ip: str = ""


class ContainerPlan(Record):
    """A container before its references are resolved.

    `command` and `args` None = the image's ENTRYPOINT and CMD (CM1). `restart_policy` is the effective one for this
    container (container-level, else pod-level, RR1); `restart_rules` come before it. `pull_policy_set` is False where the
    policy is the default of DF2: an Always that nobody asked for is content with the local image when the registry cannot
    give another (podman's `newer`). `host_rootfs` runs the host's own programs read-only: only for our system pods, never
    compiled from a manifest. `rootfs` is a directory of the host that is the root file system (`create --rootfs`), neither.
    `target`: of an ephemeral container, the one whose PID namespace it joins.
    `restart_to_resize` names the resources whose change asks for a new instance (RS8).
    """

    name: str
    image: str
    kind: str = APP
    pull_policy: str = "IfNotPresent"
    pull_policy_set: bool = True
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    working_dir: str = ""
    env: tuple[EnvEntry, ...] = ()
    env_from: tuple[EnvFrom, ...] = ()
    ports: tuple[Port, ...] = ()
    mounts: tuple[Mount, ...] = ()
    resources: Resources = Resources()
    security: Security = Security()
    restart_policy: str = "Always"
    restart_rules: tuple[RestartRule, ...] = ()
    startup: Probe | None = None
    readiness: Probe | None = None
    liveness: Probe | None = None
    post_start: Handler | None = None
    pre_stop: Handler | None = None
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False
    stop_signal: str = ""
    termination_path: str = TERMINATION_PATH
    termination_policy: str = "File"
    pids_limit: int = 0
    cpuset: str = ""
    mems: str = ""
    host_rootfs: bool = False
    rootfs: str = ""
    target: str = ""
    restart_to_resize: tuple[str, ...] = ()

    @property
    def imageless(self) -> bool:
        """Whether its files come from somewhere else than an image."""
        return self.host_rootfs or bool(self.rootfs)

    @property
    def probed(self) -> bool:
        """Whether it has any probe."""
        return not (self.startup is None and self.readiness is None and self.liveness is None)


class Resolved(Record):
    """What a ContainerPlan's references came to when the container was made (EN1-EN6).

    `env` in order, without the image's; `command` and `args` expanded, None = the image's; `sub_paths[i]` belongs to
    `mounts[i]` of the plan.
    """

    env: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    sub_paths: tuple[str, ...] = ()
