"""image trust show, image trust set and image sign, as people type them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import Kubeplay
from tests.support.images import file, layer
from tests.support.registry import registry
from tests.support.trust import Gpg, gpg

pytestmark = pytest.mark.root


class Person(Kubeplay):
    """Somebody with a home of his own and a GPG key."""

    def __init__(self, directory: Path, made: Gpg) -> None:
        super().__init__(directory)
        self.home = directory / "home"
        self.home.mkdir()
        self.env.update(HOME=str(self.home), GNUPGHOME=str(made.home))
        self.policy = str(self.home / ".config/containers/policy.json")
        self.key = made.make("Release <release@team.example>")
        self.public = self.file("release.gpg", "")
        Path(self.public).write_bytes(made.public(self.key, armor=True))


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    base = tmp_path_factory.mktemp("t")
    with gpg(base / "h") as made:
        person = Person(base, made)
        yield person
        person("system", "reset", "--force", status=None)


def _set(kp: Person, *argv: str, status: int = 0) -> str:
    return kp("image", "trust", "set", "--policypath", kp.policy, *argv, status=status).err


def test_setting_and_showing(kp: Person) -> None:
    _set(kp, "-t", "reject", "default")
    _set(kp, "-t", "accept", "quay.io/team")
    _set(kp, "-f", f"{kp.public},{kp.public}", "registry.example:5000/x")
    _set(kp, "--type=sigstoreSigned", "-f", kp.public, "*.example.org")
    _set(kp, "-t", "reject", "quay.io/team")
    Path(kp.home / "rd").mkdir()
    (kp.home / "rd/a.yaml").write_text("docker:\n  registry.example:5000: {lookaside: 'https://sigs.example'}\n")
    rows = [
        ("all", "default", "reject"), ("repository", "*.example.org", "sigstoreSigned", "N/A"), ("repository", "quay.io/team", "reject"),
        *[("repository", "registry.example:5000/x", "signed", "release@team.example", "https://sigs.example")] * 2,
    ]  # fmt: skip
    said = kp("image", "trust", "show", "--registrypath", str(kp.home / "rd"))
    assert [tuple(line.split()) for line in said.lines] == [("TRANSPORT", "NAME", "TYPE", "ID", "STORE"), *rows]
    assert kp("image", "trust", "show", "--noheading", "quay.io/team/x").lines == [
        "all         default       reject", "repository  quay.io/team  reject"
    ]  # fmt: skip
    assert kp("image", "trust", "show", "--json", "quay.io").json == [
        {"transport": "all", "name": "* (default)", "repo_name": "default", "type": "reject"},
        {"transport": "repository", "name": "quay.io/team", "repo_name": "quay.io/team", "type": "reject"},
    ]
    raw = kp("image", "trust", "show", "--raw").json
    assert raw["transports"]["docker"]["registry.example:5000/x"] == [
        {"type": "signedBy", "keyType": "GPGKeys", "keyPath": kp.public} for _ in range(2)
    ]


def test_what_cannot_be_set_leaves_the_file_alone(kp: Person) -> None:
    _set(kp, "-t", "reject", "default")
    before = Path(kp.policy).read_bytes()
    assert "at least one public key" in _set(kp, "quay.io", status=125)
    assert "there is no public key /nowhere" in _set(kp, "-f", "/nowhere", "quay.io", status=125)
    assert "unexpectedly provided" in _set(kp, "-t", "reject", "-f", kp.public, "quay.io", status=125)
    assert "no image name" in _set(kp, "-t", "reject", "not a name", status=125)
    assert Path(kp.policy).read_bytes() == before
    Path(kp.policy).write_text("{")
    assert "not JSON" in _set(kp, "-t", "reject", "quay.io", status=125)
    assert "not JSON" in kp("image", "trust", "show", status=125).err
    Path(kp.policy).write_bytes(before)


def test_other_entries_and_links_stay(kp: Person) -> None:
    value = {"default": [{"type": "reject"}], "transports": {"atomic": {"a.b/c": [{"type": "reject"}]}, "dir": {"": [{"type": "reject"}]}}}
    real = Path(kp.file("real.json", json.dumps(value)))
    link = kp.home / "link.json"
    link.symlink_to(real)
    kp("image", "trust", "set", "--policypath", str(link), "-t", "accept", "a.b/c")
    kp("image", "trust", "set", "--policypath", str(link), "-t", "accept", "x.io")
    accept = [{"type": "insecureAcceptAnything"}]
    value["transports"] = {"atomic": {"a.b/c": accept}, "dir": {"": [{"type": "reject"}]}, "docker": {"x.io": accept}}
    assert link.is_symlink() and json.loads(real.read_text()) == value


def test_signing_an_image_of_a_registry_and_pulling_it(kp: Person, tmp_path: Path) -> None:
    with registry(tmp_path / "hub", tls=True, users={"me": "secret"}) as hub:
        assert hub.certs
        digest = hub.put_image("team/web", "1", [layer([file("a", b"one")])])
        name, there = hub.name("team/web", "1"), ("--cert-dir", str(hub.certs.cert_dir))
        kp("login", *there, "-u", "me", "-p", "secret", hub.address)
        _set(kp, "-t", "reject", "default")
        _set(kp, "-f", kp.public, hub.address)
        (kp.home / ".config/containers/registries.d").mkdir(exist_ok=True)
        (kp.home / ".config/containers/registries.d/a.yaml").write_text(f"default-docker: {{lookaside: 'file://{tmp_path}/sigs'}}\n")
        refused = kp("pull", *there, name, status=125).err
        assert "a signature was required" in refused and digest in refused and str(kp.policy) in refused
        assert "no identity provided" in kp("image", "sign", *there, f"docker://{name}", status=125).err
        assert "gpg did not sign" in kp("image", "sign", *there, "--sign-by", "nobody", f"docker://{name}", status=125).err
        assert "invalid directory" in kp("image", "sign", "--sign-by", kp.key, "-d", "/nowhere", f"docker://{name}", status=125).err
        assert kp("image", "sign", *there, "--sign-by", "release@team.example", f"docker://{name}").out == ""
        assert (tmp_path / f"sigs/team/web@{digest.replace(':', '=')}/signature-1").exists()
        assert kp("pull", "-q", *there, name).out
        (tmp_path / "own").mkdir()
        kp("image", "sign", "-d", str(tmp_path / "own"), "--sign-by", kp.key, name)
        time.sleep(1.1)  # a signature's time has whole seconds, and an equal signature is not stored twice
        kp("image", "sign", "-d", str(tmp_path / "own"), "--sign-by", kp.key, name)
        assert len(list((tmp_path / f"own/team/web@{digest.replace(':', '=')}").iterdir())) == 2
        assert "Docker reference" in kp("image", "sign", "--sign-by", kp.key, kp("images", "-q").lines[0], status=125).err
