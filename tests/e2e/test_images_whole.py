"""Where the issue ends: build, push with TLS and a login, wipe, play with pull secrets under a policy that asks for signatures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.cli import Kubeplay, installed
from tests.support.images import busybox_members, layer, oci_layout
from tests.support.pages import page
from tests.support.registry import Registry, registry, skopeo
from tests.support.trust import Gpg, gpg

pytestmark = pytest.mark.root
ROOT = Path(__file__).resolve().parents[2]
USERS = {"builder": "bu1lder", "puller": "s3cret"}
PORT = 18002
# The example's stack, from the registry, with a port of its own.
MANIFEST = (ROOT / "examples/manifests/11-build.yaml").read_text().replace("18001", str(PORT))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("hub"), tls=True, users=USERS) as made:
        yield made


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gpg]:
    if shutil.which("gpg") is None:
        pytest.skip("gpg not found: apt-get install gnupg")
    with gpg(tmp_path_factory.mktemp("keys") / "gnupg") as made:
        yield made


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, hub: Registry, keys: Gpg) -> Iterator[Kubeplay]:
    """A machine with the registry's certificate, a lookaside, and a policy that refuses whatever is not signed by Release."""
    for made in installed(tmp_path_factory.mktemp("kp")):
        config = made.directory / "home/.config/containers"
        (config / "certs.d").mkdir(parents=True)
        (config / "registries.d").mkdir()
        assert hub.certs is not None
        (config / "certs.d" / hub.address).symlink_to(hub.certs.cert_dir)
        (config / "registries.d/hub.yaml").write_text(f"docker: {{'{hub.address}': {{lookaside: 'file://{made.directory}/lookaside'}}}}\n")
        made.env |= {"HOME": str(made.directory / "home"), "GNUPGHOME": str(keys.home)}
        made.env["REGISTRY_AUTH_FILE"] = str(made.directory / "auth.json")
        yield made


@pytest.fixture(scope="module")
def pushed(kp: Kubeplay, hub: Registry, keys: Gpg) -> str:
    """The example's image, built, signed, pushed; the store is empty again and nobody is logged in. Its name."""
    context = kp.directory / "busybox"
    context.mkdir()
    shutil.copy(shutil.which("busybox") or "", context / "busybox")
    kp("build", "-q", "-t", "localhost/busybox:1", "-f", str(ROOT / "examples/images/busybox/Containerfile"), str(context))
    kp("build", "-q", "-t", "localhost/hello-page:1", str(ROOT / "examples/manifests/hello-page"))
    name = hub.name("examples/hello-page", "1")
    key = keys.make("Release <release@example.test>")
    assert "HTTP 401" in kp("push", "-q", "localhost/hello-page:1", f"docker://{name}", status=125).err
    kp("login", "-u", "builder", "--password-stdin", hub.address, stdin=USERS["builder"])
    kp("push", "-q", "--sign-by", key, "localhost/hello-page:1", f"docker://{name}")
    kp("push", "-q", "localhost/hello-page:1", f"docker://{hub.name('examples/unsigned', '1')}")
    kp("logout", hub.address)
    kp("rmi", "-af")
    config = kp.directory / "home/.config/containers"
    (config / "release.gpg").write_bytes(keys.public(key))
    signed = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": str(config / "release.gpg")}
    policy = {"default": [{"type": "reject"}], "transports": {"docker": {hub.address: [signed]}}}
    (config / "policy.json").write_text(json.dumps(policy))
    return name


def manifest(hub: Registry, image: str, secret: bool = True) -> str:
    entry = {"auth": b64encode(f"puller:{USERS['puller']}".encode()).decode()}
    data = b64encode(json.dumps({"auths": {f"https://{hub.address}": entry}}).encode()).decode()
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: hub}\ntype: kubernetes.io/dockerconfigjson\n"
    text += f"data: {{.dockerconfigjson: {data}}}\n---\n"
    spec = "spec:\n  terminationGracePeriodSeconds: 0\n" + ("  imagePullSecrets: [{name: hub}]\n" if secret else "")
    return (text if secret else "") + MANIFEST.replace("localhost/hello-page:1", image).replace("spec:\n", spec, 1)


def refused(kp: Kubeplay, text: str) -> str:
    """What a play says that makes nothing."""
    said = kp("play", "kube", kp.file("p.yaml", text), status=125)
    assert kp("pod", "ps", "-q").out == "" == kp("images", "-q").out
    return said.err


def test_built_pushed_wiped_and_played_under_a_policy(kp: Kubeplay, hub: Registry, pushed: str) -> None:
    file = kp.file("app.yaml", manifest(hub, pushed))
    kp("play", "kube", "--wait-ready", "--timeout", "60s", file)
    try:
        assert "built by play kube" in page(f"http://127.0.0.1:{PORT}/")
        found = json.loads(kp("images", "--format", "json").out)
        assert [name for one in found for name in one["Names"]] == [pushed]
    finally:
        kp("kube", "down", file)
        kp("rmi", "-af")


def test_without_the_secret_or_a_signature_nothing_runs(kp: Kubeplay, hub: Registry, pushed: str) -> None:
    assert "ErrImagePull" in refused(kp, manifest(hub, pushed, secret=False))
    said = refused(kp, manifest(hub, hub.name("examples/unsigned", "1")))
    assert "SignatureValidationFailed" in said and "signature" in said


