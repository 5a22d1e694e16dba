"""The executor's pure parts: modes, patterns, where paths lead, URLs and repositories, what a command line means."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from kubeplay.engine.build import fetch, modes, network, places, sources
from kubeplay.engine.build.network import Names
from kubeplay.errors import BuildError, InvalidInput
from tests.support import certificates
from tests.support.hostile_registry import hostile, says


@pytest.mark.parametrize(
    ("text", "mode", "directory", "wanted"),
    [
        ("755", 0o644, False, 0o755), ("4711", 0, False, 0o4711), ("u+x", 0o644, False, 0o744), ("go-rwx", 0o777, False, 0o700),
        ("a=r", 0o777, False, 0o444), ("=rw", 0o111, False, 0o666), ("u=rwX,go=rX", 0o600, False, 0o644),
        ("u=rwX,go=rX", 0o600, True, 0o755),
        ("+t", 0o755, True, 0o1755), ("u+s,g+s", 0o755, False, 0o6755), ("g=u", 0o640, False, 0o660), ("u-w+x", 0o600, False, 0o500),
    ],
)  # fmt: skip
def test_modes(text: str, mode: int, directory: bool, wanted: int) -> None:
    assert modes.change(text)(mode, directory) == wanted


@pytest.mark.parametrize("text", ["", "8", "77777", "u", "rwx", "u+q", "u=rw,", "0x1"])
def test_modes_that_are_none(text: str) -> None:
    with pytest.raises(BuildError):
        modes.change(text)


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("*", "a.b", True), ("a?", "ab", True), ("a?", "a", False), ("[a-c]", "b", True), ("[^a-c]", "b", False), ("[^a-c]", "d", True),
        ("\\*", "*", True), ("\\*", "x", False), ("a[]]b", "a]b", True), ("[\\]]", "]", True), ("x.y", "xzy", False), ("*.go", ".go", True),
    ],
)  # fmt: skip
def test_patterns(pattern: str, name: str, fits: bool) -> None:
    if pattern == "a[]]b":  # Go: a class must not be empty, and ] cannot begin one
        with pytest.raises(BuildError):
            sources.matcher(pattern)
        return
    assert sources.matcher(pattern)(name) is fits


def test_patterns_that_would_backtrack() -> None:
    """A hostile Containerfile: with plain .* this takes longer than the universe will last."""
    assert not sources.matcher("*a" * 40 + "*b")("a" * 255)
    assert sources.matcher("*a" * 40 + "*b")("a" * 254 + "b")


@pytest.mark.parametrize("pattern", ["[", "[a", "[]", "[b-a]", "a\\", "[-]", "[a-]"])
def test_patterns_that_are_none(pattern: str) -> None:
    with pytest.raises(BuildError):
        sources.matcher(pattern)


def test_places(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("/real")
    (tmp_path / "out").symlink_to("../../../..")
    (tmp_path / "dangling").symlink_to("/new/place")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("")
    root = places.open_root(str(tmp_path))
    try:
        assert places.true_path(root, "/link/../link") == "/real" and places.true_path(root, "out") == "/"
        fd, made = places.made(root, "/link/a/b", mode=0o700)
        assert made == ["/real/a", "/real/a/b"] and (tmp_path / "real/a/b").stat().st_mode & 0o777 == 0o700
        os.close(fd)
        fd, made = places.made(root, "/dangling/../../../x")
        assert made == ["/new", "/new/place", "/x"] or made == ["/new", "/x"] or (tmp_path / "x").is_dir()
        os.close(fd)
        for path in ("/loop/x", "/file/x"):
            with pytest.raises(BuildError):
                places.made(root, path)
    finally:
        os.close(root)


def test_urls_and_repositories() -> None:
    assert all(map(fetch.is_git, ("https://x/y.git", "https://x/y.git#main:sub", "git@github.com:a/b", "git://x/y", "github.com/a/b")))
    assert not any(map(fetch.is_git, ("https://x/y", "./dir.git", "x.git", "/a")))
    for text in ("--upload-pack=touch /tmp/x", "https://x/y.git#--upload-pack=x"):
        with pytest.raises(BuildError):
            fetch.clone(text, "/nonexistent")


def test_names_of_the_network() -> None:
    network.check_names(Names(("a;b:10.0.0.1", "c:fd00::1"), ("::1",), ("example.org",), ("ndots:2",)))
    for bad in (
        Names(("a",)), Names((":1.2.3.4",)), Names(("a b:1.2.3.4",)), Names(("a\n:1.2.3.4",)), Names((), ("x",)), Names((), (), ("a\nb",)),
        Names(("a:host-gateway",)),
    ):  # fmt: skip
        with pytest.raises(InvalidInput):
            network.check_names(bad)
    assert network.kinds(()) == "default" and network.kinds(("host",)) == "host"
    with pytest.raises(InvalidInput):
        network.kinds(("host", "none"))


def test_downloads_do_not_leave_encryption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirect from https to http lets anybody on the way choose what goes into the image, unless its checksum is known."""
    certs = certificates.make(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certs.ca))
    with hostile() as plain, hostile(certs) as safe:
        plain.on(".*", says(200, b"content"))
        safe.on(".*", says(302, Location=f"{plain.url}/f"))
        with pytest.raises(BuildError, match="not encrypted"):
            fetch.download(f"{safe.url}/f", str(tmp_path), name="f")
        known = f"sha256:{hashlib.sha256(b'content').hexdigest()}"
        assert Path(fetch.download(f"{safe.url}/f", str(tmp_path), known, "f")).read_bytes() == b"content"


def test_a_server_does_not_say_how_long_we_wait(tmp_path: Path) -> None:
    with hostile() as hub:
        hub.on(".*", says(503, Retry_After="100000"))
        with pytest.raises(BuildError, match="answers 503"):
            fetch.download(f"{hub.url}/f", str(tmp_path), name="f")
