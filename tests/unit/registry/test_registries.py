"""registries.conf: what a short name means, where an image is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubeplay.engine.images.reference import parse
from kubeplay.engine.images.registry import conf, registries
from kubeplay.errors import Ambiguous, InvalidInput, RegistryError

CONF = """
unqualified-search-registries = ["one.example", "two.example:5000"]
[aliases]
"tools" = "quay.io/team/tools"
"team/app" = "r.example/app"
[[registry]]
prefix = "example.com/foo"
location = "inside.example/bar"
[[registry.mirror]]
location = "m0.local/foo"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "m1.local/foos"
insecure = true
[[registry]]
prefix = "example.com/foo/secret"
location = "example.com/foo/secret"
blocked = true
[[registry]]
prefix = "*.wild.example"
insecure = true
[[registry]]
location = "localhost:5000"
insecure = true
[[registry]]
prefix = "docker.io/library"
location = "hub.local/lib"
mirror-by-digest-only = true
[[registry.mirror]]
location = "dm.local/lib"
"""
DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def config(tmp_path: Path) -> conf.Registries:
    (tmp_path / "r.conf").write_text(CONF)
    return conf.load([str(tmp_path / "r.conf")])


def names(config: conf.Registries, name: str) -> list[str]:
    return [str(one) for one in registries.resolve(name, config)]


def test_short_names(config: conf.Registries) -> None:
    assert names(config, "web:1") == ["one.example/web:1", "two.example:5000/web:1"]
    assert names(config, "tools") == ["quay.io/team/tools:latest"]
    assert names(config, "tools:2") == ["quay.io/team/tools:2"]
    assert names(config, f"team/app@{DIGEST}") == [f"r.example/app@{DIGEST}"]
    assert names(config, f"tools:2@{DIGEST}") == [f"quay.io/team/tools:2@{DIGEST}"]
    assert names(config, "quay.io/tools") == ["quay.io/tools:latest"]
    assert names(config, "localhost/tools") == ["localhost/tools:latest"]
    assert names(conf.Registries(), "nginx") == ["docker.io/library/nginx:latest"], "as in a cluster"


def test_enforcing_asks_for_a_whole_name(config: conf.Registries) -> None:
    with pytest.raises(Ambiguous, match=r"one\.example/web:1"):
        registries.resolve("web:1", config._replace(short_name_mode="enforcing"))
    assert names(config._replace(short_name_mode="enforcing", search=("one.example",)), "web") == ["one.example/web:latest"]


def places(config: conf.Registries, name: str, pull: bool = True) -> list[tuple[str, bool]]:
    return [(str(one.reference), one.insecure) for one in registries.endpoints(parse(name), config, pull)]


def test_endpoints(config: conf.Registries) -> None:
    assert places(config, "example.com/foo/x:1") == [("m1.local/foos/x:1", True), ("inside.example/bar/x:1", False)]
    assert places(config, f"example.com/foo/x@{DIGEST}") == [
        (f"m0.local/foo/x@{DIGEST}", False), (f"m1.local/foos/x@{DIGEST}", True), (f"inside.example/bar/x@{DIGEST}", False),
    ]  # fmt: skip
    assert places(config, "example.com/foo/x:1", pull=False) == [("example.com/foo/x:1", False)], "redirection is for reading"
    assert places(config, "example.com/food/x:1") == [("example.com/food/x:1", False)]
    assert places(config, "a.b.wild.example:5000/x:1") == [("a.b.wild.example:5000/x:1", True)]
    assert places(config, "wild.example/x:1") == [("wild.example/x:1", False)]
    assert places(config, "localhost:5000/x:1") == [("localhost:5000/x:1", True)]
    assert places(config, "localhost:50001/x:1") == [("localhost:50001/x:1", False)]
    assert places(config, "nginx:1") == [("hub.local/lib/nginx:1", False)]
    assert places(config, f"nginx@{DIGEST}") == [(f"dm.local/lib/nginx@{DIGEST}", False), (f"hub.local/lib/nginx@{DIGEST}", False)]
    with pytest.raises(RegistryError, match="blocked"):
        places(config, "example.com/foo/secret/x:1")


def test_later_files_win(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text(CONF)
    (tmp_path / "b.conf").write_text('[aliases]\n"tools" = ""\n[[registry]]\nlocation = "localhost:5000"\nblocked = true\n')
    merged = conf.load([str(tmp_path / "a.conf"), str(tmp_path / "absent.conf"), str(tmp_path / "b.conf")])
    assert merged.search == ("one.example", "two.example:5000")
    assert names(merged, "tools") == ["one.example/tools:latest", "two.example:5000/tools:latest"]
    with pytest.raises(RegistryError, match=r"localhost:5000 is blocked in .*b\.conf"):
        places(merged, "localhost:5000/x")


def test_which_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / ".config/containers"
    (own / "registries.conf.d").mkdir(parents=True)
    (own / "registries.conf.d/z.conf").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CONTAINERS_REGISTRIES_CONF", raising=False)
    assert conf.files()[0] == "/etc/containers/registries.conf" and conf.files()[-1] == str(own / "registries.conf.d/z.conf")
    (own / "registries.conf").write_text("")
    assert conf.files()[0] == str(own / "registries.conf")
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", "/x.conf")
    assert conf.files() == ("/x.conf",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = ", "r.conf"),
        ('[registries.search]\nregistries = ["a"]', "version 1"),
        ("unqualified-search-registries = [1]", "list of strings"),
        ('short-name-mode = "odd"', "short-name-mode"),
        ('[[registry]]\nprefix = "a.b"', "no location"),
        ('[[registry]]\nlocation = "https://a.b"', "scheme"),
        ('[[registry]]\nprefix = "a.*.b"\nlocation = "x.y"', "first part"),
        ('[[registry]]\nlocation = "a.b"\ninsecure = "yes"', "true or false"),
        ('[[registry]]\nlocation = "a.b"\n[[registry.mirror]]\nlocation = "m.x"\npull-from-mirror = "odd"', "pull-from-mirror"),
        ("[registry]\nlocation = 'a.b'", "list of tables"),
    ],
)
def test_faults_name_the_file(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "r.conf"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=words) as caught:
        conf.load([str(path)])
    assert str(path) in str(caught.value)
