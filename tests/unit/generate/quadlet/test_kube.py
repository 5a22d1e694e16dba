"""`.kube`, `.network` and `.volume` files as services."""

from __future__ import annotations

import pytest

from kubeplay.errors import Fault, InvalidInput
from kubeplay.generate.quadlet import kube, resources, unitfile
from kubeplay.generate.quadlet.model import Link, Machine, Service
from kubeplay.generate.quadlet.names import Neighbour

SYSTEM = Machine(("/usr/bin/kubeplay",))
USER = Machine(("/usr/bin/kubeplay",), user=True)
DIRECTORY = "/etc/kubeplay/systemd"
PLAY = "ExecStart=/usr/bin/kubeplay kube play --replace --service-container"


def made(text: str, name: str = "web.kube", machine: Machine = SYSTEM) -> Service:
    return kube.service(unitfile.parse(text.encode(), f"{DIRECTORY}/{name}"), machine)


def refused(text: str, name: str = "web.kube") -> tuple[Fault, ...]:
    with pytest.raises(InvalidInput) as caught:
        made(text, name)
    return tuple(caught.value.faults)


def started(text: str, machine: Machine = SYSTEM) -> str:
    return next(line for line in made(text, machine=machine).text.splitlines() if line.startswith("ExecStart="))


def test_the_whole_unit() -> None:
    unit = made("[Unit]\nDescription=A web\n[Kube]\nYaml=web.yaml\n[Service]\nRestart=on-failure\n[Install]\nWantedBy=default.target\n")
    assert unit.name == "web.service"
    assert (
        unit.text
        == f"""\
# Written by kubeplay's generator; change the file named by SourcePath instead.
[Unit]
Wants=network-online.target
After=network-online.target
Description=A web
SourcePath={DIRECTORY}/web.kube
RequiresMountsFor={DIRECTORY}/web.yaml

[Service]
KillMode=process
SyslogIdentifier=%N
Type=notify
NotifyAccess=all
Restart=on-failure
{PLAY} {DIRECTORY}/web.yaml
ExecStopPost=/usr/bin/kubeplay kube down {DIRECTORY}/web.yaml

[Install]
WantedBy=default.target

[X-Kube]
Yaml=web.yaml
"""
    )
    assert unit.links == (Link("default.target.wants/web.service", "../web.service"),)


# What a key is on the command line, between the fixed flags and the file.
FLAGS = {
    "UserNS=auto:size=4096": "--userns=auto:size=4096",
    "Network=host": "--network=host",
    "Network=a\nNetwork=b:ip=10.0.0.1": "--network=a --network=b:ip=10.0.0.1",
    "Network=back.network:ip=10.0.0.1": "--network=systemd-back:ip=10.0.0.1",
    "ConfigMap=one.yaml /two.yaml": f"--configmap={DIRECTORY}/one.yaml --configmap=/two.yaml",
    'ConfigMap="with space.yaml"': f'"--configmap={DIRECTORY}/with space.yaml"',
    "ConfigMap=%h/one.yaml": "--configmap=%h/one.yaml",
    "PublishPort=8080:80\nPublishPort=127.0.0.1:53:53/udp": "--publish=8080:80 --publish=127.0.0.1:53:53/udp",
    "PublishPort=${PORT}:80": "--publish=${PORT}:80",
    "LogDriver=none": "--log-driver=none",
    "ExitCodePropagation=all": "--service-exit-code-propagation=all",
    "PodmanArgs=--label a=b\nPodmanArgs='--annotation=c=d e'": '--label a=b "--annotation=c=d e"',
    "PodmanArgs=; rm": '";" rm',
    "Network=none\nPodmanArgs=--network=host": "--network=none --network=host",
    "PublishPort=80\nPublishPort=": "",
}


@pytest.mark.parametrize("lines", FLAGS, ids=lambda lines: lines.replace("\n", " "))
def test_keys(lines: str) -> None:
    flags = f" {FLAGS[lines]}" if FLAGS[lines] else ""
    assert started(f"[Kube]\nYaml=web.yaml\n{lines}\n") == f"{PLAY}{flags} {DIRECTORY}/web.yaml"


def test_every_key_is_in_a_test() -> None:
    elsewhere = {"Yaml", "AutoUpdate", "GlobalArgs", "KubeDownForce", "ServiceName", "SetWorkingDirectory"}
    assert {line.partition("=")[0] for lines in FLAGS for line in lines.split("\n")} == set(kube.KEYS) - elsewhere


def test_where_the_file_is() -> None:
    assert started("[Kube]\nYaml=../a.yaml /b.yaml\nYaml=https://x.example/c.yaml\n").endswith(
        f"--service-container {DIRECTORY.rpartition('/')[0]}/a.yaml /b.yaml https://x.example/c.yaml"
    )
    assert started("[Kube]\nYaml=%h/a-%i.yaml\n").endswith(" %h/a-%i.yaml")


