"""Hostile images run for real: what an image says or holds never reaches the host nor chooses how it is confined."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import images
from tests.support.hostile_registry import hostile, says
from tests.support.images import Member, directory, file, symlink
from tests.support.kubeplay import Machine, playing
from tests.support.seen import seen

pytestmark = pytest.mark.root
RUN: dict[str, Any] = {"Env": ["PATH=/bin"], "Cmd": ["sleep", "1000"]}
HOSTILE_LABELS = {
    "io.podman.annotations.checkpoint.runtime.name": "runc", "io.podman.annotations.privileged": "TRUE",
    "io.podman.annotations.seccomp": "unconfined", "run.oci.handler": "krun", "org.systemd.property.ExecStart": "x",
    "io.containers.autoupdate": "registry", "cdi.k8s.io/x": "vendor.com/device=all",
}  # fmt: skip


def archives(where: Path, victim: Path) -> dict[str, Path]:
    base = images.busybox_members()

    def made(name: str, value: dict[str, Any], *more: Member, without: str = "") -> None:
        members = [*(m for m in base if m.name != without), *more]
        found[name] = images.docker_archive(where / f"{name}.tar", [f"docker.io/library/{name}:1"], [images.layer(members)], RUN | value)

    found: dict[str, Path] = {}
    up = "/../../../../../../../.."
    made("plain", {})
    made("devlink", {}, symlink("dev", str(victim)), without="dev")
    made("devup", {}, symlink("dev", up + str(victim)), without="dev")
    made("proclink", {}, symlink("proc", str(victim)), without="proc")
    made("procfake", {}, directory("fake"), symlink("proc", "/fake"), without="proc")
    made("syslink", {}, symlink("sys", str(victim)), without="sys")
    made("fileslink", {}, symlink("etc/hosts", f"{up}{victim}/hosts"), symlink("etc/resolv.conf", f"{victim}/resolv.conf"))
    made("workdir", {"WorkingDir": "/wd/made/here"}, symlink("wd", str(victim)))
    made("workup", {"WorkingDir": "/wd/made/here"}, symlink("wd", up + str(victim)))
    made("workfd", {"WorkingDir": "/proc/self/fd/7"})
    made("worklink", {"WorkingDir": "/wd"}, symlink("wd", "/proc/self/fd/7"))
    made("volumes", {"Volumes": {f"{up}{victim}/made": {}, "/..": {}}})
    made("env", {"Env": ["PATH=/bin", "HOST_SECRET", "*", "HOST_*", "=x"]})
    made("uids", {"User": "app"}, file("etc/passwd", b"app:x:4294967296:0:::\napp:x:-1:0:::\n"), without="etc/passwd")
    made("labels", {"Labels": HOSTILE_LABELS})
    return found


def pod(name: str) -> str:
    return f"""---
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 0
  enableServiceLinks: false
  containers: [{{name: main, image: "{name}:1"}}]
"""


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of the host that every image here aims at."""
    made = tmp_path_factory.mktemp("victim")
    (made / "hosts").write_text("the host's\n")
    return made


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, victim: Path) -> Iterator[Machine]:
    found = archives(tmp_path_factory.mktemp("hostile"), victim)
    with playing(tmp_path_factory.mktemp("images"), found, images=found) as machine:
        machine.env["HOST_SECRET"] = "of-the-host"
        print(machine.play("".join(map(pod, found)), "--keep-on-failure", status=None))
        yield machine


def config(kp: Machine, name: str) -> dict[str, Any]:
    path = kp.runroot / "containers" / kp.inspect(name)["Id"] / "config.json"
    found: dict[str, Any] = json.loads(seen(path.read_text))
    return found


def runs(kp: Machine, name: str) -> bool:
    return "running" in kp.status(name)["state"]


def test_no_image_left_anything_on_the_host(kp: Machine, victim: Path) -> None:
    """The fixture has created a container of every image."""
    assert [(p.name, p.read_text()) for p in victim.iterdir()] == [("hosts", "the host's\n")]


@pytest.mark.parametrize("name", ["devlink", "devup"])
def test_ghsa_xjvp_4fhw_gc47_dev_as_a_link_stays_inside(kp: Machine, victim: Path, name: str) -> None:
    assert runs(kp, name) and not (victim / "ptmx").is_symlink()
    assert kp.sh(name, "echo x > /dev/null && readlink /dev/stdin && test -c /dev/null && echo inside") == "/proc/self/fd/0\ninside"


@pytest.mark.parametrize("name", ["proclink", "procfake", "syslink"])
def test_cve_2023_27561_proc_and_sys_as_links_are_refused(kp: Machine, name: str) -> None:
    assert not runs(kp, name)


def test_hosts_and_resolv_conf_as_links_stay_inside(kp: Machine, victim: Path) -> None:
    assert kp.sh("fileslink", "cat /etc/hosts").endswith("\tfileslink")
    assert (victim / "hosts").read_text() == "the host's\n" and not (victim / "resolv.conf").exists()


@pytest.mark.parametrize("name", ["workdir", "workup"])
def test_cve_2026_55686_workdir_through_a_link_makes_nothing_outside(kp: Machine, victim: Path, name: str) -> None:
    assert not (victim / "made").exists() and not runs(kp, name)


@pytest.mark.parametrize("name", ["workfd", "worklink"])
def test_cve_2024_21626_workdir_of_an_image_in_a_descriptor(kp: Machine, name: str) -> None:
    assert not runs(kp, name)


