"""Trust against a real registry: what is signed comes in and its signatures with it, what is not is refused before a blob is read.

skopeo, where it is installed, is the other side: it accepts what we sign, and we what it signs.
"""

from __future__ import annotations

import gzip
import hashlib
import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kubeplay.config import Settings
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.images import platforms, reference, trust
from kubeplay.engine.images.copying import fetch, push, save
from kubeplay.engine.images.copying.pull import PullOptions
from kubeplay.engine.images.registry.access import Access
from kubeplay.engine.images.registry.source import RegistrySource
from kubeplay.engine.images.store import ImageStore
from kubeplay.engine.images.transports import location
from kubeplay.engine.images.trust import blobs, cosignkeys
from kubeplay.engine.store.db import Store
from kubeplay.errors import InvalidInput, KubeplayError, NotSupported, RegistryError, TrustError
from tests.support.images import docker_archive, file, layer
from tests.support.registry import OCI, Registry, registry, skopeo
from tests.support.trust import Gpg, b64, cosigned, gpg, simple

pytestmark = pytest.mark.root
LAYER, LATER = layer([file("a", b"one")]), layer([file("a", b"two")])
KEY = ec.generate_private_key(ec.SECP256R1())
PLAIN = Access(tls_verify=False)


class World:
    """A registry, a store and a home with a policy, registries.d and a GPG key."""

    def __init__(self, base: Path, hub: Registry, made: Gpg, key: str) -> None:
        self.base, self.hub, self.gpg, self.key = base, hub, made, key
        self.repo = f"{base.name.lower().replace('_', '-')}/web"  # one registry serves all tests
        self.config = base / "home/.config/containers"
        (self.config / "registries.d").mkdir(parents=True)
        self.store = Store(str(base / "root/state.db"))
        self.images = ImageStore(self.store, Paths(Settings(root=str(base / "root"), runroot=str(base / "run"))))
        self.where(f"lookaside: 'file://{base}/sigs'", "use-sigstore-attachments: true")
        self.policy({"type": "reject"})

    def name(self, tag: str = "1", kind: str = "") -> str:
        return self.hub.name(self.repo + kind, tag)

    def raw(self, digest: str) -> bytes:
        return self.hub.manifest(self.repo, digest)

    def where(self, *lines: str) -> None:
        (self.config / "registries.d/x.yaml").write_text("default-docker:\n" + "".join(f"  {line}\n" for line in lines))

    def policy(self, *asked: dict[str, Any], transport: str = "docker", scope: str = "") -> Path:
        value = {"default": [{"type": "reject"}], "transports": {transport: {scope or self.hub.address: list(asked)}}}
        (self.config / "policy.json").write_text(json.dumps(value))
        return self.config / "policy.json"

    def signed_by(self, **more: Any) -> dict[str, Any]:
        return {"type": "signedBy", "keyType": "GPGKeys", "keyData": b64(self.gpg.public(self.key)), **more}

    def sigstore(self, **more: Any) -> dict[str, Any]:
        return {"type": "sigstoreSigned", "keyData": b64(_public()), **more}

    def pull(self, name: str = "", **options: Any) -> str:
        return fetch.fetch(self.images, name or self.name(), PLAIN, PullOptions(**options))[0]

    def refused(self, name: str = "") -> str:
        """Pull and be refused: no blob of the image was read (attachments' are), nothing is stored. The reason."""
        before = len(self.hub.heard())
        with pytest.raises(TrustError) as caught:
            self.pull(name)
        read = [line for line in self.hub.heard()[before:] if "GET /v2/" in line and "/blobs/" in line]
        assert not [line for line in read if self.image_blobs & set(line.replace('"', " ").replace("/", " ").split())]
        assert not self.images.list()
        return str(caught.value)

    def put(self, tag: str = "1", content: bytes = LAYER) -> str:
        packed = gzip.compress(content, mtime=0)  # what is not packed would be on its way, and have another digest then
        digest = self.hub.put_image(self.repo, tag, [content], stored=[packed], media=f"{OCI}layer.v1.tar+gzip")
        manifest = json.loads(self.hub.manifest(self.repo, digest))
        self.image_blobs = {one["digest"] for one in (manifest["config"], *manifest["layers"])}
        return digest

    def attach(self, digest: str, *signatures: Any) -> None:
        put = {one.payload: self.hub.put_blob(self.repo, one.payload, blobs.COSIGN_PAYLOAD) for one in set(signatures)}
        layers = [{**put[one.payload], "annotations": dict(one.annotations)} for one in signatures]
        config = self.hub.put_blob(self.repo, b"{}", f"{OCI}config.v1+json")
        manifest = {"schemaVersion": 2, "mediaType": f"{OCI}manifest.v1+json", "config": config, "layers": layers}
        self.hub.put_manifest(self.repo, digest.replace(":", "-") + ".sig", manifest)

    def push(self, to: str, **options: Any) -> str:
        with save.sink(location.parse(to), PLAIN, self.images) as sink:
            return push.push(self.images, self.name(), sink, push.PushOptions(**options))