def test_a_directory_with_what_systemd_reads_otherwise() -> None:
    unit = kube.service(unitfile.parse(b"[Kube]\nYaml=a.yaml\n", "/srv/50%/$x/web.kube"), SYSTEM)
    assert " /srv/50%%/$$x/a.yaml\n" in unit.text
    assert "SourcePath=/srv/50%%/$x/web.kube\n" in unit.text


def test_root_of_its_own_and_global_arguments() -> None:
    machine = Machine(("/opt/my kube/kubeplay",), root="/srv/kp", runroot="/run/kp")
    unit = made("[Kube]\nYaml=/a.yaml\nGlobalArgs=--log-level=debug -n shop\n", machine=machine)
    command = '"/opt/my kube/kubeplay" --root /srv/kp --runroot /run/kp --log-level=debug -n shop kube '
    assert f"ExecStart={command}play --replace --service-container /a.yaml\n" in unit.text
    assert f"ExecStopPost={command}down /a.yaml\n" in unit.text and "RequiresMountsFor=/srv/kp\n" in unit.text


def test_a_users_unit_waits_for_no_network_target() -> None:
    assert "network-online" not in made("[Kube]\nYaml=/a\n", machine=USER).text
    assert "network-online" not in made("[Kube]\nYaml=/a\n[Quadlet]\nDefaultDependencies=no\n").text


def test_down_with_force() -> None:
    assert "ExecStopPost=/usr/bin/kubeplay kube down --force /a\n" in made("[Kube]\nYaml=/a\nKubeDownForce=true\n").text


@pytest.mark.parametrize(("value", "directory"), [("yaml", "/srv"), ("unit", DIRECTORY), ("YAML", "/srv")])
def test_working_directory(value: str, directory: str) -> None:
    assert f"\nWorkingDirectory={directory}\n" in made(f"[Kube]\nYaml=/srv/a.yaml\nSetWorkingDirectory={value}\n").text
    assert "WorkingDirectory=/srv" not in made("[Kube]\nYaml=/srv/a\nSetWorkingDirectory=yaml\n[Service]\nWorkingDirectory=/x\n").text


def test_a_oneshot_has_no_main_process() -> None:
    unit = made("[Kube]\nYaml=/a.yaml\n[Service]\nType=oneshot\n")
    assert "ExecStart=/usr/bin/kubeplay kube play --replace /a.yaml\n" in unit.text
    assert "RemainAfterExit=yes\n" in unit.text and "notify" not in unit.text.lower()


def test_auto_update_is_said_to_do_nothing() -> None:
    (notice,) = made("[Kube]\nYaml=/a\nAutoUpdate=app/registry\n").notices
    assert (notice.source, notice.line) == (f"{DIRECTORY}/web.kube", 3) and "newer images" in notice.message


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[Kube]\n", 1, "not named"),
        ("[Unit]\nDescription=x\n", 1, "not named"),
        ("[Kube]\nYaml=/a\nPublishPorts=80\n", 3, "did you mean PublishPort?"),
        ("[Kube]\nYaml=/a\nContainersConfModule=/x\n", 3, "containers.conf"),
        ("[Kube]\nYaml=/a\nRemapUsers=keep-id\n", 3, "UserNS="),
        ("[Kube]\nYaml=/a\nExitCodePropagation=some\n", 3, "all, any, none"),
        ("[Kube]\nYaml=/a\nAutoUpdate=often\n", 3, "registry"),
        ("[Kube]\nYaml=/a\nKubeDownForce=perhaps\n", 3, "neither yes nor no"),
        ("[Kube]\nYaml=/a\nSetWorkingDirectory=home\n", 3, "neither yaml nor unit"),
        ("[Kube]\nYaml=http://x/a\nSetWorkingDirectory=yaml\n", 3, "URL"),
        ('[Kube]\nYaml="/a\n', 2, "not closed"),
        ("[Kube]\nYaml=/a\n[Service]\nType=simple\n", 4, "notify or oneshot"),
        ("[Kube]\nYaml=/a\n[Service]\nExecStart=/bin/true\n", 4, "[Kube]"),
        ("[Kube]\nYaml=/a\nExitCodePropagation=any\n[Service]\nType=oneshot\n", 3, "oneshot"),
        ("[Kube]\nYaml=/a\nServiceName=a/b\n", 3, "no name for a unit"),
        ("[Kube]\nYaml=/a\n[Quadlet]\nDefaultDependency=no\n", 4, "DefaultDependencies"),
        ("[Kube]\nYaml=/a\n[Install]\nWantedBy=../../x\n", 4, "no name of a unit"),
        ("[Kube]\nYaml=/a\n[Install]\nAlias=../x.service\n", 4, "no name for a service"),
    ],
)
def test_faults_with_their_lines(text: str, line: int, says: str) -> None:
    faults = refused(text)
    assert [fault.line for fault in faults] == [line], faults
    assert says in str(faults[0]) and str(faults[0]).startswith(f"{DIRECTORY}/web.kube:{line}:")


