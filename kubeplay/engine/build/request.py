"""What `kubeplay build` asks for, and how a build tells what it does."""

from __future__ import annotations

from typing import Protocol

from kubeplay.engine.build.mounts import Secret
from kubeplay.engine.build.network import Names
from kubeplay.engine.build.runner import Limits
from kubeplay.record import Record


class Request(Record):
    """One build.

    `context` is a directory, a URL of a git repository, archive or Containerfile, or `-` (standard input: an archive or a Containerfile).
    `files` are the -f paths, relative to the working directory or else to the context; `-` is standard input. `pull` is missing, always,
    never or newer. `platform` "" is this machine's. `secrets` are (id, Secret), `ssh` (id, sockets or keys).
    `timestamp` (seconds since 1970) replaces the time of the image, its history and its files; `epoch` that of image and history, and with
    `rewrite` files are not younger. `squash` is "", "new" or "all".
    """

    context: str = "."
    files: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    build_args: tuple[tuple[str, str], ...] = ()
    target: str = ""
    base: str = ""
    no_cache: bool = False
    layers: bool = True
    squash: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    unset_env: tuple[str, ...] = ()
    unset_labels: tuple[str, ...] = ()
    secrets: tuple[tuple[str, Secret], ...] = ()
    ssh: tuple[tuple[str, tuple[str, ...]], ...] = ()
    platform: str = ""
    format: str = "oci"
    pull: str = "missing"
    network: str = "default"
    names: Names = Names()
    limits: Limits = Limits()
    build_contexts: tuple[tuple[str, str], ...] = ()
    ignore_file: str = ""
    timestamp: int | None = None
    epoch: int | None = None
    rewrite: bool = False
    http_proxy: bool = True
    omit_history: bool = False
    skip_unused_stages: bool = True


class Progress(Protocol):
    """Who is told. `line` is a line of the build itself, `output` what a step writes (stream 1 or 2), `warning` a sentence."""

    def line(self, text: str) -> None: ...
    def output(self, stream: int, data: bytes) -> None: ...
    def warning(self, text: str) -> None: ...


class Silent:
    """Nobody is told; what the last steps wrote is kept for the error."""

    def line(self, text: str) -> None:
        pass

    def output(self, stream: int, data: bytes) -> None:
        pass

    def warning(self, text: str) -> None:
        pass


class Pull(Protocol):
    """How a base image comes: `pull(reference, platform, policy)` returns an image's id."""

    def __call__(self, reference: str, platform: str, policy: str) -> str: ...
