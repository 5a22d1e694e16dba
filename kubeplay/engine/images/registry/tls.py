"""Whom we believe and who we are in TLS: the system's authorities and a directory of certificates per registry.

A directory (containers-certs.d(5)) holds authorities as *.crt and client certificates as NAME.cert with NAME.key.
"""

from __future__ import annotations

import os
import ssl

from kubeplay.engine.rootless import who
from kubeplay.errors import InvalidInput

PLACES = ("/etc/containers/certs.d", "/etc/docker/certs.d")


def directory(host: str, given: str = "") -> str:
    """The certificates' directory for HOST[:PORT]: `given` if it is, else the first of certs.d that has one; "" = none."""
    if given:
        if not os.path.isdir(given):
            raise InvalidInput(f"the certificates' directory {given} does not exist")
        return given
    home = who.home()
    for place in ([f"{home}/.config/containers/certs.d"] if home else []) + list(PLACES):
        if os.path.isdir(f"{place}/{host}"):
            return f"{place}/{host}"
    return ""


def context(where: str, verify: bool, client: bool) -> ssl.SSLContext:
    """The context that trusts the system's and `where`'s authorities, and shows `where`'s certificate if `client`.

    Raises InvalidInput naming a file that cannot be used.
    """
    made = ssl.create_default_context() if verify else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    names = sorted(os.listdir(where)) if where else []
    for name in names:
        if name.endswith(".crt"):
            _try(f"{where}/{name}", lambda path: made.load_verify_locations(path))
    if client:
        _client(made, where, set(names))
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def _client(made: ssl.SSLContext, where: str, names: set[str]) -> None:
    for name in sorted(names):
        stem, _, kind = name.rpartition(".")
        if kind == "key" and f"{stem}.cert" not in names:
            raise InvalidInput(f"{where}/{name} has no certificate", hint=f"{where}/{stem}.cert must be there too; authorities end in .crt")
        if kind == "cert":
            if f"{stem}.key" not in names:
                raise InvalidInput(f"{where}/{name} has no key", hint=f"{where}/{stem}.key must be there too; authorities end in .crt")
            _try(f"{where}/{name}", lambda path: made.load_cert_chain(path, f"{path.removesuffix('.cert')}.key", password=_no_password))


def _no_password() -> bytes:
    raise ValueError("the key is encrypted, and nobody can be asked for its password")


def _try(path: str, load: object) -> None:
    assert callable(load)
    try:
        load(path)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be used: {error}") from None
