"""Directories, drop-ins and templates; what is written; and whether systemd takes it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.errors import InvalidInput
from kubeplay.generate.quadlet import generator, places, unitfile, writing
from kubeplay.generate.quadlet.model import Machine
from kubeplay.generate.quadlet.places import Directory

MACHINE = Machine(("/usr/bin/true",))


def test_the_systems_directories() -> None:
    found = places.directories(False, {}, "/root", 0)
    assert [(one.path, one.shared) for one in found] == [
        ("/run/kubeplay/systemd", False), ("/run/containers/systemd", True), ("/etc/kubeplay/systemd", False),
        ("/etc/containers/systemd", True), ("/usr/share/kubeplay/systemd", False), ("/usr/share/containers/systemd", True),
    ]  # fmt: skip
    assert [one.path for one in generator.looked_for(found, "/usr/lib/x")] == [one.path for one in found if not one.shared]
    assert generator.looked_for(found, "") == found


def test_a_users_directories() -> None:
    found = [one.path for one in places.directories(True, {"XDG_RUNTIME_DIR": "/run/user/7"}, "/home/a", 7) if not one.shared]
    assert found == [
        "/run/user/7/kubeplay/systemd", "/home/a/.config/kubeplay/systemd", "/etc/kubeplay/systemd/users/7",
        "/etc/kubeplay/systemd/users", "/usr/share/kubeplay/systemd/users",
    ]  # fmt: skip
    assert [one.path for one in places.directories(True, {"QUADLET_UNIT_DIRS": "/a:b:/c"}, "/", 7)] == ["/a", "/c"]


def put(path: Path, text: str = "[Kube]\nYaml=/a.yaml\n") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_what_is_found(tmp_path: Path) -> None:
    put(tmp_path / "a/web.kube"), put(tmp_path / "b/web.kube"), put(tmp_path / "b/deep/er/db.kube"), put(tmp_path / "b/users/me.kube")
    put(tmp_path / "b/notes.txt"), put(tmp_path / "b/.kube")
    found = places.find([Directory(f"{tmp_path}/a"), Directory(f"{tmp_path}/b", skip="users"), Directory(f"{tmp_path}/none")])
    assert [one.path for one in found] == [f"{tmp_path}/b/deep/er/db.kube", f"{tmp_path}/a/web.kube"]


def test_files_of_all_users_are_not_those_of_one(tmp_path: Path) -> None:
    put(tmp_path / "users/me.kube"), put(tmp_path / "users/7/mine.kube")
    found = places.find([Directory(f"{tmp_path}/users", skip="*")])
    assert [os.path.basename(one.path) for one in found] == ["me.kube"]


def test_links_that_go_round_end(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/again").symlink_to(tmp_path / "a")
    put(tmp_path / "a/web.kube")
    assert len(places.find([Directory(f"{tmp_path}/a")])) == 1


def test_names_whose_dropins_count() -> None:
    assert places.forms("a-b@c.kube") == ["a-b@c.kube", "a-b@.kube", "a-.kube", "kube"]
    assert places.forms("web.kube") == ["web.kube", "kube"]


def test_dropins(tmp_path: Path) -> None:
    put(tmp_path / "b/my-web.kube", "[Kube]\nYaml=/a\nUserNS=host\n")
    put(tmp_path / "a/my-web.kube.d/20-x.conf", "[Kube]\nUserNS=auto\n")
    put(tmp_path / "b/my-web.kube.d/20-x.conf", "[Kube]\nUserNS=never\n")
    put(tmp_path / "b/my-.kube.d/10-y.conf", "[Kube]\nPublishPort=1\n")
    put(tmp_path / "b/kube.d/30-z.conf", "[Service]\nRestart=no\n")
    put(tmp_path / "b/my-web.kube.d/README", "nonsense")
    tops = [Directory(f"{tmp_path}/a"), Directory(f"{tmp_path}/b")]
    (found,) = places.find(tops)
    # Beside the file first: whoever put the file there meant it so.
    relative = [os.path.relpath(one, tmp_path) for one in found.dropins]
    assert relative == ["b/my-.kube.d/10-y.conf", "b/my-web.kube.d/20-x.conf", "b/kube.d/30-z.conf"]
    assert [one.value for one in places.read(found).all("Kube", "PublishPort")] == ["1"]


def test_no_ordinary_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "web.kube")
    (tmp_path / "gone.kube").symlink_to("nowhere")
    result = generator.generate(places.find([Directory(str(tmp_path))]), MACHINE)
    assert [one.message for one in result.faults] == ["No such file or directory", f"{tmp_path}/web.kube: no ordinary file"]


def test_one_broken_file_keeps_no_other_from_its_unit(tmp_path: Path) -> None:
    put(tmp_path / "bad.kube", "[Kube]\nYml=/a\n")
    put(tmp_path / "good.kube")
    put(tmp_path / "same.kube", "[Kube]\nYaml=/a\nServiceName=good\n")
    put(tmp_path / "app.container", "[Container]\nImage=x\n")
    result = generator.generate(places.find([Directory(str(tmp_path))]), MACHINE)
    assert [one.name for one in result.services] == ["good.service"]
    texts = generator.told(result)
    assert any(text.startswith(f"{tmp_path}/app.container:1:1: .container files are podman's") for text in texts)
    assert any("good.service is made from" in text for text in texts) and any("did you mean Yaml?" in text for text in texts)


def test_files_that_name_one_another(tmp_path: Path) -> None:
    put(tmp_path / "back.network", "[Network]\nNetworkName=blue\nServiceName=nets\n")
    put(tmp_path / "web.kube", "[Kube]\nYaml=/a\nNetwork=back.network\n")
    put(tmp_path / "odd.kube", "[Kube]\nYaml=/a\nNetwork=none.network\n")
    result = generator.generate(places.find([Directory(str(tmp_path))]), MACHINE)
    web = next(one for one in result.services if one.name == "web.service")
    assert "--network=blue" in web.text and "Requires=nets.service" in web.text
    assert [(one.source, one.line) for one in result.faults] == [(f"{tmp_path}/odd.kube", 3)]


def test_what_is_written(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    put(source / "web.kube", "[Kube]\nYaml=/a\n[Install]\nWantedBy=multi-user.target\nAlias=w.service\n")
    target.mkdir()
    result = generator.generate(places.find([Directory(str(source))]), MACHINE)
    for _ in range(2):  # again over what is there
        assert generator.write(result.services, str(target)) == []
    assert (target / "web.service").read_text() == result.services[0].text
    assert os.readlink(target / "multi-user.target.wants/web.service") == "../web.service"
    assert os.readlink(target / "w.service") == "web.service"


def test_a_planted_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/web.service").symlink_to(tmp_path / "elsewhere")
    put(tmp_path / "in/web.kube")
    result = generator.generate(places.find([Directory(f"{tmp_path}/in")]), MACHINE)
    assert len(generator.write(result.services, f"{tmp_path}/out")) == 1 and not (tmp_path / "elsewhere").exists()


def test_a_file_for_manifests() -> None:
    wanted = writing.Wanted(
        ("/srv/a b.yaml", "/srv/50%.yaml"), "The web", ("/c.yaml",), ("host",), ("80:80",), "auto", "none", "any", True, "always",
        ("default.target",),
    )  # fmt: skip
    assert (
        writing.text(wanted)
        == """[Unit]
