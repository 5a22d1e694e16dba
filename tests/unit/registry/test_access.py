"""Who gets our credentials, whom we believe, where we look."""

from __future__ import annotations

import base64
import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from kubeplay.engine.images import reference
from kubeplay.engine.images.descriptor import Descriptor
from kubeplay.engine.images.registry.access import Access
from kubeplay.engine.images.registry.conf import Location, Registries, Registry
from kubeplay.engine.images.registry.sink import RegistrySink
from kubeplay.engine.images.registry.source import RegistrySource
from kubeplay.errors import InvalidInput, NotFound, RegistryError, Unauthorized
from tests.support import certificates
from tests.support.cutting import cutting
from tests.support.hostile_registry import Hostile, Image, good, hostile, says
from tests.support.images import digest
from tests.unit.registry.asking import LAYER, NONE, ONCE, PLAIN, everything, layer, source


# credentials
def test_credentials_do_not_follow_a_redirect(bad: Hostile, image: Image) -> None:
    with hostile() as other:
        other.blobs = bad.blobs
        bad.on("GET /v2/", says(401, WWW_Authenticate='Basic realm="x"'))
        bad.on(f"GET .*{image.layers[0]}", says(307, Location=f"{other.url}/v2/cdn/blobs/{image.layers[0]}"))
        with source(bad, PLAIN._replace(creds="me:secret")) as there:
            there.manifest()
            assert everything(there, layer(image)) == LAYER
        assert all("authorization" in one.headers for one in bad.asked(".*/team/.*"))
        assert other.requests and not any("authorization" in one.headers for one in other.requests)


def test_another_host_that_asks_for_credentials_gets_none(bad: Hostile, image: Image) -> None:
    with hostile() as other:
        other.on(".*", says(401, WWW_Authenticate='Basic realm="give me"'))
        bad.on("GET /v2/", says(401, WWW_Authenticate='Basic realm="x"'))
        bad.on(f"GET .*{image.layers[0]}", says(307, Location=f"{other.url}/v2/cdn/blobs/{image.layers[0]}"))
        with source(bad, PLAIN._replace(creds="me:secret")) as there, pytest.raises(Unauthorized):
            there.manifest()
            everything(there, layer(image))
        assert not any("authorization" in one.headers for one in other.requests)


@pytest.mark.parametrize("where", ["GET /v2/", "GET .*/manifests/.*", "GET .*/blobs/.*"])
def test_another_host_does_not_choose_our_token_server(bad: Hostile, image: Image, where: str) -> None:
    """Who a redirect leads to names a realm of its own: the name and password are for the first host's realm only."""
    with hostile() as other:
        other.on("GET /token.*", says(200, b'{"token": "abc"}'))
        other.on(".*", says(401, WWW_Authenticate=challenge(f"{other.url}/token")))
        bad.on("GET /token.*", says(200, b'{"token": "abc"}'))
        bad.on(where, says(307, Location=f"{other.url}/v2/cdn"))
        bad.on("GET /v2/", says(401, WWW_Authenticate=challenge(f"{bad.url}/token")))
        with source(bad, ONCE._replace(creds="me:secret")) as there, contextlib.suppress(RegistryError):
            there.manifest()
            everything(there, layer(image))
        assert other.requests and not any("authorization" in one.headers for one in other.requests)
        assert not other.asked("GET /token.*")


def test_without_verification_passwords_stay_encrypted(bad: Hostile, tmp_path: Path) -> None:
    """--tls-verify=false, and the registry speaks TLS: its realm without TLS gets no password (anonymous tokens may come from it)."""
    with hostile(certificates.make(tmp_path)) as safe:
        image = safe.put_image("team/app", "1", [LAYER])
        bad.on("GET /token.*", says(200, b'{"token": "abc"}'))
        safe.on("GET /v2/", says(401, WWW_Authenticate=challenge(f"{bad.url}/token")))
        with source(safe, ONCE._replace(creds="me:secret")) as there, pytest.raises(RegistryError, match="not encrypted"):
            there.manifest()
        assert not bad.requests
        with source(safe, ONCE) as there:
            assert digest(there.manifest().raw) == image.manifest


