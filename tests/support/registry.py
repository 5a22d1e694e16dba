"""Debian's docker-registry on loopback: TLS, users (htpasswd) or a token server, storage below a test's directory.

    with registry(tmp_path, tls=True, users={"me": "secret"}) as hub:
        hub.put_image("team/app", "1", [layer])      # past our own code
        ... f"{hub.address}/team/app:1", hub.certs.cert_dir, hub.users ...

Unlike podman's own tests these need no free port chosen beforehand: the registry binds port 0 and says which one it got.
"""

from __future__ import annotations

import base64
import ctypes
import http.client
import json
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import certificates
from tests.support.images import config, digest
from tests.support.tokens import ISSUER, SERVICE, TokenServer

BINARY = "/usr/bin/docker-registry"
OCI = "application/vnd.oci.image."
_PATIENCE = 60  # seconds: a loaded machine


class Registry:
    """A running registry. `address` is HOST:PORT; `certs` is None without TLS; `tokens` None without a token server."""

    def __init__(
        self, directory: Path, users: Mapping[str, str], certs: certificates.Certificates | None, tokens: TokenServer | None
    ) -> None:
        self.directory, self.users, self.certs, self.tokens = directory, dict(users), certs, tokens
        self.storage = directory / "storage"
        self.address = ""
        self.log: list[str] = []
        self._marks = 0

    @property
    def url(self) -> str:
        return f"{'https' if self.certs else 'http'}://{self.address}"

    @property
    def creds(self) -> str:
        """USER:PASSWORD of the first user, "" without users."""
        return next((":".join(pair) for pair in self.users.items()), "")

    def name(self, repository: str, tag: str = "") -> str:
        return f"{self.address}/{repository}" + (f":{tag}" if tag else "")

    def put_image(self, repository: str, tag: str, layers: Sequence[bytes], *, stored: Sequence[bytes] | None = None, media: str = "",
                  value: Mapping[str, Any] | None = None, docker: bool = False, **more: Any) -> str:  # fmt: skip
        """Store an image by plain HTTP; `layers` are tars, `stored` what is stored in their place (compressed). The manifest's digest."""
        kinds = ("application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.docker.container.image.v1+json",
                 "application/vnd.docker.distribution.manifest.v2+json")  # fmt: skip
        layer_type, config_type, own = kinds if docker else (f"{OCI}layer.v1.tar", f"{OCI}config.v1+json", f"{OCI}manifest.v1+json")
        described = [self.put_blob(repository, data, media or layer_type) for data in (layers if stored is None else stored)]
        blob = self.put_blob(repository, config(layers, value, **more), config_type)
        return self.put_manifest(repository, tag, {"schemaVersion": 2, "mediaType": own, "config": blob, "layers": described})

    def put_blob(self, repository: str, data: bytes, media: str) -> dict[str, Any]:
        """Store a blob; its descriptor."""
        _, headers, _ = self.request("POST", f"/v2/{repository}/blobs/uploads/", expect=202)
        location = headers["Location"].partition(self.address)[2]
        self.request("PUT", f"{location}&digest={digest(data)}", data, {"Content-Type": "application/octet-stream"}, 201)
        return {"mediaType": media, "digest": digest(data), "size": len(data)}

    def put_manifest(self, repository: str, tag: str, manifest: Mapping[str, Any] | bytes, media: str = "") -> str:
        """Store a manifest or index under `tag` (or its digest when ""); its digest."""
        raw = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
        kind = media or json.loads(raw)["mediaType"]
        self.request("PUT", f"/v2/{repository}/manifests/{tag or digest(raw)}", raw, {"Content-Type": kind}, 201)
        return digest(raw)

    def manifest(self, repository: str, reference: str) -> bytes:
        kinds = [f"{OCI}{kind}.v1+json" for kind in ("manifest", "index")]
        kinds += [f"application/vnd.docker.distribution.manifest.{kind}.v2+json" for kind in ("list",)]
        kinds.append("application/vnd.docker.distribution.manifest.v2+json")
        return self.request("GET", f"/v2/{repository}/manifests/{reference}", headers={"Accept": ", ".join(kinds)}, expect=200)[2]

    def blob_file(self, blob: str) -> Path:
        """Where a blob lies on disk: tamper with it, or delete it."""
        value = blob.removeprefix("sha256:")
        return self.storage / f"docker/registry/v2/blobs/sha256/{value[:2]}/{value}/data"

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, expect: int = 0
    ) -> tuple[int, dict[str, str], bytes]:
        """One request as the first user; `expect` is the status that must come."""
        host, _, port = self.address.rpartition(":")
        connection: http.client.HTTPConnection = http.client.HTTPConnection(host, int(port), timeout=_PATIENCE)
        if self.certs:
            context = ssl.create_default_context(cafile=str(self.certs.ca))
            context.load_cert_chain(self.certs.client_dir / "client.cert", self.certs.client_dir / "client.key")
            connection = http.client.HTTPSConnection(host, int(port), timeout=_PATIENCE, context=context)
        try:
            connection.request(method, path, body, {**self._authorization(path), **(headers or {})})
            answer = connection.getresponse()
            data = answer.read()
            assert not expect or answer.status == expect, (method, path, answer.status, data)
            return answer.status, dict(answer.getheaders()), data
        finally:
            connection.close()

    def heard(self) -> list[str]:
        """The log with every request that was answered: the registry writes its line after the answer, which may be a moment later."""
        self._marks += 1
        mark = f"/mark-{self._marks}"
        self.request("GET", mark)
        deadline = time.monotonic() + _PATIENCE
        while not any(mark in line for line in self.log):
            assert time.monotonic() < deadline, "".join(self.log)
            time.sleep(0.01)
        return [line for line in self.log if "/mark-" not in line]

    def _authorization(self, path: str) -> dict[str, str]:
        if not path.startswith("/v2/"):
            return {}
        if self.tokens:
            repository = path.removeprefix("/v2/").rpartition("/manifests/" if "/manifests/" in path else "/blobs/")[0]
            return {"Authorization": f"Bearer {self.tokens.token(next(iter(self.users)), [f'repository:{repository}:pull,push,delete'])}"}
        return {"Authorization": "Basic " + base64.b64encode(self.creds.encode()).decode()} if self.users else {}


