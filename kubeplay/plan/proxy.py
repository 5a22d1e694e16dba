"""What Ingresses come to: which request goes to which endpoints (IG1). No kind of Kubernetes is known here."""

from __future__ import annotations

from kubeplay.plan.service import Endpoint
from kubeplay.record import Record


class Backend(Record):
    """Where requests end: one port of a Service. `name` is made of letters, digits, `-` and `.`; `sticky`: a client keeps its endpoint."""

    name: str
    endpoints: tuple[Endpoint, ...] = ()
    sticky: bool = False


class Rule(Record):
    """Requests for `host` ("" any, `*.x` any one label before x) at `path`: itself when `exact`, else it and what is below.

    `backend` "" = none that we could name: such requests are answered with 503.
    """

    host: str
    path: str
    backend: str
    exact: bool = False


class Certificate(Record):
    """What is shown to TLS clients who ask for one of `hosts`; none = for the names in the certificate. `place` is NS/NAME of a Secret."""

    place: str
    hosts: tuple[str, ...] = ()


class ProxyPlan(Record):
    """The whole proxy.

    Of rules for one host Exact comes first, then the longest path; a host's own rules come before a wildcard's, and those before rules
    for any host. What meets no rule goes to the host's one of `defaults` ((host, backend), ...), then to `default`, then is a 404.
    """

    rules: tuple[Rule, ...] = ()
    defaults: tuple[tuple[str, str], ...] = ()
    default: str = ""
    backends: tuple[Backend, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    tls: bool = False
