"""Which port a handler means (PR12)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kubeplay.plan.container import Port


class PortFault(Exception):
    """The port cannot be told; the text is the kubelet's."""


def number(port: int | str, ports: Sequence[Port]) -> int:
    """A number, or a name among the container's own ports, or a number in a string. Raises PortFault."""
    if isinstance(port, str):
        named = next((each.container_port for each in ports if each.name == port), None)
        if named is None and not re.fullmatch(r"[+-]?\d{1,18}", port, re.ASCII):
            raise PortFault(f'strconv.Atoi: parsing "{port}": invalid syntax')
        port = int(port) if named is None else named
    if not 0 < port < 65536:
        raise PortFault(f"invalid port number: {port}")
    return port


def joined(host: str, port: int) -> str:
    """Go's net.JoinHostPort."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
