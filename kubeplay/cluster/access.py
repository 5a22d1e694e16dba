"""One context of a kubeconfig as what a connection needs: where, whom to believe, who we are. Files are read, nothing is run.

The precedence is client-go's: `...-data` before the file of the same name, a token's file before the token, and a plugin only where no
other way of proving oneself is given.
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import Any
from urllib.parse import urlsplit

from kubeplay.cluster.kubeconfig import Entry, Kubeconfig
from kubeplay.errors import InvalidInput, NotFound, NotSupported
from kubeplay.record import Record

MAX_CREDENTIAL = 1 << 20  # bytes of a certificate bundle, key or token


class Exec(Record):
    """A credential plugin (client-authentication). `mode` is Never, IfAvailable or Always: whether it may have the terminal."""

    command: str
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    api_version: str
    mode: str
    hint: str
    cluster_info: bool
    where: str


class Access(Record):
    """`server` is a URL without a slash at its end; PEM texts are bytes, b"" = none. `token_file` is read with every connection.

    `headers` are those of impersonation; `basic` is USER:PASSWORD.
    """

    context: str
    server: str
    namespace: str = "default"
    authorities: bytes = b""
    verify: bool = True
    server_name: str = ""
    proxy: str = ""
    certificate: bytes = b""
    key: bytes = b""
    token: str = ""
    token_file: str = ""
    basic: str = ""
    exec: Exec | None = None
    headers: tuple[tuple[str, str], ...] = ()
    cluster: dict[str, Any] = {}


def choose(config: Kubeconfig, context: str = "") -> Access:
    """What the context says (`current-context` when none is named). Raises NotFound, InvalidInput, NotSupported."""
    name = context or config.current
    if not name:
        hint = f"--context NAME: {', '.join(sorted(config.contexts)) or 'there are none'}"
        raise InvalidInput(f"no context is current in {', '.join(config.files)}", hint=hint)
    entry = config.contexts.get(name)
    if entry is None:
        known = ", ".join(sorted(config.contexts)) or "there are none"
        raise NotFound(f'context "{name}" does not exist in {", ".join(config.files)}', hint=f"contexts: {known}")
    cluster = _named(config.clusters, entry, "cluster")
    user = _named(config.users, entry, "user") if _text(entry, "user") else Entry("", {}, entry.directory, entry.where)
    found = _cluster(cluster, Access(name, "", _text(entry, "namespace") or "default"))
    return _user(user, found)


def _named(table: dict[str, Entry], context: Entry, field: str) -> Entry:
    name = _text(context, field)
    found = table.get(name)
    if not name or found is None:
        what = f'its {field} "{name}" is not defined' if name else f"it names no {field}"
        raise InvalidInput(f'{context.where}: context "{context.name}": {what}', hint=f"defined are: {', '.join(sorted(table)) or 'none'}")
    return found


def _cluster(entry: Entry, made: Access) -> Access:
    server = _text(entry, "server").rstrip("/")
    if not server:
        raise InvalidInput(f'{entry.where}: cluster "{entry.name}" has no server')
    insecure = entry.value.get("insecure-skip-tls-verify") is True
    authorities = _pem(entry, "certificate-authority")
    if insecure and authorities:
        why = "insecure-skip-tls-verify and certificate-authority exclude each other"
        raise InvalidInput(f'{entry.where}: cluster "{entry.name}": {why}', hint="leave one of them out")
    url = server if "://" in server else f"http://{server}"  # as kubectl, whatever else is said of TLS
    _check_url(entry, "server", url, ("http", "https"))
    proxy = _text(entry, "proxy-url")
    if proxy:
        if urlsplit(proxy).scheme.startswith("socks"):
            where = f'{entry.where}: cluster "{entry.name}"'
            raise NotSupported(f"{where}: proxy-url: SOCKS proxies are not supported", hint="http and https are")
        _check_url(entry, "proxy-url", proxy, ("http", "https"))
    info = {
        "server": url, "tls-server-name": _text(entry, "tls-server-name"), "insecure-skip-tls-verify": insecure,
        "certificate-authority-data": base64.b64encode(authorities).decode(), "proxy-url": proxy, "config": _plugin_config(entry),
    }  # fmt: skip
    return made._replace(
        server=url, authorities=authorities, verify=not insecure, server_name=_text(entry, "tls-server-name"), proxy=proxy,
        cluster={key: value for key, value in info.items() if value},
    )  # fmt: skip


def _plugin_config(entry: Entry) -> Any:
    """What a cluster hands to its plugin, whatever it is: the extension of that name."""
    listed = entry.value.get("extensions")
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict) and item.get("name") == "client.authentication.k8s.io/exec":
            return item.get("extension")
    return None


def _user(entry: Entry, made: Access) -> Access:
    who = f'{entry.where}: user "{entry.name}"'
    if entry.value.get("auth-provider"):
        hint = "kubectl 1.26 dropped most of them too: use an exec plugin"
        raise NotSupported(f"{who}: auth-provider is not supported", hint=hint)
    certificate, key = _pem(entry, "client-certificate"), _pem(entry, "client-key")
    if bool(certificate) != bool(key):
        given, missing = ("certificate", "key") if certificate else ("key", "certificate")
        raise InvalidInput(f"{who}: a client-{given} without its client-{missing}")
    username, password = _text(entry, "username"), _text(entry, "password")
    token, token_file = _text(entry, "token"), _path(entry, _text(entry, "tokenFile"))
    if username and (token or token_file):
        raise InvalidInput(f"{who}: a token and a username exclude each other", hint="leave one of them out")
    return made._replace(
        certificate=certificate, key=key, token=token, token_file=token_file, basic=f"{username}:{password}" if username else "",
        exec=None if token or token_file or username else _exec(entry, who), headers=_impersonation(entry),
    )  # fmt: skip


def _exec(entry: Entry, who: str) -> Exec | None:
    given = entry.value.get("exec")
    if given is None:
        return None
    if not isinstance(given, dict) or not isinstance(given.get("command"), str) or not given["command"]:
        raise InvalidInput(f"{who}: exec needs a command")
    version = given.get("apiVersion")
    if version not in ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"):
        hint = "client.authentication.k8s.io/v1 and v1beta1 are; newer versions of the plugin write them"
        raise NotSupported(f"{who}: exec: apiVersion {str(version)[:60]} is not supported", hint=hint)
    mode = given.get("interactiveMode") or ("IfAvailable" if version.endswith("beta1") else "")
    if mode not in ("Never", "IfAvailable", "Always"):
        raise InvalidInput(f"{who}: exec: interactiveMode must be Never, IfAvailable or Always")
    args, env = given.get("args") or [], given.get("env") or []
    if not isinstance(args, list) or not all(isinstance(one, str) for one in args):
        raise InvalidInput(f"{who}: exec: args must be a list of texts")
    if not isinstance(env, list) or not all(isinstance(one, dict) and isinstance(one.get("name"), str) for one in env):
        raise InvalidInput(f"{who}: exec: env must be a list of name and value")
    pairs = tuple((one["name"], str(one.get("value") or "")) for one in env)
    command = given["command"]
    command = _path(entry, command) if "/" in command else command
    hint = str(given.get("installHint") or "")[:2000]
    return Exec(command, tuple(args), pairs, version, mode, hint, given.get("provideClusterInfo") is True, who)


def _impersonation(entry: Entry) -> tuple[tuple[str, str], ...]:
    made = [("Impersonate-User", _text(entry, "as"))] if _text(entry, "as") else []
    made += [("Impersonate-Uid", _text(entry, "as-uid"))] if _text(entry, "as-uid") else []
    groups, extra = entry.value.get("as-groups") or [], entry.value.get("as-user-extra") or {}
    if not isinstance(groups, list) or not isinstance(extra, dict):
        raise InvalidInput(f'{entry.where}: user "{entry.name}": as-groups must be a list, as-user-extra a mapping')
    made += [("Impersonate-Group", str(one)) for one in groups]
    for key, values in extra.items():
        made += [(f"Impersonate-Extra-{key}", str(one)) for one in (values if isinstance(values, list) else [])]
    for name, value in made:
        if not (name + value).isprintable():
            raise InvalidInput(f'{entry.where}: user "{entry.name}": {name!r} cannot stand in a header')
    return tuple(made)


def _check_url(entry: Entry, field: str, url: str, schemes: tuple[str, ...]) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        good = good and url.isprintable() and " " not in url
    except ValueError:
        good = False
    if not good:
        raise InvalidInput(f'{entry.where}: cluster "{entry.name}": {field}: {url[:200]!r} is no URL of {" or ".join(schemes)}')


def _text(entry: Entry, field: str) -> str:
    value = entry.value.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidInput(f'{entry.where}: "{entry.name}": {field} must be a text')
    return value


def _path(entry: Entry, path: str) -> str:
    return os.path.normpath(os.path.join(entry.directory, path)) if path else ""


def _pem(entry: Entry, field: str) -> bytes:
    """What `field`-data holds in base64, else the content of the file."""
    data = _text(entry, f"{field}-data")
    if data:
        try:
            return base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError):
            raise InvalidInput(f'{entry.where}: "{entry.name}": {field}-data is no base64') from None
    path = _path(entry, _text(entry, field))
    return content(path, f'{entry.where}: "{entry.name}": {field}') if path else b""


def content(path: str, what: str) -> bytes:
    """A file of credentials. Raises InvalidInput."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_CREDENTIAL + 1)
    except OSError as error:
        raise InvalidInput(f"{what}: {path}: {error.strerror}") from None
    if len(data) > MAX_CREDENTIAL:
        raise InvalidInput(f"{what}: {path}: larger than {MAX_CREDENTIAL >> 20} MiB")
    return data
