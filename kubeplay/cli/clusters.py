"""What commands that speak to a Kubernetes cluster have in common: their options, the connection, the server's warnings."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kubeplay.cli.declare import Option, text

if TYPE_CHECKING:
    from kubeplay.cluster.connection import Connection

CLUSTER: tuple[Option, ...] = (
    text("--context", help="Context of the kubeconfig; its current one when not given.", metavar="NAME"),
    text("--kubeconfig", help="The kubeconfig, instead of the files of KUBECONFIG or ~/.kube/config.", metavar="FILE", complete="file"),
)


def connect(given: dict[str, Any]) -> Connection:
    """The cluster of --context and --kubeconfig. Raises NotFound, InvalidInput, NotSupported."""
    from kubeplay.cluster import access, connection, kubeconfig

    found = kubeconfig.read(os.environ, given["kubeconfig"] or "")
    return connection.Connection(access.choose(found, given["context"] or ""))


def warn(lines: Iterable[str]) -> None:
    """Warnings on stderr, as kubectl shows them. They may be a server's: control characters are shown, not sent."""
    from kubeplay.cli.failure import safe

    for line in lines:
        print(safe(f"Warning: {line}"), file=sys.stderr)
