"""COPY and ADD with real root file systems: places, owners, modes, patterns, archives, URLs, git, ignore files."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kubeplay.errors import BuildError, InvalidInput
from tests.support.builds import Builds, builds, shared_builds

__all__ = ["builds", "shared_builds"]
pytestmark = pytest.mark.root


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on loopback; its URL and directory."""
    base = tmp_path / "web"
    base.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(base)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", base
    server.shutdown()
    thread.join()
    server.server_close()


def test_places(builds: Builds) -> None:
    image = builds(
        "FROM BASE\nRUN mkdir /there && ln -s /there /link && ln -s /made/later /dangling\nWORKDIR /w\n"
        "COPY a /there\nCOPY a /renamed\nCOPY a new/dir/\nCOPY a d /both/\nCOPY d /content\nCOPY a /link/deep/\n"
        "COPY a /dangling/\nCOPY d/ .\n",
        {"a": "a", "d/x": "x", "d/sub/y": "y", "d/l": Path("x")},
    )  # fmt: skip
    tree = builds.tree(image)
    assert (tree / "there/a").read_text() == "a" and (tree / "renamed").read_text() == "a" and (tree / "w/new/dir/a").read_text() == "a"
    assert sorted(os.listdir(tree / "both")) == ["a", "l", "sub", "x"]
    assert (tree / "content/sub/y").read_text() == "y" and (tree / "content/l").readlink() == Path("x")
    assert (tree / "there/deep/a").exists() and (tree / "made/later/a").exists() and (tree / "w/sub/y").exists()


def test_patterns_and_missing_ones(builds: Builds) -> None:
    files = {"a1.txt": "1", "a2.txt": "2", "b.md": "b", "x[1].txt": "x", "deep/er/c.txt": "c"}
    image = builds("FROM scratch\nCOPY a?.txt [^a].md /p/\nCOPY x[[]1].txt /q/\nCOPY **/c.txt /r/\n", files)
    tree = builds.tree(image)
    assert sorted(os.listdir(tree / "p")) == ["a1.txt", "a2.txt", "b.md"]
    assert os.listdir(tree / "q") == ["x[1].txt"] and os.listdir(tree / "r") == ["c.txt"]
    with pytest.raises(BuildError, match=r"\*\.none: no such file"):
        builds("FROM scratch\nCOPY *.none /p/\n", files)


def test_owners_modes_and_times(builds: Builds) -> None:
    context = builds.context({"f": "f", "d/g": "g"})
    (context / "f").chmod(0o4750)
    os.utime(context / "f", (1000, 1000))
    image = builds(
        "FROM BASE\nCOPY f /plain\nCOPY --chown=app:extra f /named\nCOPY --chown=77 f /number\nCOPY --chown=app f /user\n"
        "COPY --chmod=640 f d /modes/\nCOPY --chmod=u=rwX,go=rX d /symbolic\nCOPY --chown=5:6 f /made/by/copy/\n",
        context=context,
    )  # fmt: skip
    tree = builds.tree(image)

    def owner(path: str) -> tuple[int, int]:
        return (tree / path).stat().st_uid, (tree / path).stat().st_gid

    assert owner("plain") == (0, 0) and (tree / "plain").stat().st_mode & 0o7777 == 0o4750 and (tree / "plain").stat().st_mtime == 1000
    assert owner("named") == (1234, 3456) and owner("number") == (77, 77) and owner("user") == (1234, 2345)
    assert (tree / "modes/f").stat().st_mode & 0o7777 == 0o640 and (tree / "symbolic/g").stat().st_mode & 0o7777 == 0o644
    assert owner("made/by") == (5, 6)
    with pytest.raises(BuildError, match="nobody-here"):
        builds("FROM BASE\nCOPY --chown=nobody-here f /x\n", context=context)
    with pytest.raises((BuildError, InvalidInput), match="chmod"):
        builds("FROM BASE\nCOPY --chmod=rwx f /x\n", context=context)


def test_links_and_special_files(builds: Builds) -> None:
    context = builds.context({"d/one": "same", "sparse": ""})
    os.link(context / "d/one", context / "d/two")
    os.mkfifo(context / "d/fifo")
    with open(context / "sparse", "wb") as file:
        file.truncate(8 << 30)
        file.seek(4 << 30)
        file.write(b"x")
    image = builds("FROM scratch\nCOPY d /d\n", context=context)
    tree = builds.tree(image)
    assert (tree / "d/one").stat().st_ino == (tree / "d/two").stat().st_ino
    assert (tree / "d/fifo").is_fifo()


def test_parents_exclude_and_link(builds: Builds) -> None:
    files = {"a/b/c.txt": "c", "a/b/d.md": "d", "a/x.txt": "x"}
    text = "FROM BASE\nCOPY --parents a/b/c.txt a/./b/d.md /p/\nCOPY --exclude=*/*.md --exclude=a/b/*.md a /e\nCOPY --link a /l\n"
    image = builds(text, files)
    tree = builds.tree(image)
    assert (tree / "p/a/b/c.txt").exists() and (tree / "p/b/d.md").exists()
    assert (tree / "e/b/c.txt").exists() and not (tree / "e/b/d.md").exists()
    assert builds.members(builds.layers(image)[-1]) == ["l", "l/b", "l/b/c.txt", "l/b/d.md", "l/x.txt"]


