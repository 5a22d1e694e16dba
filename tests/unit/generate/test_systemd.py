"""Units as text."""

from __future__ import annotations

import configparser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.errors import InvalidInput
from kubeplay.generate import systemd

BASE = systemd.Options(("/usr/bin/kubeplay",), "/var/lib/kubeplay", "/run/kubeplay")


def read(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


def test_a_unit_for_everything() -> None:
    unit = systemd.of_all(BASE)
    found = read(unit.text)
    assert unit.name == "kubeplay.service" and found["Install"]["WantedBy"] == "multi-user.target"
    service = found["Service"]
    assert service["ExecStart"] == "/usr/bin/kubeplay --root /var/lib/kubeplay --runroot /run/kubeplay system resume"
    assert service["ExecStop"].endswith(" system suspend")
    assert (service["Type"], service["RemainAfterExit"], service["Restart"]) == ("oneshot", "yes", "on-failure")


def test_a_users_unit_for_a_pod() -> None:
    options = BASE._replace(user=True, stop_seconds=7, start_seconds=9, restart="no", wants=("a.service",), env=("A=b c",), header=False)
    unit = systemd.of_pod(options, "shop", "web", "pod-web", 30)
    found = read(unit.text)
    assert unit.name == "pod-web.service" and found["Install"]["WantedBy"] == "default.target"
    assert found["Unit"]["Wants"] == "a.service" and "After" not in found["Unit"]
    assert found["Service"]["ExecStart"].endswith(" pod start --namespace shop web")
    assert found["Service"]["ExecStop"].endswith(" pod stop --ignore --time 7 --namespace shop web")
    service = found["Service"]
    assert (service["TimeoutStopSec"], service["TimeoutStartSec"], service["Environment"]) == ("67", "9", '"A=b c"')
    assert not unit.text.startswith("#")


def test_one_unit_for_any_pod() -> None:
    unit = systemd.of_template(BASE._replace(stop_seconds=5), "pod", "-", "shop")
    service = read(unit.text)["Service"]
    assert unit.name == "pod-@.service" and "Description=kubeplay: pod shop/%i\n" in unit.text
    assert service["ExecStart"].endswith(" pod start --namespace shop %i")
    assert service["ExecStop"].endswith(" pod stop --ignore --time 5 --namespace shop %i")


@pytest.mark.parametrize("restart", systemd.NEVER)
def test_what_systemd_refuses_is_refused(restart: str) -> None:
    with pytest.raises(InvalidInput, match="systemd refuses it"):
        systemd.of_all(BASE._replace(restart=restart))


@given(st.text(max_size=20))
def test_a_path_never_becomes_a_setting(root: str) -> None:
    try:
        text = systemd.of_all(BASE._replace(root=root)).text
    except InvalidInput:
        return
    assert len(text.split("\n")) == len(systemd.of_all(BASE).text.split("\n"))


def test_a_dollar_is_doubled_in_commands_alone() -> None:
    unit = systemd.of_all(BASE._replace(root="/srv/a$b", env=("PASSWORD=a$b",)))
    assert "Environment=PASSWORD=a$b\n" in unit.text and "RequiresMountsFor=/srv/a$b\n" in unit.text
    assert " --root /srv/a$$b " in read(unit.text)["Service"]["ExecStart"]