@contextmanager
def registry(
    directory: Path, *, tls: bool = False, users: Mapping[str, str] | None = None, tokens: bool = False, anonymous: bool = False,
    client_certificates: bool = False, seconds: int = 300,
) -> Iterator[Registry]:  # fmt: skip
    """Start one, stop it at the end. `users` without `tokens` means htpasswd; `anonymous` lets everybody pull with tokens;
    `client_certificates` asks for one that our CA signed; `seconds` is how long tokens live."""
    if not Path(BINARY).exists():
        pytest.skip("docker-registry not found: apt-get install docker-registry")
    directory.mkdir(parents=True, exist_ok=True)
    certs = certificates.make(directory / "tls") if tls or tokens or client_certificates else None
    with ExitStack() as stack:
        server = None
        if tokens:
            assert certs is not None
            own = (certs.cert, certs.key) if tls or client_certificates else None
            server = stack.enter_context(TokenServer(certs.cert, certs.key, users or {}, anonymous, seconds, own))
        made = Registry(directory, users or {}, certs if tls or client_certificates else None, server)
        file = directory / "config.yml"
        file.write_text(json.dumps(_configuration(made, client_certificates, certs)))  # JSON is YAML
        process = stack.enter_context(_running(file, made))
        try:
            yield made
        finally:
            process.terminate()


def _configuration(made: Registry, client: bool, certs: certificates.Certificates | None) -> dict[str, Any]:
    http_part: dict[str, Any] = {"addr": "127.0.0.1:0", "secret": "for tests", "debug": {}}
    if made.certs:
        http_part["tls"] = {"certificate": str(made.certs.cert), "key": str(made.certs.key)}
        if client:
            http_part["tls"]["clientcas"] = [str(made.certs.ca)]
    auth: dict[str, Any] = {}
    if made.tokens and certs:
        auth = {"token": {"realm": made.tokens.realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(certs.ca)}}
    elif made.users:
        path = made.directory / "htpasswd"
        path.write_text("".join(f"{name}:{_bcrypt(password)}\n" for name, password in made.users.items()))
        auth = {"htpasswd": {"realm": "tests", "path": str(path)}}
    return {
        "version": 0.1, "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(made.storage)}, "delete": {"enabled": True},
                    "maintenance": {"uploadpurging": {"enabled": False}}},
        "http": http_part, **({"auth": auth} if auth else {}),
    }  # fmt: skip


def _bcrypt(password: str) -> str:
    """docker-registry takes bcrypt only; libcrypt (Debian: essential) has it, cost 4 is the quickest."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    hashed: bytes = library.crypt(password.encode(), b"$2b$04$abcdefghijklmnopqrstuu")
    return hashed.decode()


@contextmanager
def _running(file: Path, made: Registry) -> Iterator[subprocess.Popen[str]]:
    ready = threading.Event()
    process = subprocess.Popen(
        [BINARY, "serve", str(file)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", env={"OTEL_TRACES_EXPORTER": "none", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip

    def watch() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            made.log.append(line)
            if not made.address and "listening on " in line:
                port = line.partition("listening on ")[2].partition('"')[0].partition(",")[0].strip().rpartition(":")[2]
                made.address = f"127.0.0.1:{port}"
                ready.set()
        ready.set()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        assert ready.wait(_PATIENCE) and made.address, "".join(made.log)
        yield process
    finally:
        process.terminate()
        process.wait(_PATIENCE)
        thread.join()
        assert process.stdout is not None
        process.stdout.close()


def skopeo() -> str:
    """Debian's skopeo, or skip."""
    found = shutil.which("skopeo")
    if found is None:
        pytest.skip("skopeo not found: apt-get install skopeo")
    return found
