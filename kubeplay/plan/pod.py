"""A pod: what its sandbox needs and the containers in it."""

from __future__ import annotations

from kubeplay.plan.container import ContainerPlan, Resources
from kubeplay.plan.volumes import Volume
from kubeplay.record import Record


class HostAlias(Record):
    """One line of hostAliases (DN4)."""

    ip: str
    names: tuple[str, ...]


class Dns(Record):
    """dnsPolicy and dnsConfig (DN1, DN2); an option's value is "" when it has none."""

    policy: str = "ClusterFirst"
    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()


class Attachment(Record):
    """One network the pod joins; `ip`, `ip6` and `mac` "" = given by the network."""

    network: str
    ip: str = ""
    mac: str = ""
    aliases: tuple[str, ...] = ()
    ip6: str = ""


AUTO, KEEP, NOMAP = "auto", "keep-id", "nomap"


class Users(Record):
    """A user namespace of the pod's own. `mode` auto: a range of `size` ids (0 = as many as is usual); keep-id: who plays is `uid` and
    `gid` inside (None = the own ids); nomap: who plays is nobody inside.
    """

    mode: str
    uid: int | None = None
    gid: int | None = None
    size: int = 0


class SandboxPlan(Record):
    """Namespaces and network of a pod. `attachments` empty and not `host_network` = loopback only; `users` None = the host's.

    `engine_network`, with `host_network`: of the host's namespaces all but the network's, which is where the engine's networks are (the
    host's as well for root; an ordinary user's own). `named`: the manifest gives the host name, so that DNS knows it too (EP1).
    """

    hostname: str
    domain: str = ""
    host_network: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    share_pid: bool = False
    fqdn_hostname: bool = False
    sysctls: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    dns: Dns = Dns()
    host_aliases: tuple[HostAlias, ...] = ()
    engine_network: bool = False
    users: Users | None = None
    named: bool = False


class LogPlan(Record):
    """Where container output goes: `driver` k8s-file or none; `max_size` bytes a file, `max_files` kept (CS12)."""

    driver: str = "k8s-file"
    max_size: int = 10 * 1024 * 1024
    max_files: int = 5


class PodPlan(Record):
    """Everything to run one pod. `containers` holds init containers first, each list in file order.

    `generation_hash` of the manifest is not part of it: two equal plans run the same thing. `pull_secrets` names Secrets of its namespace.
    `deadline_seconds` is activeDeadlineSeconds (AD1); `resources` the pod's own requests and limits (RS4), None = those of its containers.
    `node_name` is this machine, `assigned_node` the node that the manifest names (LR1), "" = any.
    """

    namespace: str
    name: str
    sandbox: SandboxPlan
    containers: tuple[ContainerPlan, ...]
    volumes: tuple[Volume, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    restart_policy: str = "Always"
    grace_seconds: int = 30
    service_links: bool = True
    service_account: str = "default"
    node_name: str = ""
    log: LogPlan = LogPlan()
    controlled: bool = False
    container_prefix: bool = True
    pull_secrets: tuple[str, ...] = ()
    deadline_seconds: int | None = None
    readiness_gates: tuple[str, ...] = ()
    scheduling_gates: tuple[str, ...] = ()
    resources: Resources | None = None
    assigned_node: str = ""
