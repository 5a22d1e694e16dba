"""Repositories through git: which commit, its files, what a hostile one cannot do. Everything on this machine, by paths and file://."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.errors import CommandFailed, InvalidInput, NotFound
from kubeplay.sync import git, sources
from kubeplay.sync.model import GIT, Spec
from tests.support.repository import HERE, Repository


def _source(repository: Repository, tmp_path: Path, source: str = "", **given: str) -> git.Git:
    return git.Git(Spec("s", GIT, source or str(repository.path), "shown", **given), str(tmp_path / "state"))  # type: ignore[arg-type]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    made = Repository(tmp_path / "shop")
    monkeypatch.setenv("HOME", str(made.home))
    yield made


def _files(source: git.Git, tmp_path: Path, revision: str = "") -> Path:
    out = tmp_path / f"out{len(os.listdir(tmp_path))}"
    out.mkdir()
    source.files(revision or source.revision(), str(out))
    return out


def test_the_default_branch_and_its_files(repository: Repository, tmp_path: Path) -> None:
    first = repository.commit(app_yaml="one", base__b_yaml="two")
    source = _source(repository, tmp_path)
    assert source.revision() == f"main@sha1:{first}"
    out = _files(source, tmp_path)
    assert (out / "app.yaml").read_text() == "one" and (out / "base/b.yaml").read_text() == "two" and not (out / ".git").exists()
    second = repository.commit(app_yaml="three")
    assert source.revision() == f"main@sha1:{second}"
    assert (_files(source, tmp_path) / "app.yaml").read_text() == "three"
    assert (_files(source, tmp_path, f"main@sha1:{first}") / "app.yaml").read_text() == "one"  # what came stays


def test_branches_tags_and_commits(repository: Repository, tmp_path: Path) -> None:
    first = repository.commit(a="1")
    repository("tag", "light")
    repository("tag", "-a", "-m", "x", "v1")
    repository("checkout", "-q", "-b", "team/next")
    second = repository.commit(a="2")
    repository("checkout", "-q", "main")
    for given, revision in (
        ({"branch": "team/next"}, f"team/next@sha1:{second}"), ({"tag": "light"}, f"light@sha1:{first}"),
        ({"tag": "v1"}, f"v1@sha1:{first}"), ({"commit": first}, f"sha1:{first}"), ({"commit": second[:9]}, f"sha1:{second}"),
    ):  # fmt: skip
        source = _source(repository, tmp_path / revision[:2], **given)
        assert source.revision() == revision
        assert (_files(source, tmp_path) / "a").read_text() == ("2" if second in revision else "1")


def test_an_old_commit_by_name_over_file_protocol(repository: Repository, tmp_path: Path) -> None:
    first = repository.commit(a="1")
    repository.commit(a="2")
    source = _source(repository, tmp_path, f"file://{repository.path}", commit=first)
    assert (_files(source, tmp_path) / "a").read_text() == "1"


@pytest.mark.parametrize(("given", "why"), [({"branch": "no"}, "no branch 'no'"), ({"tag": "no"}, "no tag 'no'"),
                                            ({"commit": "abcdef12"}, "no commit abcdef12")])  # fmt: skip
def test_what_is_not_there(repository: Repository, tmp_path: Path, given: dict[str, str], why: str) -> None:
    repository.commit(a="1")
    with pytest.raises(NotFound, match=why):
        _source(repository, tmp_path, **given).revision()


def test_an_empty_repository_and_none(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is empty"):
        _source(repository, tmp_path).revision()
    with pytest.raises(CommandFailed, match="git: exit status"):
        _source(repository, tmp_path, str(tmp_path / "nothing")).revision()


@pytest.mark.parametrize(
    "given",
    [{"source": "--upload-pack=touch x"}, {"source": "/a b"}, {"branch": "--x"}, {"tag": "-t"}, {"commit": "HEAD"}, {"commit": "--all"},
     {"branch": "a\nb"}],
)  # fmt: skip
def test_words_that_git_would_take_for_options(repository: Repository, tmp_path: Path, given: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        _source(repository, tmp_path, **given)


@pytest.mark.parametrize("url", ["ext::sh -c 'touch /tmp/x'", "ext::x"])
def test_protocols_that_run_programs(repository: Repository, tmp_path: Path, url: str) -> None:
    with pytest.raises((InvalidInput, CommandFailed)):
        _source(repository, tmp_path, url).revision()


def test_hooks_filters_and_attributes_of_the_repository_do_nothing(repository: Repository, tmp_path: Path) -> None:
    attributes = "a filter=evil\nb export-ignore\nc export-subst\nd text eol=crlf\n"
    repository.commit(a="1", b="2", c="$Format:%H$", d="x\ny\n", **{".gitattributes": attributes})
    mark = tmp_path / "ran"
    (repository.home / ".gitconfig").write_text(f'[filter "evil"]\n\tsmudge = touch {mark}; cat\n\trequired\n')
    (repository.path / ".git/hooks").mkdir(exist_ok=True)
    for hook in ("post-checkout", "post-merge", "reference-transaction", "pre-receive"):
        path = repository.path / f".git/hooks/{hook}"
        path.write_text(f"#!/bin/sh\ntouch {mark}\n")
        path.chmod(0o755)
    out = _files(_source(repository, tmp_path), tmp_path)
    assert {one.name: one.read_text() for one in out.iterdir() if one.name in "abcd"} == {
        "a": "1",
        "b": "2",
        "c": "$Format:%H$",
        "d": "x\ny\n",
    }
    assert not mark.exists()


def test_links_that_lead_out(repository: Repository, tmp_path: Path) -> None:
    (repository.path / "in").symlink_to("a")
    repository.commit(a="1")
    assert (_files(_source(repository, tmp_path), tmp_path) / "in").read_text() == "1"
    (repository.path / "out").symlink_to("../home/.ssh/id_rsa")
    repository.commit(a="1")
    with pytest.raises(InvalidInput, match="leads out of the source"):
        _files(_source(repository, tmp_path), tmp_path)


def test_submodules_are_not_followed(repository: Repository, tmp_path: Path) -> None:
    other = Repository(tmp_path / "other" / "lib")
    commit = other.commit(x="1")
    repository.commit(a="1", **{".gitmodules": f'[submodule "lib"]\n\tpath = lib\n\turl = {other.path}\n'})
    repository("update-index", "--add", "--cacheinfo", f"160000,{commit},lib")
    repository("commit", "-q", "-m", "x")
    out = _files(_source(repository, tmp_path), tmp_path)
    assert not list((out / "lib").iterdir()) if (out / "lib").exists() else True


def test_a_crafted_tree_does_not_come_in(repository: Repository, tmp_path: Path) -> None:
    repository.commit(a="1")
    blob = repository("rev-parse", "HEAD:a")
    raw = b"100644 ..\0" + bytes.fromhex(blob)
    argv = ["git", "-C", str(repository.path), "hash-object", "-t", "tree", "-w", "--stdin", "--literally"]
    made = (
        subprocess.run(argv, input=raw, check=True, capture_output=True, env={**HERE, "HOME": str(repository.home)}).stdout.decode().strip()
    )
    commit = repository("commit-tree", "-m", "x", made)
    repository("update-ref", "refs/heads/evil", commit)
    with pytest.raises((CommandFailed, InvalidInput)):
        _files(_source(repository, tmp_path, branch="evil"), tmp_path)


def test_a_repository_that_is_too_large(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository.path / "big").write_bytes(os.urandom(1 << 20))
    repository.commit(a="1")
    monkeypatch.setattr(git, "MAX_BYTES", 1 << 16)
    with pytest.raises(CommandFailed):
        _files(_source(repository, tmp_path), tmp_path)


def test_what_is_watched(repository: Repository, tmp_path: Path) -> None:
    repository.commit(a="1")
    repository("branch", "team/next")
    found = {os.path.relpath(path, repository.path) for path in _source(repository, tmp_path).watched()}
    assert found == {".git", ".git/refs/heads", ".git/refs/heads/team", ".git/refs/tags"}
    assert _source(repository, tmp_path, "https://host/x.git").watched() == []


def test_passwords_are_not_shown() -> None:
    assert git.without_password("https://me:secret@host/x.git") == "https://***@host/x.git"
    assert git.without_password("https://ghp_token@host/x.git") == "https://***@host/x.git"  # forges take a token as the name
    assert git.without_password("https://host/x.git") == "https://host/x.git"
    assert git.without_password("ssh://git@host/x.git") == "ssh://git@host/x.git"


def test_an_unencrypted_failure_does_not_show_it(repository: Repository, tmp_path: Path) -> None:
    url = "file://me:secret@/nowhere/x.git"
    source = git.Git(Spec("s", GIT, url, git.without_password(url)), str(tmp_path / "state"))
    with pytest.raises(CommandFailed) as caught:
        source.revision()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "wants_git", "kind"),
    [
        ("oci://host/x:1", False, "oci"), ("https://host/x.git", False, "git"), ("https://github.com/team/shop", False, "git"),
        ("git@host:team/x.git", False, "git"), ("ssh://git@host/x", False, "git"), ("file:///x/y", False, "git"),
        ("HERE", False, "directory"), ("HERE", True, "git"), ("BARE", False, "git"),
    ],
)  # fmt: skip
def test_what_a_person_means(tmp_path: Path, text: str, wants_git: bool, kind: str) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "bare")], check=True, env={**HERE, "HOME": str(tmp_path)})
    words = {"HERE": str(tmp_path), "BARE": str(tmp_path / "bare")}
    assert sources.kind(words.get(text, text), wants_git) == kind


@pytest.mark.parametrize("text", ["https://host/app.yaml", "s3://bucket/x", "/no/such/directory", __file__])
def test_what_is_no_source(text: str) -> None:
    with pytest.raises((InvalidInput, NotFound)):
        sources.kind(text, False)


def test_over_ssh(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for ssh runs the server's side here: what git hands over, and that it is never asked for anything."""
    commit = repository.commit(a="1")
    stand_in = tmp_path / "ssh"
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/said\nfor last; do :; done\nexec sh -c "$last"\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(stand_in))
    source = _source(repository, tmp_path, f"git@git.example:{repository.path}")
    assert source.revision() == f"main@sha1:{commit}" and (_files(source, tmp_path) / "a").read_text() == "1"
    assert "git@git.example git-upload-pack" in (tmp_path / "said").read_text() and source.watched() == []


