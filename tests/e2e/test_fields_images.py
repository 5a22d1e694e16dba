"""Pods whose images come from a registry: pull policies, pull secrets, back-off, image volumes (DF2, RB4, CS11, VO12)."""

from __future__ import annotations

import json
import signal
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine.store.locks import Lock
from kubeplay.errors import RegistryError
from kubeplay.reconcile import images, pulls
from kubeplay.reconcile.model import Outcome
from kubeplay.reconcile.pod import reconcile
from tests.support.cli import Kubeplay, Said, installed
from tests.support.covers import covers
from tests.support.images import PATH_ENV, busybox_members, directory, file, layer
from tests.support.registry import Registry, registry
from tests.support.root import Root

pytestmark = pytest.mark.root
USERS = {"puller": "s3cret", "other": "0ther"}


@pytest.fixture(scope="module")
def base() -> bytes:
    return layer(busybox_members())


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, base: bytes) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("hub"), tls=True, users=USERS) as made:
        made.put_image("team/app", "1", [base], value={"Env": PATH_ENV})
        made.put_image("team/data", "1", [layer([directory("d"), file("d/f", b"from an image volume\n")])])
        yield made


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, hub: Registry) -> Iterator[Kubeplay]:
    for made in installed(tmp_path_factory.mktemp("kp")):
        home = made.directory / "home"
        certs = home / ".config/containers/certs.d" / hub.address
        certs.parent.mkdir(parents=True)
        assert hub.certs is not None
        certs.symlink_to(hub.certs.cert_dir)
        made.env["HOME"] = str(home)
        yield made


def secret(name: str, registry: str, user: str) -> str:
    entry = {"auth": b64encode(f"{user}:{USERS.get(user, 'wrong')}".encode()).decode()}
    data = b64encode(json.dumps({"auths": {registry: entry}}).encode()).decode()
    text = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: kubernetes.io/dockerconfigjson\n"
    return f"{text}data: {{.dockerconfigjson: {data}}}\n---\n"


def pod(image: str, *secrets: str, script: str = "echo up; sleep 1000", container: str = "", spec: str = "") -> str:
    names = ", ".join(f"{{name: {name}}}" for name in secrets)
    return f"""\
apiVersion: v1
kind: Pod
metadata: {{name: p}}
spec:
  terminationGracePeriodSeconds: 0
  imagePullSecrets: [{names}]
{spec}
  containers:
  - name: main
    image: "{image}"
    command: [sh, -c, "{script}"]
{container}
"""


def play(kp: Kubeplay, text: str, *flags: str, status: int | None = 0) -> Said:
    return kp("play", "kube", *flags, kp.file("p.yaml", text), status=status)


def down(kp: Kubeplay, text: str) -> None:
    kp("kube", "down", "--force", kp.file("p.yaml", text))
    kp("rmi", "-af", status=None)


def events(kp: Kubeplay) -> list[str]:
    found = [json.loads(line) for line in kp("events", "--format", "json").lines]
    return [f"{e['Reason']}: {e['Message']}" for e in found]


def waiting(kp: Kubeplay) -> dict[str, str]:
    found = kp("pod", "inspect", "p", "--format", "json").json
    state: dict[str, dict[str, str]] = (found[0] if isinstance(found, list) else found)["status"]["containerStatuses"][0]["state"]
    return state.get("waiting", {})


@covers("pod.imagePullSecrets[].name")
def test_the_right_one_of_several_pull_secrets_is_found(kp: Kubeplay, hub: Registry) -> None:
    image = hub.name("team/app", "1")
    text = secret("wrong", f"{hub.address}/team/app", "nobody") + secret("right", hub.address, "puller")
    text += pod(image, "wrong", "right", "none")
    said = play(kp, text)
    try:
        assert f"image {image}: pulling" in said.err and f"image {image}: pulled" in said.err
        found = events(kp)
        assert f'Pulling: Pulling image "{image}"' in found
        assert any(line.startswith(f'Pulled: Successfully pulled image "{image}" in ') for line in found)
        assert any(line.startswith("FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (none)") for line in found)
        assert "Nothing has changed" in play(kp, text).out
    finally:
        down(kp, text)


