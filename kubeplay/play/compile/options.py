"""What the command line may change about every pod of one play."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.kube.policies import Policies

CLUSTER_DOMAIN = "cluster.local"  # DESIGN.md, "State, processes, locks"
# "" is the engine's own default network, whatever it calls it: a plan must not depend on the state root.
DEFAULT_NETWORK = ""


class CompileOptions(Record):
    """Flags of `play kube` as typed (podman-kube-facts 1.1) and facts about this machine.

    `networks`, `publish` and `log_opts` hold the raw arguments. Flags that say something about a pod are written into the
    object first (flags.py), so that the stored object alone explains the plan. `policies` are the namespaces' rules for new pods.
    """

    networks: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    ips6: tuple[str, ...] = ()
    network_aliases: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    publish_all: bool = False
    container_prefix: bool = True
    log_driver: str = ""
    userns: str = ""
    log_opts: tuple[str, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    seccomp_default: bool = True
    seccomp_profile_root: str = ""
    node_name: str = ""
    cluster_domain: str = CLUSTER_DOMAIN
    start: bool = True
    policies: Policies | None = None
