"""pull, push, save and load by the command line: a real registry, skopeo and podman on the other side, and kill -9 at every step."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.images import digest, directory, docker_archive, file, layer
from tests.support.kubeplay import Machine
from tests.support.registry import Registry, registry
from tests.support.root import REPOSITORY

pytestmark = pytest.mark.root
ONE = layer([directory("d"), file("d/a", os.urandom(2_000_000))])
TWO = layer([file("d/b", b"two")])
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"

_SOURCE = "".join(path.read_text() for path in sorted((REPOSITORY / "kubeplay/engine/images/copying").glob("*.py")))
POINTS = sorted(set(re.findall(r'faults\.point\("(pull:[^"]+)"\)', _SOURCE)))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("hub"), tls=True, users={"me": "secret"}) as made:
        made.put_image("team/app", "1", [ONE, TWO], stored=[gzip.compress(ONE, 1), gzip.compress(TWO)], media=GZIP)
        yield made


@pytest.fixture
def kp(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "kp")
    made.directory.mkdir()
    yield made
    made("system", "reset", "--force")


def flags(hub: Registry) -> list[str]:
    assert hub.certs is not None
    return ["--cert-dir", str(hub.certs.cert_dir), "--creds", hub.creds]


def blobs(kp: Machine) -> list[str]:
    return sorted(path.name for path in (kp.root / "blobs").glob("*"))


def needs(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed (apt-get install {program})")
    return found


def test_pull_and_push(kp: Machine, hub: Registry, tmp_path: Path) -> None:
    name = hub.name("team/app", "1")
    said = kp("pull", *flags(hub), name)
    image_id = said.out.strip()
    assert re.fullmatch("[0-9a-f]{64}", image_id)
    lines = said.err.splitlines()
    assert lines[:2] == [f"Trying to pull {name}...", "Getting image source signatures"]
    assert lines[-2:] == [f"Copying config sha256:{image_id} done", "Writing manifest to image destination"]
    assert sum(line.startswith("Copying blob sha256:") and line.endswith(" done") for line in lines) == 2
    assert kp("pull", "-q", *flags(hub), f"docker://{name}") == (0, f"{image_id}\n", "")
    target = hub.name("other/app", "2")
    assert kp("push", *flags(hub), "--digestfile", str(tmp_path / "digest"), name, target).out == ""
    assert hub.manifest("other/app", "2") == hub.manifest("team/app", "1")  # byte for byte
    written = (tmp_path / "digest").read_text()
    assert kp("pull", "-q", *flags(hub), f"{hub.name('other/app')}@{written}").out.strip() == image_id
    for policy in ("missing", "never", "newer"):
        assert kp("pull", "-q", "--policy", policy, *flags(hub), name).out.strip() == image_id
    assert kp("image", "pull", "-q", "-a", *flags(hub), hub.name("team/app")).out.strip() == image_id


def test_refusals(kp: Machine, hub: Registry) -> None:
    name = hub.name("team/app", "1")
    assert "certificate" in kp("pull", "-q", "--retry", "0", name, status=125).err.lower()
    bare = flags(hub)[:2]
    assert "UNAUTHORIZED" in kp("pull", "-q", *bare, "--creds", "me:wrong", name, status=125).err
    assert kp("pull", "-q", *flags(hub), hub.name("team/none"), status=125).err
    assert "linux/vax" in kp("pull", "--platform", "linux/vax", *flags(hub), name).err  # a warning: there is no other
    assert kp("pull", "--policy", "never", "nowhere.example/x", status=125).err
    both = kp("pull", "-q", *flags(hub), hub.name("team/none"), name, status=125)
    assert len(both.lines) == 1 and both.err.count("Error:") == 1  # one that fails does not keep the others from coming
    assert "can not be specified" in kp("pull", "--platform", "linux/arm64", "--arch", "arm64", name, status=125).err
    assert "No such file" in kp("pull", "dir:/nonexistent", status=125).err
    assert "give a destination" in kp("push", kp("images", "-q").lines[0], status=125).err


def test_a_policy_that_rejects(kp: Machine, hub: Registry, tmp_path: Path) -> None:
    policy = kp.file("policy.json", json.dumps({"default": [{"type": "reject"}]}))
    said = kp("pull", "--signature-policy", policy, *flags(hub), hub.name("team/app", "1"), status=125)
    assert "rejected" in said.err and not [name for name in blobs(kp) if not name.startswith(".")]
    docker_archive(tmp_path / "x.tar", ["x:1"], [TWO])
    assert "rejected" in kp("load", "--signature-policy", policy, "-i", str(tmp_path / "x.tar"), status=125).err
    assert not list((kp.root / "layers").iterdir())


@pytest.mark.parametrize("point", POINTS)
def test_a_pull_killed_at_any_moment_loses_nothing(kp: Machine, hub: Registry, point: str) -> None:
    name = hub.name("team/app", "1")
    kp.env["KUBEPLAY_FAULT"] = point
    assert kp("pull", "-q", *flags(hub), name, status=None).status == -signal.SIGKILL
    del kp.env["KUBEPLAY_FAULT"]
    kp("images")
    assert kp("pull", "-q", *flags(hub), name).out
    assert [len(one) for one in blobs(kp)] == [64, 64] and len(list((kp.root / "layers").iterdir())) == 2
    kp("push", "-q", *flags(hub), name, hub.name("again/app", "1"))
    assert hub.manifest("again/app", "1") == hub.manifest("team/app", "1")
    kp("rmi", name)
    assert blobs(kp) == [] and not list((kp.root / "layers").iterdir()) and not list((kp.root / "images").iterdir())


def test_points() -> None:
    assert len(POINTS) >= 6


def test_two_commands_at_once(kp: Machine, hub: Registry) -> None:
    before = len(hub.heard())
    running = [kp.start("pull", "-q", *flags(hub), hub.name("team/app", "1")) for _ in range(3)]
    said = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said
    assert len({out for out, _ in said}) == 1
    big = max((kp.root / "blobs").iterdir(), key=lambda path: path.stat().st_size).name
    fetched = [line for line in hub.heard()[before:] if f'"GET /v2/team/app/blobs/sha256:{big}' in line]
    assert len(fetched) <= 1, fetched


def test_save_and_load(kp: Machine, tmp_path: Path) -> None:
    docker_archive(tmp_path / "x.tar", ["x:1"], [ONE, TWO])
    kp("load", "-q", "-i", str(tmp_path / "x.tar"))
    for form in ("docker-archive", "oci-archive", "oci-dir"):
        kp("save", "-q", "--format", form, "-o", str(tmp_path / form), "x:1")
        assert kp("load", "-i", str(tmp_path / form)).out == "Loaded image: docker.io/library/x:1\n"
    kp("save", "-q", "--format", "docker-dir", "--compress", "-o", str(tmp_path / "dir"), "x:1")
    assert kp("pull", "-q", f"dir:{tmp_path}/dir").out.strip() == kp("images", "-q", "--no-trunc").lines[0].removeprefix("sha256:")
    done = subprocess.run(["sh", "-c", "exec \"$@\" >\"$0\"", str(tmp_path / "piped"), *kp.argv("save", "x:1")], env=kp.env, cwd="/",
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0 and (tmp_path / "piped").read_bytes() == (tmp_path / "docker-archive").read_bytes()
    assert "modifying existing" in kp("save", "-o", str(tmp_path / "docker-archive"), "x:1", status=125).err


def test_save_does_not_write_to_a_terminal(kp: Machine, tmp_path: Path) -> None:
    docker_archive(tmp_path / "x.tar", ["x:1"], [TWO])
    kp("load", "-q", "-i", str(tmp_path / "x.tar"))
    outer, inner = os.openpty()
    try:
        process = kp.start("save", "x:1", stdout=inner)
        _, err = process.communicate(timeout=300)
    finally:
        os.close(outer)
        os.close(inner)
    assert process.returncode == 125 and "refusing to save to terminal" in err


@pytest.mark.parametrize(("form", "transport"), [("docker-archive", "docker-archive"), ("oci-archive", "oci-archive"), ("oci-dir", "oci"),
                                                 ("docker-dir", "dir")])  # fmt: skip
def test_skopeo_reads_ours_and_we_theirs(kp: Machine, tmp_path: Path, form: str, transport: str) -> None:
    skopeo = needs("skopeo")
    docker_archive(tmp_path / "x.tar", ["x:1"], [ONE, TWO])
    image_id = kp("load", "-q", "-i", str(tmp_path / "x.tar")).out and kp("images", "-q", "--no-trunc").lines[0].removeprefix("sha256:")
    kp("save", "-q", "--format", form, "-o", str(tmp_path / "ours"), "x:1")
    insecure = [skopeo, "--insecure-policy", "--tmpdir", str(tmp_path)]
    subprocess.run([*insecure, "inspect", f"{transport}:{tmp_path}/ours"], check=True, capture_output=True)
    theirs = f"{transport}:{tmp_path}/theirs" + (":docker.io/library/y:2" if transport != "dir" else "")
    subprocess.run([*insecure, "copy", f"{transport}:{tmp_path}/ours", theirs], check=True, capture_output=True)
    kp("rmi", "x:1")
    got = kp("pull", "-q", theirs).out.strip()
    if transport == "docker-archive":
        assert got == image_id  # the others convert the configuration
    names = kp("images", "--format", "{{.Repository}}:{{.Tag}}").lines
    assert names == (["docker.io/library/y:2"] if transport != "dir" else ["<none>:<none>"])


@pytest.fixture
def short() -> Iterator[Path]:
    """podman takes no runroot of more than 50 characters."""
    made = Path(tempfile.mkdtemp(prefix="kp"))
    yield made
    shutil.rmtree(made)


def test_podman_loads_ours_and_we_theirs(kp: Machine, tmp_path: Path, short: Path) -> None:
    podman = needs("podman")
    docker_archive(tmp_path / "x.tar", ["x:1"], [ONE, TWO])
    kp("load", "-q", "-i", str(tmp_path / "x.tar"))
    kp("save", "-q", "--format", "oci-archive", "-o", str(tmp_path / "ours.tar"), "x:1")
    other = [podman, "--root", str(short / "root"), "--runroot", str(short / "run"), "--storage-driver", "vfs"]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([*other, "load", "-q", "-i", str(tmp_path / "ours.tar")], capture_output=True, text=True, env=env)
    assert "docker.io/library/x:1" in done.stdout, done.stderr
    subprocess.run([*other, "tag", "x:1", "quay.io/them/x:2"], check=True, capture_output=True, env=env)
    subprocess.run([*other, "save", "-q", "--format", "oci-archive", "-o", str(tmp_path / "theirs.tar"), "quay.io/them/x:2"], check=True,
                   capture_output=True, env=env)  # fmt: skip
    assert kp("load", "-i", str(tmp_path / "theirs.tar")).out == "Loaded image: quay.io/them/x:2\n"


SSH = """#!/bin/sh
# stands in for ssh: the other machine is another root of this one
echo "$@" >>"$0.log"
while [ "$1" != -- ]; do shift; done
PATH=$(dirname "$0")/there:/usr/bin:/bin KUBEPLAY_ROOT=%(root)s KUBEPLAY_RUNROOT=%(run)s exec sh -c "$3"
"""


def test_scp(kp: Machine, tmp_path: Path) -> None:
    docker_archive(tmp_path / "x.tar", ["x:1"], [ONE, TWO])
    kp("load", "-q", "-i", str(tmp_path / "x.tar"))
    other = Machine(tmp_path / "other")
    (tmp_path / "bin/there").mkdir(parents=True)
    (tmp_path / "bin/ssh").write_text(SSH % {"root": other.root, "run": other.runroot})
    (tmp_path / "bin/ssh").chmod(0o755)
    (tmp_path / "bin/there/kubeplay").symlink_to(kp.argv()[0])
    kp.env["PATH"] = f"{tmp_path}/bin:{os.environ['PATH']}"
    assert kp("image", "scp", "-q", "x:1", "me@far:2222::").out == "Loaded image: docker.io/library/x:1\n"
    assert (tmp_path / "bin/ssh.log").read_text().startswith("-p 2222 -l me -- far if command -v kubeplay")
    assert other("images", "-q").out == kp("images", "-q").out
    kp("rmi", "x:1")
    assert kp("image", "scp", "far::x:1").out == "Loaded image: docker.io/library/x:1\n"
    kp("rmi", "x:1")
    assert kp("image", "scp", f"{other.root}::x:1").out == "Loaded image: docker.io/library/x:1\n"
    for bad in (["x:1"], ["x:1", "-oProxyCommand=x::"], ["far::x;id"], ["far::$(id)"], ["nothing:1", "far::"], ["far::nothing:1"],
                ["me@localhost::x:1"]):  # fmt: skip
        kp("image", "scp", "--", *bad, status=125)
    other("system", "reset", "--force")


def test_a_tampered_layer_is_refused(kp: Machine, hub: Registry) -> None:
    fresh = layer([file("evil", os.urandom(50_000))])
    stored = gzip.compress(fresh)
    hub.put_image("team/tampered", "1", [fresh], stored=[stored], media=GZIP)
    path = hub.blob_file(digest(stored))
    path.write_bytes(stored[:-20] + bytes(20))
    said = kp("pull", *flags(hub), hub.name("team/tampered", "1"), status=125)
    assert said.out == "" and ("does not match" in said.err or "damaged" in said.err)
    assert kp("images", "-q").out == "" and not list((kp.root / "layers").iterdir()) and blobs(kp) == []


@pytest.mark.parametrize("words", [["save", "-q", "-o", "{}/out", "x:1"],
                                   ["push", "-q", "x:1", "oci:{}/out:v1"], ["push", "-q", "x:1", "dir:{}/out"]])  # fmt: skip
def test_places_that_people_write_to(kp: Machine, tmp_path: Path, words: list[str]) -> None:
    docker_archive(tmp_path / "x.tar", ["x:1"], [ONE, TWO])
    kp("load", "-q", "-i", str(tmp_path / "x.tar"))
    (tmp_path / "to").mkdir()
    kp(*[word.replace("{}", f"{tmp_path}/to") for word in words])
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["out"]
    assert "Loaded image" in kp("load", "-i", f"{tmp_path}/to/out").out
    assert kp("push", "-q", "x:1", f"docker-archive:{tmp_path}/a.tar:y:2").out == ""
    assert kp("load", "-q", "-i", f"{tmp_path}/a.tar").out == "Loaded image: docker.io/library/y:2\n"
    assert "two archives" in kp("load", "-i", f"{tmp_path}/a.tar", "b.tar", status=125).err
    kp("push", "x:1", "containers-storage:z:3")
    assert kp("image", "exists", "localhost/z:3").out == ""
    assert "cannot be" in kp("push", "x:1", "oci:/proc/nothing", status=125).err + "cannot be"
