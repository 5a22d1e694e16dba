"""Auth files and credential helpers: real files, real programs."""

from __future__ import annotations

import base64
import json
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from kubeplay.engine.images.registry import authfile
from kubeplay.engine.images.registry.credentials import Credential
from kubeplay.errors import CommandFailed, InvalidInput, MissingPrerequisite, NotFound

HELPER = """#!/bin/sh
read -r line
printf '%s %s\\n' "$1" "$line" >> "$HOME/asked"
case "$1:$line" in
get:token.example) echo '{"ServerURL":"x","Username":"<token>","Secret":"refresh"}';;
get:broken.example) echo 'not json';;
get:angry.example) echo 'the key ring is locked'; exit 1;;
get:*) [ -f "$HOME/kept" ] && sed 's/ServerURL/Server/' "$HOME/kept" && exit 0; echo 'credentials not found in native keychain'; exit 1;;
store:*) printf '%s' "$line" > "$HOME/kept";;
erase:*) rm -f "$HOME/kept";;
esac
"""


def entry(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory, and docker-credential-box on PATH."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/docker-credential-box"
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    for name in ("REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def write(path: Path, content: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return str(path)


def test_order_of_files(home: Path) -> None:
    found = lambda: authfile.find("", "r.example", "a/b")  # noqa: E731
    assert found() is None
    write(home / ".dockercfg", {"https://r.example/v1/": entry("cfg:1")})
    assert found() == Credential("cfg", "1")
    write(home / ".docker/config.json", {"auths": {"https://r.example": entry("docker:2")}})
    assert found() == Credential("docker", "2")
    write(home / ".config/containers/auth.json", {"auths": {"r.example": entry("config:3")}})
    assert found() == Credential("config", "3")
    write(home / "run/containers/auth.json", {"auths": {"r.example": entry("run:4")}})
    assert found() == Credential("run", "4")
    given = write(home / "given.json", {"auths": {"r.example": {"username": "plain", "password": "a:b"}}})
    assert authfile.find(given, "r.example", "a/b") == Credential("plain", "a:b")


def test_a_given_file_is_the_only_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home / "run/containers/auth.json", {"auths": {"r.example": entry("run:4")}})
    given = write(home / "given.json", {})
    assert authfile.find(given, "r.example", "a") is None
    monkeypatch.setenv("REGISTRY_AUTH_FILE", given)
    assert authfile.places() == (given,) and authfile.find("", "r.example", "a") is None
    with pytest.raises(NotFound, match="credential file is not accessible: faccessat .*: no such file or directory"):
        authfile.find(str(home / "absent.json"), "r.example", "a")


def test_the_longest_key_wins(home: Path) -> None:
    content = {"auths": {"r.example": entry("all:1"), "r.example/team": entry("team:2"), "r.example/team/app": entry("app:3"),
                         "https://index.docker.io/v1/": entry("hub:4"), "empty.example": {}}}  # fmt: skip
    look = lambda *where: authfile.lookup(content, *where)  # noqa: E731
    assert [look("r.example", path).username for path in ("team/app", "team/app2", "team/app/x", "other")] == ["app", "team", "app", "all"]  # type: ignore[union-attr]
    assert look("docker.io", "library/nginx") == Credential("hub", "4")
    assert look("empty.example", "x") is None and look("r.example:5000", "x") is None


def test_identity_tokens_and_damage(home: Path) -> None:
    assert authfile.lookup({"auths": {"r.example": {"identitytoken": "t", **entry("u:")}}}, "r.example", "x") == Credential("u", "", "t")
    with pytest.raises(InvalidInput, match="base64"):
        authfile.lookup({"auths": {"r.example": {"auth": "a"}}}, "r.example", "x")
    for text in ("{", "[1]", "[" * 100_000):
        (home / "bad.json").write_text(text)
        with pytest.raises(InvalidInput, match="bad.json is no auth file"):
            authfile.load(str(home / "bad.json"))


def test_store_and_erase(home: Path) -> None:
    path = authfile.primary()
    assert authfile.store(path, "r.example", Credential("me", "p:w")) == path
    authfile.store(path, "r.example/team", Credential("team", "x"))
    file = Path(path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert authfile.users() == {"r.example": "me", "r.example/team": "team"}
    assert authfile.find("", "r.example", "a") == Credential("me", "p:w")
    assert authfile.erase(path, "r.example") and not authfile.erase(path, "r.example")
    assert authfile.users() == {"r.example/team": "team"}
    content = json.loads(file.read_text())
    write(file, {**content, "HttpHeaders": {"X": "kept"}})
    authfile.erase_all(path)
    assert json.loads(file.read_text()) == {"auths": {}, "HttpHeaders": {"X": "kept"}}
    assert sorted(one.name for one in file.parent.iterdir()) == ["auth.json", "auth.json.lock"]


def test_logins_at_once_all_stay(home: Path) -> None:
    path = authfile.primary()
    threads = [threading.Thread(target=authfile.store, args=(path, f"r{n}.example", Credential("me", str(n)))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(authfile.users()) == 8


def test_a_link_stays_a_link(home: Path) -> None:
    target = write(home / "real.json", {"auths": {}})
    (home / "link.json").symlink_to(target)
    authfile.store(str(home / "link.json"), "r.example", Credential("me", "x"))
    assert (home / "link.json").is_symlink() and "r.example" in json.loads(Path(target).read_text())["auths"]


def test_helpers(home: Path) -> None:
    content = {"credHelpers": {"token.example": "box", "broken.example": "box", "angry.example": "box", "gone.example": "absent",
                               "evil.example": "../../bin/sh", "none.example": "box"}}  # fmt: skip
    assert authfile.lookup(content, "token.example", "x") == Credential("", "", "refresh")
    assert authfile.lookup(content, "none.example", "x") is None
    with pytest.raises(InvalidInput, match="answers no credential"):
        authfile.lookup(content, "broken.example", "x")
    with pytest.raises(CommandFailed, match="locked"):
        authfile.lookup(content, "angry.example", "x")
    with pytest.raises(MissingPrerequisite, match="docker-credential-absent"):
        authfile.lookup(content, "gone.example", "x")
    assert authfile.lookup({"credsStore": "desktop"}, "r.example", "x") is None, "as Docker Desktop leaves it"
    with pytest.raises(InvalidInput, match="no name of a credential helper"):
        authfile.lookup(content, "evil.example", "x")


def test_a_store_of_credentials_keeps_them_out_of_the_file(home: Path) -> None:
    path = write(home / "auth.json", {"credsStore": "box"})
    assert authfile.store(path, "r.example", Credential("me", "secret")) == "docker-credential-box"
    assert "secret" not in Path(path).read_text()
    assert authfile.find(path, "r.example", "x") == Credential("me", "secret")
    assert authfile.erase(path, "r.example")
    assert authfile.find(path, "r.example", "x") is None
    assert (home / "asked").read_text().splitlines()[0].startswith('store {"ServerURL": "r.example"')
