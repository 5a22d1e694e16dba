"""generate kube, kube generate: from what is stored to files for a cluster."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kubeplay.cli.declare import argument, choice, command, flag, integer, text
from kubeplay.errors import AlreadyExists, InvalidInput
from kubeplay.generate.options import GenerateOptions

if TYPE_CHECKING:
    from kubeplay.cli.app import App

KINDS = ("pod", "deployment", "daemonset", "job")


@command(
    "generate",
    "Write the Kubernetes file that describes pods, containers or volumes.",
    argument("NAME", "Pods, containers, volumes, or KIND/NAME such as deployment/web.", many=True, complete="pod"),
    text("-f", "--filename", help="Write to this file, which must not exist.", metavar="FILE", complete="file"),
    choice("-t", "--type", choices=KINDS, help="Kind of what is written, when it is not what was played."),
    integer("-r", "--replicas", help="Replicas of the Deployment."),
    flag("-s", "--service", help="Write a NodePort Service for the published ports too."),
    flag("--show-secrets", help="Write the values of Secrets, not placeholders that a cluster refuses."),
    flag("--podman-only", help="Accepted for podman's sake; no effect: there are no annotations of podman's own."),
    flag("--no-trunc", help="Accepted for podman's sake; no effect, as nothing is cut."),
)
def generate(
    app: App,
    *,
    name: tuple[str, ...],
    filename: str | None,
    type: str | None,
    replicas: int | None,
    service: bool,
    show_secrets: bool,
    podman_only: bool,
    no_trunc: bool,
) -> None:
    if replicas is not None and (replicas < 1 or type != "deployment"):
        raise InvalidInput(
            "--replicas can only be set when --type is set to deployment" if type != "deployment" else "--replicas must be at least 1"
        )
    if filename and os.path.lexists(filename):
        raise AlreadyExists(f'cannot write to "{filename}"; file exists')
    from kubeplay.generate import lookup

    written = lookup.text(app.store, name, app.namespace, GenerateOptions(type or "", replicas, service, show_secrets))
    if not filename:
        sys.stdout.write(written)
        return
    fd = os.open(filename, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600 if show_secrets else 0o644)
    with open(fd, "w", encoding="utf-8") as file:
        file.write(written)