def test_all_faults_at_once() -> None:
    assert [one.line for one in refused("[Kube]\nNope=1\nExitCodePropagation=x\n[Install]\nWantedBy=x\n")] == [1, 2, 3, 5]


def test_a_name_that_systemd_would_not_load() -> None:
    assert "rename the file" in str(refused("[Kube]\nYaml=/a\n", "my web.kube")[0])
    assert made("[Kube]\nYaml=/a\nServiceName=other\n", "my web.kube").name == "other.service"


@pytest.mark.parametrize(
    ("name", "install", "links"),
    [
        ("web@.kube", "WantedBy=a.target\n", []),
        ("web@.kube", "WantedBy=a.target\nDefaultInstance=blue\n", ["a.target.wants/web@blue.service ../web@.service"]),
        ("web@red.kube", "WantedBy=a.target\n", ["a.target.wants/web@red.service ../web@red.service"]),
        ("web.kube", "RequiredBy=a.target b.service\nUpheldBy=c.target\n",
         ["a.target.requires/web.service ../web.service", "b.service.requires/web.service ../web.service",
          "c.target.upholds/web.service ../web.service"]),
        ("web.kube", "Alias=w.service web.service\n", ["w.service web.service"]),
    ],
)  # fmt: skip
def test_links(name: str, install: str, links: list[str]) -> None:
    unit = made(f"[Kube]\nYaml=/a\n[Install]\n{install}", name)
    assert [f"{one.path} {one.target}" for one in unit.links] == links


def test_other_files_by_their_own_names() -> None:
    text = made("[Unit]\nAfter=db.kube x.service back.network data.volume p.pod\n[Kube]\nYaml=/a\nNetwork=back.network\n").text
    assert "After=db.service x.service back-network.service data-volume.service p-pod.service\n" in text
    assert "Requires=back-network.service\nAfter=back-network.service\n" in text


def test_a_network_with_a_name_of_its_own() -> None:
    unit = unitfile.parse(b"[Kube]\nYaml=/a\nNetwork=back.network\n", "/w.kube")
    text = kube.service(unit, SYSTEM, {"back.network": Neighbour("nets.service", "blue")}).text
    assert "--network=blue " in text and "Requires=nets.service\n" in text
    with pytest.raises(InvalidInput, match="there is no file back.network"):
        kube.service(unit, SYSTEM, {})


def test_a_network() -> None:
    text = """[Network]
NetworkName=blue
Subnet=10.9.0.0/24
Gateway=10.9.0.1
Label="a=b c" d=e
IPv6=yes
Internal=no
Options=mtu=1400
NetworkDeleteOnStop=true
PodmanArgs=--ip-range 10.9.0.128/25
"""
    unit = resources.network(unitfile.parse(text.encode(), f"{DIRECTORY}/back.network"), SYSTEM)
    assert unit.name == "back-network.service"
    flags = '--gateway=10.9.0.1 --ipv6 "--label=a=b c" --label=d=e --opt=mtu=1400 --subnet=10.9.0.0/24 --ip-range 10.9.0.128/25'
    assert f"ExecStart=/usr/bin/kubeplay network create --ignore {flags} blue\n" in unit.text
    assert "ExecStopPost=/usr/bin/kubeplay network rm blue\n" in unit.text and "Type=oneshot\n" in unit.text


def test_a_volume() -> None:
    unit = resources.volume(unitfile.parse(b"[Volume]\nUser=7\nGroup=8\nLabel=a=b\n", f"{DIRECTORY}/data.volume"), USER)
    assert unit.name == "data-volume.service"
    assert "ExecStart=/usr/bin/kubeplay volume create --ignore --label=a=b --opt=uid=7 --opt=gid=8 systemd-data\n" in unit.text


@pytest.mark.parametrize(
    ("maker", "text", "says"),
    [
        (resources.network, "[Network]\nDNS=1.1.1.1\n", "dnsConfig"),
        (resources.network, "[Network]\nSubnets=x\n", "did you mean Subnet?"),
        (resources.volume, "[Volume]\nDevice=/dev/sda\n", "PersistentVolume"),
    ],
)
def test_faults_of_networks_and_volumes(maker: object, text: str, says: str) -> None:
    assert callable(maker)
    with pytest.raises(InvalidInput, match=says):
        maker(unitfile.parse(text.encode(), "/x.network"), SYSTEM)