def test_cve_2024_21626_exec_in_a_descriptor(kp: Machine) -> None:
    for number in range(3, 12):
        said = kp("exec", "-w", f"/proc/self/fd/{number}", "plain", "ls", "-a", "..", "../..", status=None)
        assert said.status != 0 and "lib64" not in said.out  # the host has one, the image has not


def test_cve_2022_23648_volumes_of_an_image_are_not_made_outside(kp: Machine, victim: Path) -> None:
    assert runs(kp, "volumes") and not (victim / "made").exists()
    assert config(kp, "volumes")["mounts"][6:] != [] and not any(".." in m["destination"] for m in config(kp, "volumes")["mounts"])


def test_cve_2026_57231_an_image_imports_no_variable_of_the_host(kp: Machine) -> None:
    environment = [e for e in Path(f"/proc/{kp.pid('env')}/environ").read_text().split("\0") if e and not e.startswith("KUBERNETES_")]
    assert sorted(environment) == ["HOME=/root", "HOSTNAME=env", "PATH=/bin"]


def test_cve_2024_40635_uids_that_wrap_are_refused(kp: Machine) -> None:
    waiting = kp.status("uids")["state"]["waiting"]
    assert waiting["reason"] == "CreateContainerError" and "unable to find user app" in waiting["message"]


def test_cve_2026_94603_labels_of_an_image_change_nothing(kp: Machine) -> None:
    with_labels, without = config(kp, "labels"), config(kp, "plain")
    assert with_labels["annotations"] == {} and "hooks" not in with_labels
    for part in ("args", "user", "capabilities", "noNewPrivileges", "rlimits", "cwd"):
        assert with_labels["process"][part] == without["process"][part]
    for part in ("seccomp", "maskedPaths", "readonlyPaths", "resources"):  # the last is not there without control groups
        assert with_labels["linux"].get(part) == without["linux"].get(part)
    assert "seccomp" in without["linux"] and without["linux"]["maskedPaths"]
    assert [n["type"] for n in with_labels["linux"]["namespaces"]] == [n["type"] for n in without["linux"]["namespaces"]]


@pytest.fixture
def refusing(kp: Machine, tmp_path: Path) -> Iterator[Machine]:
    """The machine with a trust policy that lets nothing in."""
    before = dict(kp.env)
    (tmp_path / "home/.config/containers").mkdir(parents=True)
    (tmp_path / "home/.config/containers/policy.json").write_text(json.dumps({"default": [{"type": "reject"}]}))
    kp.env["HOME"] = str(tmp_path / "home")
    yield kp
    kp.env.clear()
    kp.env.update(before)


def test_every_door_asks_the_trust_policy(refusing: Machine, tmp_path: Path) -> None:
    """Before a single layer is asked for, let alone unpacked: pull, play (containers, image volumes), build, load, import, lists."""
    data = images.layer([directory("new"), file("new/file", b"never seen before")])
    archive, tar = images.docker_archive(tmp_path / "new.tar", ["localhost/new:1"], [data]), tmp_path / "root.tar"
    tar.write_bytes(data)
    before = sorted(path.name for path in (refusing.root / "layers").iterdir())
    with hostile() as hub:
        image = hub.put_image("team/app", "1", [data])
        hub.on("GET /v2/team/app/tags/list.*", says(200, b'{"name": "team/app", "tags": ["1"]}'))
        repository, flags = f"{hub.address}/team/app", ("--tls-verify=false",)
        name, digest = f"{repository}:1", f"{repository}@{image.manifest}"
        doors: list[tuple[str, ...]] = [("pull", *flags, text) for text in (name, digest, f"docker://{name}", f"docker-archive:{archive}")]
        doors += [("pull", "-a", *flags, repository), ("load", "-i", str(archive)), ("import", str(tar), "localhost/root:1")]
        texts = (
            f"FROM {name}\n", f"FROM {digest}\n", f"FROM plain:1\nCOPY --from={name} /new /new\n",
            f"FROM plain:1\nRUN --mount=type=bind,from={digest},target=/m true\n", f"ARG X={name}\nFROM ${{X}} AS one\nRUN true\n",
        )  # fmt: skip
        (tmp_path / "context").mkdir()
        for number, text in enumerate(texts):
            (tmp_path / f"Containerfile{number}").write_text(text)
            doors.append(("build", *flags, "-f", str(tmp_path / f"Containerfile{number}"), str(tmp_path / "context")))
        for door in doors:
            said = refusing(*door, status=None)
            assert said.status != 0 and "rejected" in said.err, (door, said)
        mount = f"volumeMounts: [{{name: v, mountPath: /v}}]}}]\n  volumes: [{{name: v, image: {{reference: '{digest}'}}}}]"
        for text in (pod("door").replace("door:1", name), pod("door").replace("door:1", "plain:1").replace("}]", f", {mount}")):
            said = refusing.play(text, *flags, status=None)
            assert said.status != 0 and "rejected" in said.out + said.err, said
            refusing.down(text)
        refusing("manifest", "create", "localhost/list:1")
        refusing("manifest", "add", *flags, "localhost/list:1", name)
        said = refusing("manifest", "push", "--all", *flags, "localhost/list:1", f"dir:{tmp_path / 'out'}", status=None)
        assert said.status != 0 and "rejected" in said.err, said
        refusing("manifest", "rm", "localhost/list:1")
        assert not hub.asked(f".*/blobs/{image.layers[0]}")
    assert sorted(path.name for path in (refusing.root / "layers").iterdir()) == before