def test_without_credentials_nothing_is_made(kp: Kubeplay, hub: Registry) -> None:
    said = play(kp, pod(hub.name("team/app", "1")), status=125)
    assert f'container main: ErrImagePull: failed to pull image "{hub.name("team/app", "1")}"' in said.err
    assert kp("pod", "ps", "-q").out == "" == kp("images", "-q").out


def test_flags_of_the_play(kp: Kubeplay, hub: Registry, tmp_path: Path) -> None:
    assert hub.certs is not None
    text = pod(hub.name("team/app", "1"))
    kp.env["HOME"], home = str(tmp_path), kp.env["HOME"]  # no certs.d there
    try:
        assert "certificate" in play(kp, text, "--creds", "puller:s3cret", status=125).err
        play(kp, text, "--cert-dir", str(hub.certs.cert_dir), "--creds", "puller:s3cret")
        down(kp, text)
        authfile = tmp_path / "auth.json"
        authfile.write_text(json.dumps({"auths": {hub.address: {"auth": b64encode(b"other:0ther").decode()}}}))
        said = play(kp, text, "--tls-verify=false", "--authfile", str(authfile), "--quiet")
        assert "pulling" not in said.err
        down(kp, text)
        assert "there is no such auth file" in play(kp, text, "--authfile", "/none", status=125).err
        policy = tmp_path / "policy.json"
        policy.write_text('{"default": [{"type": "reject"}]}')
        said = play(kp, text, "--tls-verify=false", "--authfile", str(authfile), "--signature-policy", str(policy), status=125)
        assert "SignatureValidationFailed" in said.err
    finally:
        kp.env["HOME"] = home


@covers("container.imagePullPolicy")
def test_always_takes_the_new_image_and_its_default_falls_back(kp: Kubeplay, hub: Registry, base: bytes) -> None:
    image, login = hub.name("team/moving", "latest"), secret("s", hub.address, "puller")
    hub.put_image("team/moving", "latest", [base, layer([file("which", b"first")])], value={"Env": PATH_ENV})
    text = login + pod(image, "s", script="cat /which; sleep 1000")
    chosen = login + pod(image.replace("latest", "other"), "s", container="    imagePullPolicy: Always")
    play(kp, text)
    try:
        hub.put_image("team/moving", "latest", [base, layer([file("which", b"second")])], value={"Env": PATH_ENV})
        kp("kube", "down", kp.file("p.yaml", text))
        play(kp, text)
        kp.says("p-main", "second")
        kp("kube", "down", kp.file("p.yaml", text))
        kp("tag", image, hub.name("gone/app", "latest"), image.replace("latest", "other"))
        gone = login + pod(hub.name("gone/app"), "s", script="cat /which; sleep 1000")
        said = play(kp, gone)
        assert "not pulled, the local image is used" in said.err
        assert any(line.endswith("; the image that is present is used") for line in events(kp))
        kp("kube", "down", kp.file("p.yaml", gone))
        assert "ErrImagePull" in play(kp, chosen, status=125).err
    finally:
        down(kp, text)


def test_rb4_a_kept_pod_tries_again_by_itself(kp: Kubeplay, hub: Registry, base: bytes) -> None:
    image = hub.name("team/late", "1")
    text = secret("s", hub.address, "puller") + pod(image, "s")
    play(kp, text, "--keep-on-failure")
    try:
        why = waiting(kp)
        assert why["reason"] in ("ErrImagePull", "ImagePullBackOff") and image in why["message"]
        hub.put_image("team/late", "1", [base], value={"Env": PATH_ENV})
        kp("wait", "--condition=running", "p-main", timeout=300)
        found = events(kp)
        assert f'BackOff: Back-off pulling image "{image}"' in found and "Failed: Error: ImagePullBackOff" in found
        assert "Failed: Error: ErrImagePull" in found
    finally:
        down(kp, text)


