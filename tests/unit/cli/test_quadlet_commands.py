"""generate quadlet, system generator and system install-generator, as processes; the example units."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.cli import ROOT, Kubeplay


@pytest.fixture
def kp(tmp_path: Path) -> Kubeplay:
    found = Kubeplay(tmp_path)
    del found.env["KUBEPLAY_ROOT"], found.env["KUBEPLAY_RUNROOT"]
    return found


def test_a_quadlet_file_makes_the_service_it_says(kp: Kubeplay) -> None:
    flags = ("--publish", "8080:80", "--exit-code-propagation", "any", "--restart-policy", "always")
    said = kp("generate", "quadlet", "/srv/app.yaml", *flags)
    assert said.out == (
        "[Kube]\nYaml=/srv/app.yaml\nPublishPort=8080:80\nExitCodePropagation=any\n\n[Service]\nRestart=always\n\n"
        "[Install]\nWantedBy=default.target\n"
    )
    unit = kp("system", "generator", "--dryrun", kp.file("app.kube", said.out)).out
    assert unit.startswith("---app.service---\n# Written by kubeplay") and " --publish=8080:80 /srv/app.yaml\n" in unit


def test_files_and_names(kp: Kubeplay, tmp_path: Path) -> None:
    argv = kp.argv("generate", "quadlet", "-f", "--name", "shop", "--wanted-by=", "app.yaml")
    done = subprocess.run(argv, env=kp.env, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == f"{tmp_path}/shop.kube\n" and (tmp_path / "shop.kube").read_text() == f"[Kube]\nYaml={tmp_path}/app.yaml\n"
    again = subprocess.run(argv, env=kp.env, cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 125 and "file exists" in again.stderr


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["-"], "standard input"),
        (["--name", "a/b", "x.yaml"], "no name for a unit"),
        (["--publish", "80\nExecStart=/bin/sh", "x.yaml"], "cannot stand in a unit"),
    ],
)
def test_what_cannot_be_a_unit(kp: Kubeplay, argv: list[str], says: str) -> None:
    assert says in kp("generate", "quadlet", *argv, status=125).err


def test_faults_are_told_and_the_rest_is_written(kp: Kubeplay, tmp_path: Path) -> None:
    kp.file("good.kube", "[Kube]\nYaml=/a.yaml\n[Install]\nWantedBy=default.target\n")
    bad = kp.file("bad.kube", "[Kube]\nYml=/a.yaml\n")
    (tmp_path / "out").mkdir()
    kp.env["QUADLET_UNIT_DIRS"] = str(tmp_path)
    out = str(tmp_path / "out")
    said = kp("system", "generator", "--no-kmsg-log", out, out, out, status=1)
    assert f"{bad}:2:1: [Kube] Yml: there is no such key in [Kube] (did you mean Yaml?)" in said.err
    assert sorted(os.listdir(out)) == ["default.target.wants", "good.service"]
    assert f"read {bad}" in kp("system", "generator", "--dryrun", "-v", status=1).err


def test_systemd_says_where_to_write(kp: Kubeplay) -> None:
    assert "as systemd does" in kp("system", "generator", status=125).err
    assert "no Quadlet file" in kp("system", "generator", "--dryrun", kp.file("x.yaml", ""), status=125).err
    assert "no such file" in kp("system", "generator", "--dryrun", "/nowhere/x.kube", status=125).err


def test_generators_are_installed_and_run(kp: Kubeplay, tmp_path: Path) -> None:
    where = str(tmp_path / "systemd")
    written = kp("system", "install-generator", "--directory", where).lines
    assert written == [f"{where}/{kind}-generators/kubeplay-generator" for kind in ("system", "user")]
    kp.file("app.kube", "[Kube]\nYaml=/a.yaml\n")
    for path, targets in zip(written, (True, False), strict=True):
        out = tmp_path / f"out-{targets}"
        out.mkdir()
        environment = {"QUADLET_UNIT_DIRS": str(tmp_path), "PATH": os.environ["PATH"], "HOME": "/"}
        subprocess.run([path, *[str(out)] * 3], env=environment, check=True, capture_output=True)
        assert ("network-online.target" in (out / "app.service").read_text()) is targets
    assert kp("system", "install-generator", "--directory", where, "--remove").lines == written
    assert not any(map(os.path.exists, written))


def test_a_root_of_its_own_is_in_the_script(kp: Kubeplay, tmp_path: Path) -> None:
    where = str(tmp_path / "systemd")
    system, user = kp("--root", "/srv/my kp", "system", "install-generator", "--directory", where).lines
    assert "--root '/srv/my kp' system generator" in Path(system).read_text() and "--root" not in Path(user).read_text()


@pytest.mark.parametrize("path", sorted((ROOT / "examples/quadlet").iterdir()), ids=lambda path: path.name)
def test_the_examples_make_services(kp: Kubeplay, path: Path) -> None:
    assert path.read_text().startswith("# ")
    assert "ExecStart=" in kp("system", "generator", "--dryrun", str(path)).out