def test_redirects_end(bad: Hostile, image: Image) -> None:
    bad.on(f"GET .*{image.layers[0]}", says(302, Location=f"/v2/team/app/blobs/{image.layers[0]}"))
    with source(bad) as there, pytest.raises(RegistryError, match="redirects more than 5 times"):
        everything(there, layer(image))


def challenge(realm: str, scope: str = "") -> str:
    return f'Bearer realm="{realm}",service="hub"' + (f',scope="{scope}"' if scope else "")


def tokens(bad: Hostile, token: str = "abc", seconds: int = 300) -> None:
    """`bad` wants `token`, and hands it out itself at /token."""
    bad.on("GET /token.*", says(200, json.dumps({"token": token, "expires_in": seconds}).encode()))

    def check(self: Any) -> None:
        if self.headers.get("Authorization") == f"Bearer {token}":
            return good(self)
        self.answer(401, b"", WWW_Authenticate=challenge(f"{bad.url}/token"))

    bad.on(".* /v2/.*", check)


def test_tokens_are_bought_once_per_scope(bad: Hostile, image: Image) -> None:
    tokens(bad)
    with source(bad, PLAIN._replace(creds="me:secret")) as there:
        there.manifest()
        assert everything(there, layer(image)) == LAYER
        there.digest()
    asked = bad.asked("GET /token.*")
    assert [one.path for one in asked] == ["/token?service=hub&scope=repository%3Ateam%2Fapp%3Apull&account=me"]
    assert asked[0].headers["authorization"] == "Basic " + base64.b64encode(b"me:secret").decode()
    assert not any("Basic" in one.headers.get("authorization", "") for one in bad.asked(".* /v2/.*"))


def test_a_token_the_registry_does_not_take_is_bought_anew(bad: Hostile, image: Image) -> None:
    tokens(bad)
    with source(bad) as there:
        there.manifest()
        more = says(401, WWW_Authenticate=challenge(f"{bad.url}/token", "more"))
        bad.on("GET .*/manifests/1", more, times=1, first=True)
        there.manifest()
    assert [one.path.rpartition("scope=")[2] for one in bad.asked("GET /token.*")] == ["repository%3Ateam%2Fapp%3Apull", "more"]


def test_an_identity_token_buys_tokens(bad: Hostile, image: Image, tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {bad.address: {"identitytoken": "refresh me"}}}))
    bad.on("POST /token", says(200, b'{"access_token": "abc"}'))
    tokens(bad)
    with source(bad, PLAIN._replace(authfile=str(tmp_path / "auth.json"))) as there:
        there.manifest()
    form = bad.asked("POST /token")[0].body
    assert b"grant_type=refresh_token" in form and b"refresh_token=refresh+me" in form


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{}", "holds no token"), (b"[" * 100_000, "holds no token"), (b'{"token": "a\\r\\nX: y"}', "holds no token"),
        (b" " * (2 << 20), "longer than"),
    ],
)  # fmt: skip
def test_hostile_tokens(bad: Hostile, body: bytes, words: str) -> None:
    bad.on("GET /token.*", says(200, body))
    bad.on("GET /v2/.*", says(401, WWW_Authenticate=challenge(f"{bad.url}/token")))
    with source(bad, ONCE) as there, pytest.raises(RegistryError, match=words):
        there.manifest()


