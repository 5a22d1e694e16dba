"""Credential plugins: the `exec` of a kubeconfig, run exactly as kubectl runs it (client-authentication.k8s.io).

A kubeconfig of somebody else's can name any program; that is kubectl's contract, and nothing is run before a request needs it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import UTC, datetime
from typing import Any

from kubeplay.cluster.access import Access, Exec
from kubeplay.errors import CommandFailed, InvalidInput, KubeplayError, MissingPrerequisite, Timeout
from kubeplay.record import Record

MAX_ANSWER = 1 << 20  # bytes: a token and a chain of certificates
SECONDS = 300.0  # a person may have to log in with a browser meanwhile
EARLY = 10.0  # seconds before its end that a credential counts as ended: a request takes its time


class Credential(Record):
    """What a plugin gave; `expires` is a time in seconds, None = as long as this process."""

    token: str
    certificate: bytes
    key: bytes
    expires: float | None

    def is_good(self, now: float) -> bool:
        return self.expires is None or now < self.expires - EARLY


def request(plugin: Exec, cluster: dict[str, Any], interactive: bool) -> dict[str, Any]:
    """What the plugin finds in KUBERNETES_EXEC_INFO."""
    spec: dict[str, Any] = {"interactive": interactive}
    if plugin.cluster_info:
        spec["cluster"] = cluster
    return {"kind": "ExecCredential", "apiVersion": plugin.api_version, "spec": spec}


def run(access: Access, plugin: Exec) -> Credential:
    """Ask the plugin. Raises MissingPrerequisite, CommandFailed, Timeout, InvalidInput (its answer cannot be used)."""
    import subprocess

    terminal = sys.stdin is not None and sys.stdin.isatty()
    if plugin.mode == "Always" and not terminal:
        raise InvalidInput(f"{plugin.where}: the plugin {plugin.command} wants a terminal, and standard input is none")
    interactive = terminal and plugin.mode != "Never"
    path = _program(plugin)
    info = json.dumps(request(plugin, access.cluster, interactive), separators=(",", ":"))
    env = {**os.environ, **dict(plugin.env), "KUBERNETES_EXEC_INFO": info}
    stdin = None if interactive else subprocess.DEVNULL
    try:
        with subprocess.Popen([path, *plugin.args], env=env, stdin=stdin, stdout=subprocess.PIPE) as process:
            try:
                data = _answer(process)
            except BaseException:
                process.kill()
                raise
    except OSError as error:
        raise MissingPrerequisite(f"{plugin.where}: {path}: {error.strerror}", hint=plugin.hint) from None
    if process.returncode:
        raise CommandFailed([path], process.returncode, f"{plugin.where}: the credential plugin failed", hint=plugin.hint)
    return parse(data, plugin)


def _answer(process: Any) -> bytes:
    """What it prints, within MAX_ANSWER and SECONDS, and its end."""
    import select
    import subprocess
    import time

    until, data = time.monotonic() + SECONDS, b""
    descriptor = process.stdout.fileno()
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise _late(process)
        piece = os.read(descriptor, 65536)
        if not piece:
            try:
                process.wait(left)
            except subprocess.TimeoutExpired:
                raise _late(process) from None
            return data
        data += piece
        if len(data) > MAX_ANSWER:
            raise InvalidInput(f"the credential plugin {process.args[0]} prints more than {MAX_ANSWER >> 20} MiB")


def _late(process: Any) -> Timeout:
    return Timeout(f"the credential plugin {process.args[0]} did not answer within {SECONDS:g} s")


def _program(plugin: Exec) -> str:
    """Its path: a bare name is looked for in PATH, and never in the working directory."""
    if "/" in plugin.command:
        return plugin.command
    places = [place for place in os.environ.get("PATH", os.defpath).split(":") if place.startswith("/")]
    found = shutil.which(plugin.command, path=":".join(places))
    if found is None:
        raise MissingPrerequisite(f"{plugin.where}: the credential plugin {plugin.command} is not installed", hint=plugin.hint)
    return found


def parse(data: bytes, plugin: Exec) -> Credential:
    """The plugin's answer. Raises InvalidInput."""
    name = os.path.basename(plugin.command)
    try:
        value = json.loads(data)
        status = value["status"]
        if (value["kind"], value["apiVersion"]) != ("ExecCredential", plugin.api_version):
            raise _unusable(name, f"it is not an ExecCredential of {plugin.api_version}")
        texts = [status.get(field) or "" for field in ("token", "clientCertificateData", "clientKeyData", "expirationTimestamp")]
        token, certificate, key, expires = [str(one) for one in texts]
    except KubeplayError:
        raise
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise _unusable(name, "it is no ExecCredential with a status") from None
    if bool(certificate) != bool(key) or not (token or certificate):
        raise _unusable(name, "neither a token nor a certificate with its key is in it")
    if not token.isascii() or not token.isprintable():
        raise _unusable(name, "its token cannot stand in a header")
    return Credential(token, certificate.encode(), key.encode(), _moment(expires, name) if expires else None)


def _moment(text: str, name: str) -> float:
    try:
        made = datetime.fromisoformat(text)
    except ValueError:
        raise _unusable(name, "its expirationTimestamp is no time") from None
    return (made if made.tzinfo else made.replace(tzinfo=UTC)).timestamp()


def _unusable(name: str, why: str) -> InvalidInput:
    return InvalidInput(f"the answer of the credential plugin {name} cannot be used: {why}")
