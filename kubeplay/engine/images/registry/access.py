"""How registries may be used: one record that every command, play and pull fills from its own flags."""

from __future__ import annotations

from kubeplay.record import Record

RETRIES = 3  # as podman's --retry


class Access(Record):
    """`tls_verify` None leaves it to registries.conf; `cert_dir` replaces the certs.d directories, `authfile` every auth file;
    `creds` (USER[:PASSWORD]) wins over all. `auths` are (prefix, user, password) of imagePullSecrets, tried before auth files.
    `retry` attempts after the first; `retry_delay` in seconds between them, 0 = 1, 2, 4, ...
    """

    tls_verify: bool | None = None
    cert_dir: str = ""
    authfile: str = ""
    creds: str = ""
    auths: tuple[tuple[str, str, str], ...] = ()
    retry: int = RETRIES
    retry_delay: float = 0.0