def test_the_next_secret_is_tried(bad: Hostile, image: Image) -> None:
    right = "Basic " + base64.b64encode(b"right:2").decode()

    def check(self: Any) -> None:
        if self.headers.get("Authorization") == right:
            return good(self)
        self.answer(401, b"", WWW_Authenticate='Basic realm="x"')

    bad.on(".*", check)
    with source(bad, PLAIN._replace(auths=((bad.address, "wrong", "1"), (bad.address, "right", "2")))) as there:
        there.manifest()
    with source(bad, PLAIN._replace(auths=((bad.address, "wrong", "1"),))) as there, pytest.raises(Unauthorized) as caught:
        there.manifest()
    assert caught.value.hint == f"kubeplay login {bad.address}, or other --creds"


def test_a_repository_we_may_not_read_changes_nothing(bad: Hostile, image: Image) -> None:
    """Only some credentials may mount; those that work for the rest stay."""
    bad.on("GET /v2/", says(401, WWW_Authenticate='Basic realm="x"'))
    bad.on("POST .*mount=.*", says(403))
    auths = ((bad.address, "first", "1"), (bad.address, "second", "2"))
    mounts = {digest(b"x"): (f"{bad.address}/secret/app",)}
    with RegistrySink(reference.parse(f"{bad.address}/team/app:2"), PLAIN._replace(auths=auths), NONE, mounts=mounts) as there:
        assert not there.has(Descriptor("", digest(b"x"), 1))
        there.put_blob(Descriptor("", digest(b"x"), 1), io.BytesIO(b"x"))
    assert bad.requests[-1].headers["authorization"] == "Basic " + base64.b64encode(b"first:1").decode()
    assert len(bad.asked("POST .*mount=.*")) == 2


def test_what_is_no_registry(bad: Hostile) -> None:
    bad.on("GET /v2/", says(404))
    with source(bad) as there, pytest.raises(RegistryError, match="is no registry"):
        there.manifest()


# TLS
@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> certificates.Certificates:
    return certificates.make(tmp_path_factory.mktemp("tls"))


def test_tls_is_verified(certs: certificates.Certificates) -> None:
    with hostile(certs) as bad:
        bad.put_image("team/app", "1", [LAYER])
        with source(bad, Access(cert_dir=str(certs.cert_dir))) as there:
            there.manifest()
        with source(bad, Access()) as there, pytest.raises(RegistryError, match="CERTIFICATE_VERIFY_FAILED") as caught:
            there.manifest()
        assert "--cert-dir" in caught.value.hint
        with source(bad, PLAIN) as there:
            there.manifest()


def test_plain_http_only_when_it_is_allowed(bad: Hostile, image: Image) -> None:
    for access in (Access(), Access(tls_verify=True)):
        with source(bad, access) as there, pytest.raises(RegistryError, match="does not speak TLS") as caught:
            there.manifest()
        assert "--tls-verify=false" in caught.value.hint
    allowed = Registries(registries=(Registry(bad.address, bad.address, insecure=True),))
    name = reference.parse(f"{bad.address}/team/app:1")
    with RegistrySource(name, Access(), allowed) as there:
        there.manifest()
    with RegistrySource(name, Access(tls_verify=True), allowed) as there, pytest.raises(RegistryError):
        there.manifest()


def test_a_registry_with_tls_is_not_asked_without(certs: certificates.Certificates) -> None:
    with hostile(certs) as bad:
        bad.on("GET /v2/", says(503))
        with source(bad, ONCE) as there, pytest.raises(RegistryError, match="HTTP 503"):
            there.manifest()


def test_https_never_leads_to_http(certs: certificates.Certificates) -> None:
    access = Access(cert_dir=str(certs.cert_dir), creds="me:secret")
    with hostile(certs) as bad, hostile() as plain:
        image = bad.put_image("team/app", "1", [LAYER])
        bad.on(f"GET .*{image.layers[0]}", says(307, Location=f"{plain.url}/x"))
        with source(bad, access) as there, pytest.raises(RegistryError, match="not encrypted"):
            there.manifest()
            everything(there, layer(image))
        bad.on("GET /v2/", says(401, WWW_Authenticate=challenge(f"{plain.url}/token")))
        with source(bad, access) as there, pytest.raises(RegistryError, match="not encrypted"):
            there.manifest()
        assert not plain.requests


