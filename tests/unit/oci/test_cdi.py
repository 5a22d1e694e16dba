"""CDI: what device descriptions say, and what of a hostile one is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kubeplay.engine.oci import cdi
from kubeplay.engine.oci.cdi import Edits, Node
from kubeplay.errors import ContainerError


def spec(**fields: Any) -> dict[str, Any]:
    return {"cdiVersion": "0.6.0", "kind": "vendor.com/gpu", "devices": [{"name": "one", "containerEdits": {}}], **fields}


def device(**edits: Any) -> dict[str, Any]:
    return spec(devices=[{"name": "one", "containerEdits": edits}])


def put(directory: Path, name: str, data: Any) -> str:
    directory.mkdir(mode=0o755, exist_ok=True)
    (directory / name).write_text(data if isinstance(data, str) else json.dumps(data))
    return str(directory)


def found(directory: str, *names: str) -> Edits:
    return cdi.resolve(list(names or ("vendor.com/gpu=one",)), [directory])


def test_a_device_and_its_kind_s_own_edits_json_and_yaml(tmp_path: Path) -> None:
    text = """
cdiVersion: 0.5.0
kind: vendor.com/gpu
containerEdits: {env: [COMMON=1]}
devices:
- name: one
  containerEdits:
    env: ["A=b=c"]
    deviceNodes: [{path: /dev/x, hostPath: /dev/null, permissions: rw, fileMode: 432, uid: 3}]
    mounts: [{hostPath: /lib/v, containerPath: /v, options: [ro, nosuid]}]
    hooks: [{hookName: createContainer, path: /bin/true, args: ["true", x], env: [E=1], timeout: 3}]
    additionalGids: [0, 44]
- name: two
  containerEdits: {env: [TWO=2]}
"""
    edits = found(put(tmp_path, "v.yaml", text), "vendor.com/gpu=one", "vendor.com/gpu=two")
    assert edits.env == ("COMMON=1", "A=b=c", "TWO=2") and edits.groups == (44,)
    assert edits.nodes == (Node("/dev/x", "/dev/null", "rw", 432, 3),)
    assert edits.mounts == ({"destination": "/v", "type": "bind", "source": "/lib/v", "options": ["rbind", "ro", "nosuid"]},)
    assert edits.hooks[0][0] == "createContainer" and edits.hooks[0][1]["timeout"] == 3
    assert edits.hooks[0][1]["args"] == ["true", "x"] and edits.hooks[0][1]["env"] == ["E=1"]


def test_podman_s_names_of_host_devices() -> None:
    assert cdi.host_device("/dev/fuse") == Node("/dev/fuse", "/dev/fuse")
    assert cdi.host_device("/dev/fuse:/dev/x:r") == Node("/dev/x", "/dev/fuse", "r")
    assert cdi.host_device("/dev/fuse:rw") == Node("/dev/fuse", "/dev/fuse", "rw")
    for wrong in ("dev/fuse", "/dev/../etc", "/dev/x:/dev/y:q", ""):
        with pytest.raises(ContainerError):
            cdi.host_device(wrong)


def test_later_directories_come_first_and_conflicts_are_none(tmp_path: Path) -> None:
    static, dynamic = put(tmp_path / "a", "a.json", device(env=["A=static"])), put(tmp_path / "b", "b.json", device(env=["A=dynamic"]))
    assert cdi.resolve(["vendor.com/gpu=one"], [static, dynamic]).env == ("A=dynamic",)
    put(tmp_path / "b", "c.json", device())
    with pytest.raises(ContainerError, match="unresolvable CDI devices vendor.com/gpu=one: it is in"):
        cdi.resolve(["vendor.com/gpu=one"], [static, dynamic])


@pytest.mark.parametrize("data", [
    "{", "[]", "- a", "a: &a [*a]", "!!python/object/apply:os.system [id]", "null", spec(kind=3), spec(devices={}), spec(devices=[1]),
    spec(devices=[{"name": "../x"}]), device(env="x"), device(env=["NOVALUE"]), device(env=["A=\0"]),
    device(deviceNodes=[{"path": "dev/x"}]),
    device(deviceNodes=[{"path": "/dev/../etc/x"}]), device(deviceNodes=[{"path": "/dev/x", "permissions": "rwx"}]),
    device(deviceNodes=[{"path": "/dev/x", "uid": -1}]), device(deviceNodes=[{"path": "/dev/x", "fileMode": "0666"}]),
    device(mounts=[{"hostPath": "/a", "containerPath": "b"}]), device(mounts=[{"hostPath": "/a", "containerPath": "/b", "type": "nfs"}]),
    device(mounts=[{"hostPath": "/a", "containerPath": "/b", "options": ["lowerdir=/"]}]), device(hooks=[{"hookName": "x", "path": "/x"}]),
    device(hooks=[{"hookName": "poststop", "path": "x"}]), device(additionalGids=[-1]), device(intelRdt={"closID": "x"}),
    device(env=["A=1"] * 5000),
])  # fmt: skip
def test_a_broken_or_hostile_spec_gives_no_device(tmp_path: Path, data: Any) -> None:
    with pytest.raises(ContainerError, match="unresolvable CDI devices"):
        found(put(tmp_path, "v.yaml", data))


def test_who_may_write_a_spec_would_be_root(tmp_path: Path) -> None:
    directory = put(tmp_path, "v.json", device())
    os.chmod(tmp_path / "v.json", 0o666)
    with pytest.raises(ContainerError):
        found(directory)
    os.chmod(tmp_path / "v.json", 0o644)
    assert found(directory) == Edits()
    os.chmod(tmp_path, 0o777)
    with pytest.raises(ContainerError):
        found(directory)


def test_files_that_never_end_or_are_none(tmp_path: Path) -> None:
    directory = put(tmp_path, "a.json", device())
    os.mkfifo(tmp_path / "b.json")
    (tmp_path / "c.yaml").symlink_to("/dev/zero")
    (tmp_path / "d.json").mkdir()
    assert found(directory) == Edits()