def test_the_pods_lock_is_free_while_its_image_is_pulled(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pull may take minutes: the pod can be looked at and removed meanwhile."""
    entered, leave = threading.Event(), threading.Event()

    def refuses(*_: object) -> str:
        raise RegistryError("not today")

    def hangs(*_: object) -> str:
        entered.set()
        leave.wait(600)
        raise RegistryError("too late")

    monkeypatch.setattr(pulls, "bring", refuses)
    root.play(pod("registry.test/x:1"), keep_on_failure=True)
    uid, backoffs = root.uid("p"), root.engine.store.runtime.backoffs(root.uid("p"))
    assert {row.reason for row in backoffs.values()} == {"ErrImagePull"}
    for key in backoffs:
        root.engine.store.runtime.clear_backoff(uid, key)
    images.known.pop(root.engine)  # what this process knows of the first pull
    monkeypatch.setattr(pulls, "bring", hangs)
    outcomes: list[Outcome] = []
    worker = threading.Thread(target=lambda: outcomes.append(reconcile(root.engine, uid)))
    worker.start()
    try:
        assert entered.wait(300)
        lock = Lock(root.engine.paths.lock(uid))
        assert lock.try_take()
        lock.release()
        root.down(pod("registry.test/x:1"))
    finally:
        leave.set()
        worker.join()
    assert outcomes[0].gone and root.leaks() == []


@pytest.mark.parametrize("count", [1, 2])
def test_an_interrupt_ends_a_pull(kp: Kubeplay, count: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        image = f"127.0.0.1:{silent.getsockname()[1]}/x"
        text = "".join(pod(f"{image}{n}:1").replace("{name: p}", f"{{name: p{n}}}") + "---\n" for n in range(count))
        running = kp.start("play", "kube", kp.file("p.yaml", text))
        silent.settimeout(300)
        with silent.accept()[0]:
            running.send_signal(signal.SIGINT)
            _, said = running.communicate(timeout=45)  # less than a read of the registry may take
        assert running.returncode == 130 and "interrupted" in said
    assert kp("pod", "ps", "-q").out == ""


def test_pods_of_one_image_pull_it_once(kp: Kubeplay, hub: Registry) -> None:
    image = hub.name("team/app", "1")
    two = pod(image).replace("{name: p}", "{name: q}")
    text = pod(image) + "---\n" + two
    before = len(hub.heard())
    play(kp, text, "--creds", hub.creds)
    try:
        asked = [line for line in hub.heard()[before:] if "GET" in line and "/blobs/" in line and '" 200 ' in line]
        assert len(asked) <= 2, asked  # the layer and the configuration
    finally:
        down(kp, text)


@covers("volume.image.reference volume.image.pullPolicy")
def test_vo12_image_volumes_are_pulled(kp: Kubeplay, hub: Registry) -> None:
    volumes = "  volumes: [{name: v, image: {reference: %s, pullPolicy: %s}}]"
    more = "    volumeMounts: [{name: v, mountPath: /v}]"
    script = "cat /v/d/f; sleep 1000"
    login = secret("s", hub.address, "puller")
    text = login + pod(hub.name("team/app", "1"), "s", script=script, container=more, spec=volumes % (hub.name("team/data", "1"), "Always"))
    play(kp, text)
    kp.says("p-main", "from an image volume\n")
    down(kp, text)
    text = login + pod(hub.name("team/app", "1"), "s", script=script, container=more, spec=volumes % (hub.name("team/none", "1"), "Always"))
    assert f'volume v: ErrImagePull: failed to pull image "{hub.name("team/none", "1")}"' in play(kp, text, status=125).err
    play(kp, text, "--keep-on-failure")
    try:
        assert waiting(kp)["reason"] in ("ErrImagePull", "ImagePullBackOff")
    finally:
        down(kp, text)
