"""Names as docker and podman write them, and the ones they refuse (podman-kube-facts.md 4.3)."""

from __future__ import annotations

import pytest

from kubeplay.engine.images import reference
from kubeplay.errors import InvalidInput

HEX = "a" * 64


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("team/web", "docker.io/team/web:latest"),
        ("docker.io/busybox:1", "docker.io/library/busybox:1"),
        ("index.docker.io/busybox", "docker.io/library/busybox:latest"),
        ("localhost/bb:1", "localhost/bb:1"),
        ("localhost:5000/bb", "localhost:5000/bb:latest"),
        ("registry.example.com:5000/a/b/c:v1.2-3_x", "registry.example.com:5000/a/b/c:v1.2-3_x"),
        ("[::1]:5000/x:1", "[::1]:5000/x:1"),
        ("a__b/c-d--e.f", "docker.io/a__b/c-d--e.f:latest"),
        ("my_team/web:1", "docker.io/my_team/web:1"),
        (f"busybox@sha256:{HEX}", f"docker.io/library/busybox@sha256:{HEX}"),
        (f"quay.io/x:1@sha256:{HEX}", f"quay.io/x:1@sha256:{HEX}"),
        ("Quay.IO/x", "Quay.IO/x:latest"),
        ("UPPER/x", "UPPER/x:latest"),
        (HEX[:63], f"docker.io/library/{HEX[:63]}:latest"),
    ],
)
def test_normalise(name: str, full: str) -> None:
    assert reference.normalise(name) == full
    assert reference.normalise(full) == full


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "Busybox",
        "a/B",
        "a//b",
        "/a",
        "a/",
        "a:",
        "a:b:c",
        "a:.x",
        "a@",
        "a@sha256:abc",
        "-a",
        "a..b",
        "a b",
        "a\n",
        "a\0b",
        "../x",
        "./x",
        "http://x/y",
        "a:" + "t" * 129,
        "a/" * 140 + "b",
        "b" * 300,
        HEX,
        f"x@md5:{'a' * 32}",
        f"x@sha256:{'A' * 64}",
        f"x@sha256:{'a' * 63}",
        "x@sha256:../../../etc/passwd",
        "é",
        "a" * 100_000,
        "a-" * 60_000,
    ],
)
def test_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="invalid reference format") as error:
        reference.parse(name)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    ("full", "short"),
    [("docker.io/library/busybox:1", "busybox:1"), ("docker.io/team/x:1", "team/x:1"), ("localhost/x:1", "localhost/x:1")],
)
def test_familiar(full: str, short: str) -> None:
    assert reference.familiar(full) == short


def test_short_names() -> None:
    assert [reference.is_short(n) for n in ("x", "a/b", "localhost/x", "q.io/x", "h:1/x")] == [True, True, False, False, False]


_DOMAINS = ["localhost", "quay.io", "a-b.c:5000", "Host", "x", "h:", "-a.b", "a..b", "[::1]:5", "k\u212a.io", "a_b.c"]
_PATHS = ["a", "team/web", "a.b-c/d", "a--b", "a..b", "-a", "a-", "", "a//b", "a/", "A", "a_b", "é", "a" * 260]
_TAGS = ["", ":", ":1", ":1.2-rc", ":V1", ":.x", ":-x", ":x_", ":" + "t" * 128, ":" + "t" * 129, ":1@sha256:" + "0" * 64]


def test_the_short_way_reads_as_the_grammar_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(name: str) -> reference.Reference | None:
        try:
            return reference.parse(name)
        except InvalidInput:
            return None

    names = [f"{domain}/{path}{tag}" for domain in _DOMAINS for path in _PATHS for tag in _TAGS]
    found = {name: read(name) for name in names}
    monkeypatch.setattr(reference, "_plain", lambda name: None)
    assert found == {name: read(name) for name in names}