def test_ssh_never_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)
    found = git.environment(True)
    assert "BatchMode=yes" in found["GIT_SSH_COMMAND"] and found["GIT_TERMINAL_PROMPT"] == "0"
    alone = git.environment(False)
    assert alone["HOME"] == "/nonexistent" and alone["GIT_CONFIG_GLOBAL"] == "/dev/null"


def test_over_http_from_a_server_of_plain_files(repository: Repository, tmp_path: Path) -> None:
    """The dumb protocol gives no shallow commits: then everything comes."""
    import functools
    import http.server
    import threading

    first = repository.commit(a="1")
    second = repository.commit(a="2")
    bare = tmp_path / "www" / "shop.git"
    subprocess.run(
        ["git", "clone", "-q", "--bare", str(repository.path), str(bare)], check=True, env={**HERE, "HOME": str(repository.home)}
    )
    subprocess.run(["git", "-C", str(bare), "update-server-info"], check=True, env={**HERE, "HOME": str(repository.home)})

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path / "www"))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}/shop.git"
            source = _source(repository, tmp_path, url)
            assert source.revision().endswith(second) and (_files(source, tmp_path) / "a").read_text() == "2"
            assert (_files(_source(repository, tmp_path, url, commit=first), tmp_path) / "a").read_text() == "1"
        finally:
            server.shutdown()
            thread.join()