def _public() -> bytes:
    return KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, Gpg, str]]:
    base = tmp_path_factory.mktemp("g")
    with gpg(base / "h") as made, registry(base / "hub") as hub:
        yield hub, made, made.make("Release <release@team.example>")


@pytest.fixture
def world(tmp_path: Path, outside: tuple[Registry, Gpg, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GNUPGHOME", str(outside[1].home))
    found = World(tmp_path, *outside)
    try:
        yield found
    finally:
        found.store.close()


def test_what_is_not_signed_is_refused_before_a_blob_is_read(world: World) -> None:
    digest = world.put()
    assert "images from there are refused" in world.refused()
    world.policy(world.signed_by())
    message = world.refused()
    assert "a signature was required, but none exists for " + digest in message and f"file://{world.base}/sigs/{world.repo}@" in message
    world.policy(world.sigstore())
    assert "none exists" in world.refused()
    world.where("use-sigstore-attachments: false")
    assert "set use-sigstore-attachments: true" in world.refused()


def test_sigstore_attachments(world: World) -> None:
    digest = world.put()
    world.policy(world.sigstore())
    good = cosigned(KEY, world.name(), world.raw(digest))
    world.attach(digest, cosigned(ec.generate_private_key(ec.SECP256R1()), world.name(), world.raw(digest)))
    assert "not made by the policy's key" in world.refused()
    world.attach(digest, good._replace(payload=good.payload.replace(b'web:1"', b'web:2"')))
    assert "or its content was changed" in world.refused()
    world.attach(digest, good)
    assert world.pull() and world.images.rows.signatures(digest)


def test_a_moved_tag_and_a_replayed_image(world: World) -> None:
    digest = world.put()
    world.policy(world.sigstore())
    world.attach(digest, cosigned(KEY, world.name(), world.raw(digest)))
    world.hub.put_manifest(world.repo, "2", world.raw(digest))
    assert "not for '" + world.name("2") + "'" in world.refused(world.name("2"))
    world.put("1", LATER)
    assert "none exists for sha256:" in world.refused()
    assert world.pull(world.hub.name(world.repo) + f"@{digest}")


def test_a_changed_blob_of_a_signature(world: World) -> None:
    digest = world.put()
    world.policy(world.sigstore())
    good = cosigned(KEY, world.name(), world.raw(digest))
    world.attach(digest, good)
    world.hub.blob_file(f"sha256:{hashlib.sha256(good.payload).hexdigest()}").write_bytes(good.payload.replace(b"web", b"wab"))
    with pytest.raises(KubeplayError, match="digest"):
        world.pull()
    assert not world.images.list()


def test_too_many_and_too_large_attachments(world: World) -> None:
    digest = world.put()
    world.policy(world.sigstore())
    good = cosigned(KEY, world.name(), world.raw(digest))
    world.attach(digest, *[good] * (blobs.MAX_SIGNATURES + 1))
    assert "129 signatures" in world.refused()
    world.attach(digest, good._replace(payload=b" " * (blobs.MAX_SIGNATURE + 1)))
    assert "the limit is" in world.refused()
    index = {"schemaVersion": 2, "mediaType": f"{OCI}index.v1+json", "manifests": []}
    world.hub.put_manifest(world.repo, digest.replace(":", "-") + ".sig", index)
    assert "is an index" in world.refused()


def test_lookaside_in_a_directory(world: World) -> None:
    digest = world.put()
    world.policy(world.signed_by())
    place = world.base / f"sigs/{world.repo}@{digest.replace(':', '=')}"
    place.mkdir(parents=True)
    (place / "signature-1").write_bytes(simple(world.gpg, world.key, world.name("2"), world.raw(digest)).payload)
    assert "not for '" + world.name() + "'" in world.refused()
    (place / "signature-2").write_bytes(simple(world.gpg, world.key, world.name(), world.raw(digest)).payload)
    assert world.pull()
    assert len(world.images.rows.signatures(digest)) == 2


@contextmanager
def _web(answer: Any) -> Iterator[tuple[str, list[str]]]:
    """A web server; `answer(path)` gives status, headers and pieces of the body."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, headers, pieces = answer(self.path)
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            try:
                for piece in pieces:
                    self.wfile.write(piece)
            except OSError:
                pass  # they had enough

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/sigs", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_lookaside_on_a_web_server(world: World) -> None:
    digest = world.put()
    good = simple(world.gpg, world.key, world.name(), world.raw(digest)).payload
    world.policy(world.signed_by())
    there = f"/sigs/{world.repo}@{digest.replace(':', '=')}/signature-1"
    with _web(lambda path: (200, {}, [good]) if path == there else (404, {}, [])) as (url, asked):
        world.where(f"lookaside: '{url}'")
        assert world.pull() and asked == [there, there[:-1] + "2"]


def test_hostile_lookasides(world: World) -> None:
    digest = world.put()
    world.policy(world.signed_by())
    other = simple(world.gpg, world.key, world.name("2"), world.raw(digest)).payload

    def endless() -> Iterator[bytes]:
        while True:
            yield b"\x90" * 65536

    cases = {
        "signatures": lambda path: (200, {}, [other]),  # always one more
        "longer": lambda path: (200, {}, endless()),
        "500": lambda path: (500, {}, []),
        "redirect": lambda path: (302, {"Location": path}, []),
        "neither": lambda path: (200, {}, [b"<html>"]),
    }
    for reason, answer in cases.items():
        with _web(answer) as (url, asked):
            world.where(f"lookaside: '{url}'")
            with pytest.raises((TrustError, RegistryError, InvalidInput)) as caught:
                fetch.fetch(world.images, world.name(), PLAIN._replace(retry=0))
            assert len(asked) <= blobs.MAX_SIGNATURES + 1, reason
            assert str(caught.value) and not world.images.list()


def test_signing_what_is_pushed(world: World) -> None:
    digest = world.put()
    world.policy({"type": "insecureAcceptAnything"})
    world.pull()
    key = world.base / "cosign.key"
    key.write_bytes(cosignkeys.write(KEY, b"secret"))
    (world.base / "pass").write_text("secret\n")
    signers = trust.Signers(world.key, str(key), "", str(world.base / "pass"))
    with pytest.raises(TrustError, match="passphrase"):
        world.push(f"docker://{world.name('1', '-prod')}", signers=trust.Signers(sigstore_key=str(key)))
    assert world.hub.request("GET", f"/v2/{world.repo}-prod/manifests/1")[0] == 404, "a key that does not open leaves no image"
    assert world.push(f"docker://{world.name('1', '-prod')}", signers=signers) == digest
    world.images.remove(world.name())
    world.policy(world.signed_by(), world.sigstore())
    assert world.pull(world.name("1", "-prod"))
    assert {one.kind for one in world.images.rows.signatures(digest)} == {"simple", "sigstore"}
    world.images.tag(world.name("1", "-prod"), world.name())
    second = world.base / "second.key"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    second.write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    world.push(f"docker://{world.name('1', '-prod')}", signers=trust.Signers(sigstore_key=str(second)))
    attached = json.loads(world.hub.manifest(f"{world.repo}-prod", digest.replace(":", "-") + ".sig"))
    assert len(attached["layers"]) == 2, "the first signer's stays, and is there once"
    assert len(list((world.base / f"sigs/{world.repo}-prod@{digest.replace(':', '=')}").iterdir())) == 1
    world.where("use-sigstore-attachments: false")
    with pytest.raises(NotSupported, match="use-sigstore-attachments"):
        world.push(f"docker://{world.name('2', '-prod')}", signers=signers)
    world.where("lookaside: 'https://sigs.example'", "use-sigstore-attachments: true")
    with pytest.raises(NotSupported, match="lookaside-staging"):
        world.push(f"docker://{world.name('2', '-prod')}", signers=signers)
    assert world.hub.request("GET", f"/v2/{world.repo}-prod/manifests/2")[0] == 404, "nor does a place that takes no signatures"


def test_signatures_go_with_the_image_into_a_directory_and_back(world: World) -> None:
    digest = world.put()
    world.attach(digest, cosigned(KEY, world.name(), world.raw(digest)))
    world.policy(world.sigstore())
    world.pull()
    world.push(f"dir:{world.base}/out")
    world.images.remove(world.name())
    assert "default: images from there are refused" in world.refused(f"dir:{world.base}/out")
    exact = {"type": "exactReference", "dockerReference": world.name()}
    world.policy(world.sigstore(signedIdentity=exact), transport="dir", scope=str(world.base))
    assert world.pull(f"dir:{world.base}/out")
    world.images.remove(world.images.list()[0].row.id)
    manifest = world.base / "out/manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    assert "a signature of the digest" in world.refused(f"dir:{world.base}/out")


def test_archives_and_tars_ask_the_policy_of_their_transport(world: World) -> None:
    archive = docker_archive(world.base / "x.tar", ["quay.io/x:1"], [LAYER])
    tar = world.base / "root.tar"
    tar.write_bytes(LAYER)
    with pytest.raises(TrustError, match="default: images from there are refused"):
        world.images.load(str(archive))
    with pytest.raises(TrustError, match="default: images from there are refused"):
        world.images.import_tar(str(tar))
    assert not world.images.list() and not world.images.layers.collect(lambda: set())
    accept = {"": [{"type": "insecureAcceptAnything"}]}
    value = {"default": [{"type": "reject"}], "transports": {"docker-archive": accept, "tarball": accept}}
    (world.config / "policy.json").write_text(json.dumps(value))
    assert world.images.load(str(archive)) and world.images.import_tar(str(tar))
    given = world.base / "given.json"
    given.write_text('{"default": [{"type": "reject"}]}')
    with pytest.raises(TrustError, match="given.json"):
        world.images.load(str(archive), signature_policy=str(given))


def test_copying_from_one_registry_to_another_asks_too(world: World) -> None:
    """A manifest list's members may come straight from a registry: what is passed on under our name is asked about like what is pulled."""
    world.put()
    world.policy(world.sigstore())
    with RegistrySource(reference.parse(world.name()), PLAIN) as source, save.sink(location.parse(f"dir:{world.base}/out"), PLAIN) as sink:
        with pytest.raises(TrustError, match="a signature was required"):
            push.copy(world.images, source, sink)
    assert not (world.base / "out/manifest.json").exists()


def test_a_mirror_answers_for_the_name_that_was_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy is asked about quay.io's image, whoever serves it; a signature that names the mirror is one of another image."""
    digest = world.put()
    conf = world.base / "registries.conf"
    conf.write_text(f'[[registry]]\nlocation = "quay.io/team"\n[[registry.mirror]]\n'
                    f'location = "{world.hub.address}/{world.repo.rpartition("/")[0]}"\ninsecure = true\n')  # fmt: skip
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(conf))
    accept = {world.hub.address: [{"type": "insecureAcceptAnything"}], "quay.io/team": [world.sigstore()]}
    (world.config / "policy.json").write_text(json.dumps({"default": [{"type": "reject"}], "transports": {"docker": accept}}))
    world.attach(digest, cosigned(KEY, world.name(), world.raw(digest)))
    assert "not for 'quay.io/team/web:1'" in world.refused("quay.io/team/web:1")
    world.attach(digest, cosigned(KEY, "quay.io/team/web:1", world.raw(digest)))
    assert world.pull("quay.io/team/web:1")


def test_an_index_is_signed_or_its_member(world: World) -> None:
    member = world.put()
    raw = world.raw(member)
    platform = {"os": "linux", "architecture": "amd64"}
    entry = {"mediaType": f"{OCI}manifest.v1+json", "digest": member, "size": len(raw), "platform": platform}
    top = world.hub.put_manifest(world.repo, "1", {"schemaVersion": 2, "mediaType": f"{OCI}index.v1+json", "manifests": [entry]})
    world.policy(world.sigstore())
    wanted = platforms.wanted("linux/amd64")
    with pytest.raises(TrustError, match=f"none exists for {member}"):
        world.pull(platform=wanted)
    world.attach(member, cosigned(KEY, world.name(), raw))
    assert world.pull(platform=wanted)
    world.images.remove(world.name())
    world.hub.request("DELETE", f"/v2/{world.repo}/manifests/{_tag_digest(world, member)}", expect=202)
    world.attach(top, cosigned(KEY, world.name(), world.raw(top)))
    assert world.pull(platform=wanted)


def _tag_digest(world: World, digest: str) -> str:
    return f"sha256:{hashlib.sha256(world.raw(digest.replace(':', '-') + '.sig')).hexdigest()}"


def _skopeo(world: World, *argv: str) -> None:
    own = ["--policy", str(world.config / "policy.json"), "--registries.d", str(world.config / "registries.d")]
    command = [skopeo(), *own, "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", *argv]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_skopeo_accepts_what_we_sign_and_we_what_it_signs(world: World) -> None:
    """GPG's only: Debian builds skopeo and podman without sigstore."""
    digest = world.put()
    world.where(f"lookaside: 'file://{world.base}/sigs'")
    world.policy({"type": "insecureAcceptAnything"})
    mine, theirs = world.name("1", "-our"), world.name("1", "-their")
    world.pull()
    world.push(f"docker://{mine}", signers=trust.Signers(world.key))
    _skopeo(world, "--sign-by", world.key, f"docker://{world.name()}", f"docker://{theirs}")
    world.policy(world.signed_by())
    _skopeo(world, f"docker://{mine}", f"dir:{world.base}/ours")
    assert (world.base / "ours/signature-1").read_bytes()[0] >= 0x80
    world.images.remove(world.name())
    assert world.pull(theirs) and len(world.images.rows.signatures(digest)) == 1
    exact = {"type": "exactReference", "dockerReference": mine}
    world.policy(world.signed_by(signedIdentity=exact), transport="dir", scope=str(world.base))
    assert world.pull(f"dir:{world.base}/ours"), "signature files of containers/image"
