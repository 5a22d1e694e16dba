"""docker-credential-* programs: they keep passwords in key rings; asked over their standard input, answers bounded."""

from __future__ import annotations

import json
import os
import re
import shutil

from kubeplay.engine.host import processes
from kubeplay.engine.images.registry.credentials import Credential
from kubeplay.errors import CommandFailed, InvalidInput, MissingPrerequisite

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # it becomes part of a program's name
_SECONDS = 60.0  # some ask a person
_ABSENT = ("credentials not found", "no credentials server url", "not found in native keychain")  # docker-credential-helpers' words
_TOKEN = "<token>"  # the user name that marks an identity token


def get(name: str, server: str) -> Credential | None:
    """What a program keeps for `server`; None when nothing. Raises CommandFailed, MissingPrerequisite, Timeout, InvalidInput."""
    done = _run(name, "get", server.encode())
    if done.status != 0:
        text = (done.stdout + done.stderr).decode(errors="replace")
        if any(words in text.lower() for words in _ABSENT):
            return None
        raise CommandFailed((f"docker-credential-{name}", "get"), done.status, text)
    try:
        value = json.loads(done.stdout)
        user, secret = value["Username"], value["Secret"]
    except (ValueError, RecursionError, LookupError, TypeError):
        raise InvalidInput(f"docker-credential-{name} answers no credential for {server}") from None
    if not isinstance(user, str) or not isinstance(secret, str) or not (user or secret):
        return None
    return Credential("", "", secret) if user == _TOKEN else Credential(user, secret)


def store(name: str, server: str, credential: Credential) -> None:
    """Raises CommandFailed, MissingPrerequisite, Timeout."""
    value = {"ServerURL": server, "Username": credential.username, "Secret": credential.password}
    _checked(name, "store", json.dumps(value).encode())


def erase(name: str, server: str) -> None:
    """Raises CommandFailed, MissingPrerequisite, Timeout."""
    _checked(name, "erase", server.encode())


def _checked(name: str, verb: str, feed: bytes) -> None:
    done = _run(name, verb, feed)
    if done.status != 0:
        raise CommandFailed((f"docker-credential-{name}", verb), done.status, (done.stdout + done.stderr).decode(errors="replace"))


def _run(name: str, verb: str, feed: bytes) -> processes.Result:
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"{name[:100]!r} is no name of a credential helper")
    path = shutil.which(f"docker-credential-{name}")
    if path is None:
        raise MissingPrerequisite(f"the credential helper docker-credential-{name} is not installed", hint="an auth file names it")
    return processes.run([path, verb], stdin=feed, env=os.environ, check=False, seconds=_SECONDS)