def test_a_host_where_nobody_listens_fails_at_once() -> None:
    with hostile() as gone:
        address = gone.address
    with RegistrySource(reference.parse(f"{address}/x:1"), Access(retry_delay=3600), NONE) as there:
        with pytest.raises(RegistryError, match="refused"):
            there.manifest()


@pytest.mark.parametrize(
    ("files", "words"), [({"a.cert": ""}, "no key"), ({"a.key": ""}, "no certificate"), ({"a.crt": "x"}, "cannot be used")]
)
def test_faults_of_cert_dir(tmp_path: Path, bad: Hostile, files: dict[str, str], words: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with source(bad, Access(cert_dir=str(tmp_path))) as there, pytest.raises(InvalidInput, match=words):
        there.manifest()
    with pytest.raises(InvalidInput, match="does not exist"), source(bad, Access(cert_dir="/absent")) as there:
        there.manifest()


def test_a_proxy_is_used(monkeypatch: pytest.MonkeyPatch, image: Image, bad: Hostile) -> None:
    """The fake serves as the proxy: it sees absolute URLs."""
    monkeypatch.setenv("HTTP_PROXY", f"http://us%65r:pw@{bad.address}")
    bad.on("GET http://registry.invalid/v2/", says(200))
    raw, media = bad.manifests["team/app", "1"]
    bad.on("GET http://registry.invalid/v2/team/app/manifests/1", says(200, raw, Content_Type=media))
    with RegistrySource(reference.parse("registry.invalid/team/app:1"), ONCE, NONE) as there:
        assert there.manifest().raw == raw
    assert bad.requests[-1].headers["proxy-authorization"] == "Basic " + base64.b64encode(b"user:pw").decode()


def test_https_goes_through_a_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certs = certificates.make(tmp_path / "tls", ("registry.invalid",))
    with hostile(certs) as bad, cutting(bad.address, 0, proxy=True) as wire:
        bad.put_image("team/app", "1", [LAYER])
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:pw@{wire.address}")
        with RegistrySource(reference.parse("registry.invalid/team/app:1"), Access(cert_dir=str(certs.cert_dir), retry=0), NONE) as there:
            assert there.manifest().raw
        assert wire.asked.startswith(b"CONNECT registry.invalid:443 ")
        assert b"Basic " + base64.b64encode(b"user:pw") in wire.asked
        assert "proxy-authorization" not in bad.requests[-1].headers


# mirrors
def test_mirrors_come_first_and_get_no_creds(bad: Hostile, image: Image) -> None:
    with hostile() as empty, hostile() as mirror:
        raw, media = bad.manifests["team/app", "1"]
        mirror.put_manifest("copy/app", "1", raw, media)
        mirror.blobs = bad.blobs
        mirror.on("GET /v2/", says(401, WWW_Authenticate='Basic realm="x"'))
        mirrors = (Location(f"{empty.address}/copy", True), Location(f"{mirror.address}/copy", True))
        config = Registries(registries=(Registry(f"{bad.address}/team", f"{bad.address}/team", True, mirrors=mirrors),))
        with RegistrySource(reference.parse(f"{bad.address}/team/app:1"), Access(creds="me:secret", retry=0), config) as there:
            there.manifest()
            assert everything(there, layer(image)) == LAYER
            assert there.scope == f"{bad.address}/team/app:1"
        assert not bad.requests and empty.asked("GET .*/manifests/1") and mirror.asked(f"GET .*{image.layers[0]}")
        assert not any("authorization" in one.headers for one in mirror.requests)
        mirror.manifests.clear()
        with RegistrySource(reference.parse(f"{bad.address}/team/app:9"), Access(retry=0), config) as there, pytest.raises(NotFound):
            there.manifest()
        assert bad.asked("GET .*/manifests/9")
