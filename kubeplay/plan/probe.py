"""What is asked of a running container, or done to it at its start and end: probes and lifecycle hooks."""

from __future__ import annotations

from kubeplay.record import Record

STARTUP, READINESS, LIVENESS = "startup", "readiness", "liveness"


class ExecAction(Record):
    """Run a program in the container (PR6, LH3)."""

    command: tuple[str, ...]


class HttpGet(Record):
    """A GET request (PR7, LH3). `port` is a number or a port's name of the same container (PR12); `host` "" = the pod's address."""

    port: int | str
    path: str = "/"
    host: str = ""
    scheme: str = "HTTP"
    headers: tuple[tuple[str, str], ...] = ()


class TcpSocket(Record):
    """Open a connection (PR8); not for hooks (LH3)."""

    port: int | str
    host: str = ""


class Grpc(Record):
    """grpc.health.v1 Check (PR9)."""

    port: int
    service: str = ""


class Sleep(Record):
    """Wait (LH3); hooks only."""

    seconds: int


Handler = ExecAction | HttpGet | TcpSocket | Grpc | Sleep


class Probe(Record):
    """One probe; times in seconds (PR1). `grace` None = the pod's own (PR10)."""

    handler: Handler
    initial_delay: int = 0
    timeout: int = 1
    period: int = 10
    success: int = 1
    failure: int = 3
    grace: int | None = None


class RestartRule(Record):
    """One restartPolicyRules entry: `action` Restart or RestartAllContainers, `operator` In or NotIn of `codes` (RR1, RR2)."""

    action: str
    operator: str
    codes: tuple[int, ...]
