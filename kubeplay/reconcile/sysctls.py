"""Which sysctls a pod may set (SC8)."""

from __future__ import annotations

from kubeplay.plan.pod import SandboxPlan

REASON = "SysctlForbidden"

SAFE = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    )
)


def fault(plan: SandboxPlan) -> str:
    """Why the pod is refused, "" when it is not."""
    for written, _ in plan.sysctls:
        name = written.replace("/", ".")
        if name not in SAFE:
            return f'forbidden sysctl: "{name}" not allowlisted'
        if plan.host_network and name.startswith("net."):
            return f'forbidden sysctl: "{name}" not allowed with host net enabled'
        if plan.host_ipc and name.startswith("kernel."):
            return f'forbidden sysctl: "{name}" not allowed with host ipc enabled'
    return ""