def test_a_signature_that_was_changed_is_refused_with_the_reason(kp: Kubeplay, hub: Registry, pushed: str) -> None:
    (signature,) = list((kp.directory / "lookaside").rglob("signature-1"))
    right = signature.read_bytes()
    try:
        signature.write_bytes(right[:-3] + bytes([right[-3] ^ 1]) + right[-2:])
        said = refused(kp, manifest(hub, pushed))
        assert "SignatureValidationFailed" in said and pushed in said
    finally:
        signature.write_bytes(right)


def test_a_signed_image_under_another_name_is_refused(kp: Kubeplay, hub: Registry, pushed: str) -> None:
    raw = hub.manifest("examples/hello-page", "1")
    for blob in [json.loads(raw)["config"], *json.loads(raw)["layers"]]:
        hub.put_blob("examples/other", hub.blob_file(blob["digest"]).read_bytes(), blob["mediaType"])
    hub.put_manifest("examples/other", "1", raw)
    for path in (kp.directory / "lookaside").rglob("hello-page@*"):
        shutil.copytree(path, str(path).replace("hello-page@", "other@"))
    assert "SignatureValidationFailed" in refused(kp, manifest(hub, hub.name("examples/other", "1")))


@pytest.mark.parametrize(("what", "place", "reason"), [
    ("layer", 4, "match"), ("layer", -9, "damaged"), ("config", -9, "match"), ("manifest", -9, ""),
])  # fmt: skip
def test_bytes_that_were_changed_are_refused_with_the_reason(
    kp: Kubeplay, hub: Registry, pushed: str, what: str, place: int, reason: str
) -> None:
    """Byte 4 of a gzip stream is a time: the layer unpacks to what it should, and is refused all the same."""
    raw = json.loads(hub.manifest("examples/hello-page", "1"))
    top = (hub.storage / "docker/registry/v2/repositories/examples/hello-page/_manifests/tags/1/current/link").read_text()
    digest = {"layer": raw["layers"][-1]["digest"], "config": raw["config"]["digest"], "manifest": top}[what]
    path = hub.blob_file(digest)
    right = path.read_bytes()
    try:
        changed = bytearray(right)
        changed[place] ^= 1
        path.write_bytes(changed)
        said = refused(kp, manifest(hub, pushed))
        assert ("ErrImagePull" in said or "SignatureValidationFailed" in said) and reason in said
    finally:
        path.write_bytes(right)


# other tools
@pytest.fixture
def podman() -> Iterator[Callable[..., str]]:
    """Debian's podman with a store of its own, or skip; it takes no path longer than 50 characters."""
    if shutil.which("podman") is None:
        pytest.skip("podman not found: apt-get install podman")
    with tempfile.TemporaryDirectory(prefix="kp-podman-") as where:
        config = Path(where, "containers.conf")
        config.write_text('[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n')
        command = ["podman", "--root", f"{where}/root", "--runroot", f"{where}/run", "--storage-driver", "vfs"]

        def run(*argv: str) -> str:
            done = subprocess.run([*command, *argv], capture_output=True, text=True, env={**os.environ, "CONTAINERS_CONF": str(config)})
            assert done.returncode == 0, done.stderr
            return done.stdout

        yield run
        run("rmi", "-af")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubeplay]:
    for made in installed(tmp_path_factory.mktemp("plain")):
        made.image("localhost/bb:1", 'CMD ["sh"]')
        yield made


def test_our_oci_layout_is_read_by_skopeo_and_podman(plain: Kubeplay, podman: Callable[..., str], tmp_path: Path) -> None:
    layout, archive = tmp_path / "layout", tmp_path / "bb.tar"
    plain("save", "-q", "--format", "oci-dir", "-o", str(layout), "localhost/bb:1")
    plain("save", "-q", "--format", "oci-archive", "-o", str(archive), "localhost/bb:1")
    for source in (f"oci:{layout}", f"oci-archive:{archive}"):
        found = json.loads(subprocess.run([skopeo(), "inspect", "--config", source], capture_output=True, check=True).stdout)
        assert found["config"]["Cmd"] == ["sh"] and len(found["rootfs"]["diff_ids"]) == 1
        skopeo_copy = tmp_path / f"copied-{Path(source).name}"
        subprocess.run([skopeo(), "copy", "-q", source, f"dir:{skopeo_copy}"], check=True)  # every digest is checked
    assert "localhost/bb:1" in podman("load", "-q", "-i", str(archive))
    own = plain("images", "-q", "--no-trunc", "localhost/bb:1").out.strip()
    assert podman("images", "-q", "--no-trunc").strip() == own


def test_their_oci_layouts_are_read_by_us(plain: Kubeplay, podman: Callable[..., str], tmp_path: Path) -> None:
    data = layer(busybox_members())
    mine = oci_layout(tmp_path / "mine", "docker.io/library/theirs:1", [data], {"Cmd": ["id"]})
    theirs, archive = tmp_path / "skopeo", tmp_path / "podman.tar"
    copy = [skopeo(), "copy", "-q", f"oci:{mine}:docker.io/library/theirs:1"]
    subprocess.run([*copy, f"oci:{theirs}:localhost/skopeo:1"], check=True)
    subprocess.run([*copy, f"docker-archive:{tmp_path}/d.tar:localhost/podman:1"], check=True)
    podman("load", "-q", "-i", f"{tmp_path}/d.tar")
    podman("save", "-q", "--format", "oci-archive", "-o", str(archive), "localhost/podman:1")
    for path, name in ((theirs, "localhost/skopeo:1"), (archive, "localhost/podman:1")):
        assert name in plain("load", "-i", str(path)).out
        assert json.loads(plain("inspect", "--type", "image", name).out)[0]["Config"]["Cmd"] == ["id"]