def test_ignore_files(builds: Builds) -> None:
    files = {
        ".dockerignore": "secret\n*.log\nbig\n!big/kept\n", "secret": "s", "x.log": "l", "sub/y.log": "y", "big/no": "n", "big/kept": "k",
        "f": "f",
    }  # fmt: skip
    image = builds("FROM scratch\nCOPY . /all\n", files)
    tree = builds.tree(image)
    found = sorted(str(p.relative_to(tree / "all")) for p in (tree / "all").rglob("*"))
    assert found == [".dockerignore", "big", "big/kept", "f", "sub", "sub/y.log"]
    with pytest.raises(BuildError, match="ignore file hides it"):
        builds("FROM scratch\nCOPY secret /\n", files)


def archive(names: dict[str, str], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as made:
        for name, text in names.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uid = len(text), 0o644, 7
            made.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def test_add_unpacks_archives_of_the_context(builds: Builds) -> None:
    files = {f"a.{kind}": archive({f"in/{kind}": kind}, f"w:{kind}") for kind in ("gz", "bz2", "xz")}
    files |= {"a.tar": archive({"in/tar": "tar"}), "plain.gz": b"\x1f\x8bnot gzip at all", "text": b"text"}
    image = builds(
        "FROM BASE\nRUN mkdir -p /real && ln -s /real /un\nADD a.gz a.bz2 a.xz a.tar /un/\nCOPY a.tar /kept.tar\nADD plain.gz /plain\n"
        "ADD --unpack=false a.tar /raw.tar\nADD --chown=9:9 a.tar /owned\nADD text /text\n", files,
    )  # fmt: skip
    tree = builds.tree(image)
    assert sorted(os.listdir(tree / "real/in")) == ["bz2", "gz", "tar", "xz"]
    assert (tree / "real/in/tar").stat().st_uid == 7 and (tree / "owned/in/tar").stat().st_uid == 9
    assert (tree / "kept.tar").read_bytes() == files["a.tar"] == (tree / "raw.tar").read_bytes()
    assert (tree / "plain").read_bytes() == files["plain.gz"] and (tree / "text").read_text() == "text"


def test_add_of_urls(builds: Builds, web: tuple[str, Path]) -> None:
    url, base = web
    (base / "file").write_text("over the wire")
    (base / "a.tar").write_bytes(archive({"x": "y"}))
    digest = sha256(b"over the wire").hexdigest()
    image = builds(f"FROM scratch\nADD {url}/file /one\nADD --checksum=sha256:{digest} {url}/file /dir/\nADD {url}/a.tar /\n")
    tree = builds.tree(image)
    assert (tree / "one").read_text() == "over the wire" and (tree / "one").stat().st_mode & 0o777 == 0o600
    assert (tree / "dir/file").exists() and (tree / "a.tar").exists()
    with pytest.raises(BuildError, match="its checksum is"):
        builds(f"FROM scratch\nADD --checksum=sha256:{'0' * 64} {url}/file /one\n")
    with pytest.raises(BuildError, match="404"):
        builds(f"FROM scratch\nADD {url}/none /one\n")
    (base / "file").write_text("changed")
    again = builds(f"FROM scratch\nADD {url}/file /one\n")
    assert (builds.tree(again) / "one").read_text() == "changed"


def repository(base: Path) -> str:
    work = base / "work"
    work.mkdir()
    git = ["git", "-C", str(work), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    (work / "sub").mkdir()
    (work / "sub/f").write_text("of git")
    (work / "Containerfile").write_text("FROM scratch\nCOPY sub/f /f\n")
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "x"], ["tag", "v1"]):
        subprocess.run([*git, *words], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(base / "web/repo.git")], check=True)
    subprocess.run(["git", "-C", str(base / "web/repo.git"), "update-server-info"], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def test_git(builds: Builds, web: tuple[str, Path], tmp_path: Path) -> None:
    url, _ = web
    commit = repository(tmp_path)
    image = builds(f"FROM scratch\nADD {url}/repo.git#v1:sub /sub\nADD --keep-git-dir=true {url}/repo.git /whole\n")
    tree = builds.tree(image)
    assert (tree / "sub/f").read_text() == "of git" and (tree / "whole/.git/HEAD").exists() and (tree / "whole/sub/f").exists()
    with pytest.raises(BuildError, match="the commit is"):
        builds(f"FROM scratch\nADD --checksum={'0' * 40} {url}/repo.git /x\n")
    from kubeplay.engine.build.request import Request
    from kubeplay.engine.build.run import build

    found = build(builds.engine, Request(context=f"{url}/repo.git#{commit}"))
    assert (builds.tree(found) / "f").read_text() == "of git"


def test_named_contexts(builds: Builds, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("named")
    image = builds(
        "FROM base\nCOPY --from=extra f /f\nRUN --mount=from=extra,target=/m cp /m/f /g\n",
        build_contexts=(("extra", str(tmp_path)), ("base", "docker-image://localhost/base:1")),
    )
    tree = builds.tree(image)
    assert (tree / "f").read_text() == "named" and (tree / "g").read_text() == "named" and (tree / "f").stat().st_uid == 0
