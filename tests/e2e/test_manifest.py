"""Manifest lists: edited, resolved for this machine, pushed to a real registry and read by others."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine.images import platforms
from tests.support import images as make
from tests.support.cli import Kubeplay, installed
from tests.support.registry import Registry, registry

pytestmark = pytest.mark.root

HERE = platforms.architecture()
OTHER = "arm64" if HERE != "arm64" else "amd64"
LAYERS = {HERE: make.layer([make.file("here", b"1")]), OTHER: make.layer([make.file("there", b"2")])}
PLAIN = "--tls-verify=false"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubeplay]:
    yield from installed(tmp_path_factory.mktemp("kp"))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("hub")) as made:
        yield made


@pytest.fixture
def kp(machine: Kubeplay, tmp_path: Path) -> Iterator[Kubeplay]:
    """Images one:1 for this machine and two:1 for another."""
    for name, arch in (("one", HERE), ("two", OTHER)):
        blob = make.config([LAYERS[arch]], {}, architecture=arch)
        machine("load", "-qi", str(make.docker_archive(tmp_path / f"{name}.tar", [f"localhost/{name}:1"], [LAYERS[arch]], blob=blob)))
    yield machine
    machine("rmi", "-af")
    assert machine("images", "-q").out == ""


def shown(kp: Kubeplay, name: str = "both") -> dict[str, object]:
    value: dict[str, object] = kp("manifest", "inspect", name).json
    return value


def test_editing(kp: Kubeplay) -> None:
    made = kp("manifest", "create", "both").out.strip()
    assert len(made) == 64 and kp("manifest", "exists", "both").status == 0 and kp("manifest", "exists", "one:1", status=1).err == ""
    assert "taken" in kp("manifest", "create", "both", status=125).err and "taken" in kp("manifest", "create", "one:1", status=125).err
    assert kp("manifest", "add", "both", "one:1", "two:1").out.strip() == made
    value = shown(kp)
    assert value["mediaType"] == "application/vnd.docker.distribution.manifest.list.v2+json"
    items = value["manifests"]
    assert isinstance(items, list) and [item["platform"] for item in items] == [{"architecture": a, "os": "linux"} for a in (HERE, OTHER)]
    kp("manifest", "annotate", "both", "two:1", "--variant", "v8", "--os-version", "9", "--annotation", "k=v", "--os-features", "a,b")
    kp("manifest", "annotate", "--index", "both", "--annotation", "of=index")
    value = shown(kp)
    items = value["manifests"]
    assert value["mediaType"] == "application/vnd.oci.image.index.v1+json" and value["annotations"] == {"of": "index"}
    assert isinstance(items, list) and items[1]["annotations"] == {"k": "v"}
    assert items[1]["platform"] == {"architecture": OTHER, "os": "linux", "variant": "v8", "os.version": "9", "os.features": ["a", "b"]}
    kp("manifest", "remove", "both", items[0]["digest"])
    assert len(kp("manifest", "inspect", made[:12]).json["manifests"]) == 1
    assert kp("manifest", "remove", "both", items[0]["digest"], status=125).err
    assert (
        kp("manifest", "create", "--amend", "both", "one:1").out.strip() == made
        and len(kp("manifest", "inspect", "both").json["manifests"]) == 2
    )
    assert kp("manifest", "rm", "both").lines == ["Untagged: localhost/both:latest", f"Deleted: {made}"]
    assert kp("manifest", "rm", "both", status=1).err and kp("manifest", "rm", "-i", "both").err == ""


def test_a_list_is_a_name_for_the_image_of_this_machine(kp: Kubeplay, tmp_path: Path) -> None:
    kp("manifest", "create", "both", "two:1", "one:1")
    one = kp("image", "inspect", "one:1").json[0]["Id"]
    assert kp("image", "inspect", "both").json[0]["Id"] == one
    assert kp("images", "--filter", "manifest=true", "--format", "{{.Repository}}").lines == ["localhost/both"]
    kp("tag", "both", "again")
    assert kp("rmi", "again").lines == ["Untagged: localhost/again:latest"] and kp("manifest", "exists", "both").status == 0
    kp("untag", "one:1")
    assert kp("image", "prune", "-af").lines == [] or one not in kp("image", "prune", "-af").out  # members are needed to push
    assert kp("image", "inspect", "both").json[0]["Id"] == one
    assert kp("rmi", "both").lines[0] == "Untagged: localhost/both:latest"


@pytest.mark.parametrize("form", ["", "oci"])
def test_pushed_with_its_members(kp: Kubeplay, hub: Registry, tmp_path: Path, form: str) -> None:
    kp("manifest", "create", "both", "one:1", "two:1")
    words = ["--format", form] if form else []
    kp(
        "manifest",
        "push",
        "--rm",
        *words,
        PLAIN,
        "--digestfile",
        str(tmp_path / "digest"),
        "both",
        f"docker://{hub.name('team/both', '1')}",
    )
    assert kp("manifest", "exists", "both", status=1).out == ""
    raw = hub.manifest("team/both", "1")
    assert make.digest(raw) == (tmp_path / "digest").read_text()
    kinds = {item["platform"]["architecture"]: item["digest"] for item in json.loads(raw)["manifests"]}
    assert set(kinds) == {HERE, OTHER} and all(json.loads(hub.manifest("team/both", digest))["layers"] for digest in kinds.values())
    kp("rmi", "-af")
    kp("pull", "-q", PLAIN, hub.name("team/both", "1"))
    assert kp("image", "diff", hub.name("team/both", "1")).lines == ["A /here"]


def test_members_of_a_registry(kp: Kubeplay, hub: Registry) -> None:
    hub.put_image("far/app", "1", [LAYERS[HERE]], docker=True)
    kp("manifest", "create", "mixed", "two:1")
    kp("manifest", "add", PLAIN, "mixed", f"docker://{hub.name('far/app', '1')}")
    kp("manifest", "push", PLAIN, "mixed", f"docker://{hub.name('team/mixed', '1')}")
    assert len(json.loads(hub.manifest("team/mixed", "1"))["manifests"]) == 2
    kp("manifest", "create", PLAIN, "--all", "copied", f"docker://{hub.name('team/mixed', '1')}")
    kp("manifest", "create", PLAIN, "--all", "local", "mixed")
    assert len(kp("manifest", "inspect", "copied").json["manifests"]) == len(kp("manifest", "inspect", "local").json["manifests"]) == 2
    kp("manifest", "create", PLAIN, "chosen", f"docker://{hub.name('team/mixed', '1')}")
    assert [i["platform"]["architecture"] for i in kp("manifest", "inspect", "chosen").json["manifests"]] in ([HERE], ["amd64"])
    assert kp("manifest", "inspect", PLAIN, f"docker://{hub.name('team/mixed', '1')}").json == json.loads(hub.manifest("team/mixed", "1"))
    skopeo = subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{hub.name('team/mixed', '1')}"], capture_output=True
    )
    assert skopeo.returncode == 0 and json.loads(skopeo.stdout) == json.loads(hub.manifest("team/mixed", "1"))


def test_a_member_that_is_gone_is_told_before_anything_is_pushed(kp: Kubeplay, hub: Registry) -> None:
    kp("manifest", "create", "both", "two:1")
    kp("rmi", "-f", "two:1")
    assert "not stored any more" in kp("manifest", "push", PLAIN, "both", f"docker://{hub.name('team/gone', '1')}", status=125).err
    assert "oci:" in kp("manifest", "add", "both", "oci:/nowhere", status=125).err
