"""version, info, completion, system check and system reset, as processes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.cli import ROOT, Kubeplay, installed
from tests.support.seen import plain_user


@pytest.fixture
def bare(tmp_path: Path) -> Kubeplay:
    return Kubeplay(tmp_path)


@pytest.fixture
def kp(tmp_path: Path) -> Iterator[Kubeplay]:
    yield from installed(tmp_path)


def test_version(bare: Kubeplay) -> None:
    assert bare("--version").out.startswith("kubeplay version ")
    assert json.loads(bare("version", "--format", "json").out)["Client"]["Version"] in bare("--version").out


def test_version_imports_nothing_heavy(bare: Kubeplay) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "kubeplay", "--version"], env=bare.env, capture_output=True, text=True, cwd="/"
    )
    loaded = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert not loaded & {"click", "typing", "re", "json", "sqlite3", "enum", "dataclasses"}
    assert {name for name in loaded if name.startswith("kubeplay")} <= {"kubeplay", "kubeplay.cli", "kubeplay.cli.entry"}


@pytest.mark.parametrize("argv", [["--help"], ["ps", "--help"], ["play", "kube", "-h"], ["image"]], ids=" ".join)
def test_help(bare: Kubeplay, argv: list[str]) -> None:
    said = bare(*argv, status=None)
    assert "Usage: kubeplay" in said.out + said.err


def test_usage_errors_are_125_like_podman_s(bare: Kubeplay) -> None:
    assert "No such option" in bare("ps", "--bogus", status=125).err
    assert "No such command" in bare("bogus", status=125).err
    assert "Did you mean 'ps'?" in bare("pss", status=125).err
    assert "Error: " in bare("play", "kube", status=125).err
    assert bare("ps", "--bogus", status=125).out == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(bare: Kubeplay, shell: str) -> None:
    assert "_KUBEPLAY_COMPLETE" in bare("completion", shell).out


def test_completion_of_commands_and_options(bare: Kubeplay) -> None:
    def complete(words: str) -> list[str]:
        env = {**bare.env, "_KUBEPLAY_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
        done = subprocess.run(bare.argv(), env=env, capture_output=True, text=True, cwd="/")
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    assert "logs" in complete("kubeplay lo")
    assert "--no-trunc" in complete("kubeplay ps --no-")
    assert "inspect" in complete("kubeplay secret i")


@pytest.mark.root
def test_completion_of_names(kp: Kubeplay) -> None:
    kp("volume", "create", "my-volume")
    env = {**kp.env, "_KUBEPLAY_COMPLETE": "bash_complete", "COMP_WORDS": "kubeplay volume rm my", "COMP_CWORD": "3"}
    done = subprocess.run(kp.argv(), env=env, capture_output=True, text=True, cwd="/")
    assert "plain,my-volume" in done.stdout


@pytest.mark.root
def test_ps_loads_nothing_it_does_not_need(kp: Kubeplay) -> None:
    kp("ps")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "kubeplay", "ps", "-a"], env=kp.env, capture_output=True, text=True, cwd="/"
    )
    loaded = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    heavy = {
        "click",
        "yaml",
        "jinja2",
        "subprocess",
        "dataclasses",
        "logging",
        "asyncio",
        "pyroute2",
        "kubernetes",
        "inspect",
        "pathlib",
        "tempfile",
    }
    assert not loaded & heavy


@pytest.mark.root
def test_debug_shows_programs_and_tracebacks(kp: Kubeplay) -> None:
    kp.image()
    container = "{name: a, image: localhost/bb:1, command: [sleep, '99']}"
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: d}}\nspec: {{nodeSelector: {{a: b}}, containers: [{container}]}}"
    said = kp("--log-level", "debug", "play", "kube", "-", stdin=pod)
    assert "debug: " in said.err and "conmon" in said.err and "spec.nodeSelector: has no effect" in said.err
    assert "Traceback" in kp("logs", "nope", "--log-level=debug", status=125).err
    assert "Traceback" not in kp("logs", "nope", status=125).err


@pytest.mark.root
def test_info(kp: Kubeplay) -> None:
    found = kp("info", "--format", "json").json
    assert found["host"]["ociRuntime"]["name"] and found["store"]["root"] == str(kp.root)
    assert kp("info", "--format", "{{.store.pods}}").out == "0\n"


@pytest.mark.root
def test_system_check_lists_everything(kp: Kubeplay) -> None:
    said = kp("system", "check")
    own = ("user namespace", "cgroup delegation") if plain_user() else ("cgroups", "firewall")
    for what in ("conmon", "nft", "gpg", "git", "python packages", "CA certificates", "OCI runtime", "layers", "namespaces", *own):
        assert what in said.out
    missing = subprocess.run(
        kp.argv("system", "check", "--format", "json"), env={**kp.env, "KUBEPLAY_RUNTIME": "/nonesuch"}, capture_output=True, text=True
    )
    assert missing.returncode == 1
    assert [one["State"] for one in json.loads(missing.stdout) if one["Name"] == "OCI runtime"] == ["missing"]


@pytest.mark.root
@pytest.mark.rootful("a user's pods are not behind the machine's forwarding rules")
def test_system_check_finds_a_foreign_drop(kp: Kubeplay) -> None:
    """Docker, ufw and firewalld drop forwarded traffic by policy: in a network namespace of its own."""
    rules = "add table inet foreign; add chain inet foreign forward { type filter hook forward priority 0; policy drop; }"
    script = f"nft '{rules}'; exec {' '.join(kp.argv('system', 'check'))}"
    done = subprocess.run(["unshare", "--net", "sh", "-c", script], env=kp.env, capture_output=True, text=True, cwd="/")
    assert "inet foreign forward" in done.stdout and "nft insert rule inet foreign forward" in done.stdout, done


@pytest.mark.root
def test_all_pods_are_those_of_the_user(kp: Kubeplay) -> None:
    """The DNS server comes and goes with the pods that ask it: `rm --all` does not try to remove it a second time."""
    kp.image()
    container = "{name: a, image: localhost/bb:1, command: [sleep, '99']}"
    kp("play", "kube", "-q", "-", stdin=f"apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{container}]}}")
    assert "kube-dns" in kp("pod", "ps", "-A").out
    assert kp("pod", "rm", "-fa", "-t", "0").out == "p\n"
    assert kp("pod", "ps", "-Aq").out == ""


@pytest.mark.root
def test_reset_removes_everything_also_from_a_broken_state(kp: Kubeplay) -> None:
    kp.image()
    pod = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: 'localhost/bb:1', command: [sleep, '99']}]}\n"
    )
    kp("play", "kube", "-", stdin=pod)
    pid = int(kp("inspect", "p-a", "-f", "{{.State.Pid}}").out)
    assert "--force" in kp("system", "reset", status=125).err
    (kp.root / "state.db").write_bytes(b"this is no database" * 1000)
    for name in ("state.db-wal", "state.db-shm"):
        (kp.root / name).unlink(missing_ok=True)
    kp("system", "reset", "--force")
    assert not os.path.exists(f"/proc/{pid}") or "Z" in Path(f"/proc/{pid}/stat").read_text()
    assert not kp.root.exists() and not kp.runroot.exists()


def test_reset_refuses_what_is_not_ours(bare: Kubeplay) -> None:
    bare.root.mkdir()
    (bare.root / "thesis.tex").write_text("years of work")
    assert "thesis.tex" in bare("system", "reset", "--force", status=125).err
    assert (bare.root / "thesis.tex").exists()


def test_the_repository_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "kubeplay", "--version"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0


@pytest.mark.root
def test_a_fixed_service_address_is_judged_by_the_range_that_this_root_will_have(tmp_path: Path) -> None:
    """Another root has the first free range: its addresses are refused at their line, before anything of this root is made."""
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  clusterIP: %s\n  ports: [{port: 80}]\n"
    first, second = (Kubeplay(tmp_path / name) for name in "ab")
    for kp in (first, second):
        kp.directory.mkdir()
    try:
        first("play", "kube", "-q", first.file("web.yaml", service.replace("  clusterIP: %s\n", "")))
        with closing(sqlite3.connect(first.root / "state.db")) as db:
            ((taken,),) = db.execute("SELECT value FROM leases WHERE pool='servicerange'")
        theirs = second.file("theirs.yaml", service % taken.replace(".0.0/16", ".3.4"))
        for flags in (["--dry-run"], []):
            said = second("play", "kube", "-q", *flags, theirs, status=125)
            assert f"{theirs}:4:1: spec.clusterIPs" in said.err and "The range of valid IPs is 10." in said.err, said
            assert not second.root.exists() or not list(second.root.glob("cache/*"))
        right = said.err.partition("The range of valid IPs is ")[2].partition(".0.0/16")[0]
        ours = second.file("ours.yaml", service % f"{right}.3.4")
        second("play", "kube", "-q", ours)
        beside = second.file("beside.yaml", (service % f"{right}.3.4").replace("name: web", "name: beside"))
        assert f"clusterIP {right}.3.4 is already in use by default/web" in second("play", "kube", "--dry-run", beside).err
    finally:
        for kp in (first, second):
            kp("system", "reset", "--force")
