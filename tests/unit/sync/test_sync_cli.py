"""What the words of the command line come to, the unit, and what status shows."""

from __future__ import annotations

import configparser
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kubeplay.cli import quick, sync, syncstatus
from kubeplay.cli.app import App
from kubeplay.errors import InvalidInput, NotFound
from kubeplay.sync.model import Spec
from kubeplay.sync.unit import unit

SHA = "0123456789" * 4


def _given(tmp_path: Path, *words: str) -> tuple[App, str, dict[str, Any]]:
    parsed = quick.parse(["--root", str(tmp_path / "root"), "--runroot", str(tmp_path / "run"), "sync", *words])
    assert parsed is not None
    values = dict(parsed[1])
    return App(parsed[2]), values.pop("words")[0], values


def _spec(tmp_path: Path, *words: str) -> Spec:
    return sync._spec(*_given(tmp_path, *words))


def test_a_directory(tmp_path: Path) -> None:
    found = _spec(tmp_path, str(tmp_path), "--name", "shop", "--prune", "-R", "--interval", "30s", "-n", "team")
    assert found == Spec("shop", "directory", str(tmp_path), str(tmp_path), "team", recursive=True, prune=True, interval=30.0)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["https://me:pw@host/team/shop.git"], {"name": "shop", "kind": "git", "shown": "https://***@host/team/shop.git"}),
        (["git@host:team/shop.git", "--tag", "v1", "--path", "deploy"], {"name": "shop-deploy", "tag": "v1", "path": "deploy"}),
        (["oci://host:5000/team/shop", "--tag", "v2"], {"name": "shop", "kind": "oci", "tag": "v2"}),
        ([".", "--branch", "main", "--name", "x"], {"kind": "git", "branch": "main"}),
        (["https://host/x.git", "--commit", SHA, "--timeout", "1m"], {"commit": SHA, "timeout": 60.0, "interval": 60.0}),
    ],
)
def test_other_sources(tmp_path: Path, words: list[str], expected: dict[str, Any]) -> None:
    found = _spec(tmp_path, *words)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--branch", "a", "--tag", "b", "https://host/x.git"], "exclude"), (["oci://host/x", "--branch", "a"], "for git"),
        (["/", "--name", "Shop"], "cannot name a sync"), (["/", "--interval", "0.1"], "a second"), (["/", "--timeout", "0"], "a second"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, words: list[str], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        _spec(tmp_path, *words)


def test_one_source_at_a_time(tmp_path: Path) -> None:
    app, _, given = _given(tmp_path, "/a", "/b")
    with pytest.raises(InvalidInput, match="one source at a time"):
        sync.sync.run(app, words=("/a", "/b"), **given)
    with pytest.raises(InvalidInput, match="-o is for"):
        sync.sync.run(app, words=("/a",), **{**given, "output": "json"})


def _read(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


def test_a_unit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app, source, given = _given(tmp_path, "git@host:team/shop.git", "--branch", "50%", "--prune", "--interval", "2m", "--systemd")
    assert sync.sync.run(app, words=(source,), **given) == 0
    found = _read(capsys.readouterr().out)
    start = found["Service"]["ExecStart"]
    assert start.endswith(
        f"--root {tmp_path}/root --runroot {tmp_path}/run --namespace default sync --watch --name shop --branch=50%% --prune"
        " --interval=120s git@host:team/shop.git"
    )
    assert (found["Service"]["Type"], found["Service"]["Restart"], found["Service"]["KillMode"]) == ("exec", "on-failure", "process")
    assert found["Unit"]["After"] == "network-online.target" and not (tmp_path / "root").exists()
    words = start.replace("%%", "%").split()
    parsed = quick.parse(words[words.index("--root") :])
    assert parsed is not None and sync._spec(App(parsed[2]), source, parsed[1]) == sync._spec(app, source, given)  # the same sync


@pytest.mark.parametrize("words", [["https://me:pw@host/x.git"], ["oci://host/x", "--creds", "me:pw"]])
def test_no_password_in_a_unit(tmp_path: Path, words: list[str]) -> None:
    app, source, given = _given(tmp_path, *words, "--systemd")
    with pytest.raises(InvalidInput, match="read by everybody"):
        sync.sync.run(app, words=(source,), **given)


def test_status_where_nothing_is_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app, _, given = _given(tmp_path, "status")
    assert sync.sync.run(app, words=("status",), **given) == 0
    assert capsys.readouterr() == ("", "No source is followed here.\n")
    assert sync.sync.run(app, words=("status",), **{**given, "output": "json"}) == 0
    assert capsys.readouterr().out == "[]\n"
    with pytest.raises(NotFound, match="no sync 'x'"):
        sync.sync.run(app, words=("status", "x"), **given)
    with pytest.raises(InvalidInput, match="needs a name"):
        sync.sync.run(app, words=("rm",), **given)


@pytest.mark.parametrize(
    ("revision", "shown"), [("", ""), (f"main@sha1:{SHA}", "main@sha1:01234567"), (f"sha256:{SHA}", "sha256:01234567")]
)
def test_short_revisions(revision: str, shown: str) -> None:
    assert syncstatus.short(revision) == shown


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="Debian's package systemd is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    spec = Spec("shop", "directory", "/srv/100% shop", "/srv/100% shop")
    path = tmp_path / "kubeplay-sync-shop.service"
    path.write_text(unit(("/bin/true",), "/tmp", "/tmp", spec, ["sync", "--watch", spec.source], False))
    words = ["systemd-analyze", "verify", "--man=no", str(path)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert "kubeplay-sync-shop" not in done.stderr, done.stderr


class _Follower:
    """A source that is at rest; its only step hears a signal and goes on, as an apply that is nearly done does."""

    def __init__(self, number: int) -> None:
        self.number, self.steps, self.source = number, 0, self

    def begin(self) -> None:
        pass

    def places(self) -> list[tuple[str, bool]]:
        return []

    def wait(self) -> float:
        return 100.0

    def step(self, stirred: bool) -> None:
        self.steps += 1
        before = signal.signal(self.number, lambda number, frame: None)
        signal.raise_signal(self.number)
        signal.signal(self.number, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_an_apply_outlives_ends_it_all_the_same(number: int) -> None:
    follower = _Follower(number)
    assert sync._watch(follower) == 0 and follower.steps == 1  # type: ignore[arg-type]