Description=The web

[Kube]
Yaml="/srv/a b.yaml"
Yaml=/srv/50%%.yaml
ConfigMap=/c.yaml
Network=host
PublishPort=80:80
UserNS=auto
LogDriver=none
ExitCodePropagation=any
KubeDownForce=true

[Service]
Restart=always

[Install]
WantedBy=default.target
"""
    )
    assert writing.name(["/srv/a b.yaml"]) == "a-b.kube" and writing.name(["/srv/stack/"]) == "stack.kube"


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_word_becomes_a_setting(path: str, port: str) -> None:
    try:
        text = writing.text(writing.Wanted((f"/{path}",), publish=(port,)))
    except InvalidInput:
        return
    unit = unitfile.parse(text.encode("utf-8", "surrogatepass"), "/x.kube")
    assert [one.key for one in unit.settings] == ["Yaml"] + (["PublishPort"] if port else [])
    assert unitfile.words(unit.all("Kube", "Yaml")) == [f"/{path}".replace("%", "%%")]


VERIFIED = {
    "web.kube": '[Unit]\nDescription=50 percent\n[Kube]\nYaml="a b.yaml" https://x.example/%%20.yaml\nNetwork=back.network\nConfigMap=c.yaml\n'
    "PublishPort=${PORT}:80\nUserNS=auto\nPodmanArgs='--label=a=b; c' \"it's\"\nExitCodePropagation=any\nSetWorkingDirectory=unit\n"
    "AutoUpdate=registry\nKubeDownForce=yes\n[Service]\nEnvironment=PORT=80\nRestart=on-failure\nTimeoutStartSec=900\n"
    "[Install]\nWantedBy=multi-user.target\n",
    "once.kube": "[Kube]\nYaml=/a.yaml\n[Service]\nType=oneshot\n",
    "many@.kube": "[Kube]\nYaml=%i.yaml\nPublishPort=%i:80\n[Install]\nWantedBy=multi-user.target\nDefaultInstance=8080\n",
    "back.network": "[Network]\nSubnet=10.9.0.0/24\nLabel='a=b c'\nNetworkDeleteOnStop=yes\n",
    "data.volume": "[Volume]\nUser=1000\n",
}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for name, text in VERIFIED.items():
        put(tmp_path / "in" / name, text)
    (tmp_path / "out").mkdir()
    result = generator.generate(places.find([Directory(f"{tmp_path}/in")]), MACHINE)
    assert not result.faults and len(result.services) == len(VERIFIED)
    assert not generator.write(result.services, f"{tmp_path}/out")
    units = [f"{tmp_path}/out/{one.name.replace('@.', '@8080.')}" for one in result.services]
    argv = ["systemd-analyze", "verify", "--man=no", "--generators=no", "--recursive-errors=no", *units]
    path = f"{tmp_path}/out:/usr/lib/systemd/system:/lib/systemd/system"
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": path, "SYSTEMD_LOG_LEVEL": "info"}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=300)
    own = (str(tmp_path), *(one.name.partition("@")[0] for one in result.services))
    said = [line for line in done.stderr.splitlines() if any(word in line for word in own)]
    assert done.returncode == 0 and not said, done.stderr
