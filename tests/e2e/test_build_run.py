"""RUN --mount with real containers: binds, caches, secrets, agents; nothing of them ends in a layer, in history or in what is printed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from kubeplay.engine.build import mounts
from kubeplay.engine.build.mounts import Secret
from kubeplay.errors import BuildError, InvalidInput
from tests.support.builds import Builds, builds, shared_builds

__all__ = ["builds", "shared_builds"]
pytestmark = pytest.mark.root


def test_binds(builds: Builds) -> None:
    image = builds(
        "FROM BASE AS one\nRUN mkdir /out && echo built > /out/app\nFROM BASE\n"
        "RUN --mount=type=bind,target=/ctx --mount=from=one,source=/out,target=/out "
        "cat /ctx/f /out/app > /both; touch /ctx/no || echo read-only\n"
        "RUN --mount=type=bind,source=f,target=/single,rw echo more >> /single && cat /single\n"
        "RUN --mount=type=bind,target=/ctx,rw touch /ctx/new && ls /ctx\n", {"f": "f\n"},
    )  # fmt: skip
    tree = builds.tree(image)
    assert (tree / "both").read_text() == "f\nbuilt\n"
    assert not (tree / "ctx").exists() and not (tree / "out").exists() and not (tree / "single").exists()
    assert "read-only" in builds.told.text and "f\nmore\n" in builds.told.text and "new\n" in builds.told.text
    assert os.listdir(builds.directory / f"context{builds._contexts}") == ["f"]
    assert (builds.directory / f"context{builds._contexts}/f").read_text() == "f\n"


def test_a_bind_is_part_of_the_key(builds: Builds) -> None:
    text = "FROM BASE\nRUN --mount=type=bind,source=f,target=/f cat /f > /copy\n"
    builds(text, {"f": "1"})
    builds(text, {"f": "1"})
    assert builds.told.cached == 1
    assert (builds.tree(builds(text, {"f": "2"})) / "copy").read_text() == "2"
    assert builds.told.cached == 0


def test_caches_stay_between_builds(builds: Builds) -> None:
    text = "FROM BASE\nRUN --mount=type=cache,id={},target=/cache,uid=1234,mode=0700 cat /cache/f; "
    text += "echo {} >> /cache/f; stat -c '%u %a' /cache\n"
    builds(text.format("a/../../../../../escape", 1), no_cache=True)
    image = builds(text.format("a/../../../../../escape", 2), no_cache=True)
    assert builds.told.text == "1\n1234 700\n"
    assert not (builds.tree(image) / "cache").exists()
    names = os.listdir(mounts.cache_directory(builds.engine.paths))
    assert all(len(name.removesuffix(".lock")) == 64 for name in names), "an id is no path"
    builds("FROM BASE\nRUN --mount=type=cache,id=other,target=/cache ls -A /cache | wc -l\n", no_cache=True)
    assert builds.told.text == "0\n"
    assert mounts.prune(builds.engine.paths) == 2


def test_a_private_cache_is_not_shared_while_it_is_used(builds: Builds) -> None:
    text = "FROM BASE\nRUN --mount=type=cache,id=p,sharing=private,target=/cache ls /cache; touch /cache/{}\n"
    builds(text.format("first"), no_cache=True)
    fd = mounts._lock(f"{mounts.cache_directory(builds.engine.paths)}/{mounts_name('p')}.lock", "locked")
    try:
        builds(text.format("second"), no_cache=True)
        assert builds.told.text == "", "a fresh one"
    finally:
        os.close(fd)
    builds(text.format("third"), no_cache=True)
    assert builds.told.text == "first\n"
    mounts.prune(builds.engine.paths)


def mounts_name(name: str) -> str:
    from hashlib import sha256

    return sha256(name.encode()).hexdigest()


def everything(builds: Builds) -> bytes:
    """Every byte below the root, and what was said."""
    found = subprocess.run(["grep", "-rla", "--", "TOPSECRET", builds.engine.paths.root], capture_output=True, check=False).stdout
    assert found == b"", found
    return builds.told.data + "".join(builds.told.lines).encode()


def test_secrets_are_nowhere(builds: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s").write_text("TOPSECRET-file")
    monkeypatch.setenv("FROM_ENV", "TOPSECRET-env")
    image = builds(
        "FROM BASE\nRUN --mount=type=secret,id=f cat /run/secrets/f | wc -c; stat -c %a /run/secrets/f; mount | grep -c 'secrets.*tmpfs'\n"
        "RUN --mount=type=secret,id=e,target=/deep/er/e,uid=1234,mode=0440 stat -c '%u %a' /deep/er/e && cat /deep/er/e | wc -c\n"
        "RUN --mount=type=secret,id=e,env=TOKEN echo ${#TOKEN}\nRUN --mount=type=secret,id=none,target=/n ls /n || echo absent\n",
        secrets=(("f", Secret("file", str(tmp_path / "s"))), ("e", Secret("env", "FROM_ENV"))),
    )  # fmt: skip
    assert builds.told.text.startswith("14\n400\n1\n1234 440\n13\n13\n") and "absent" in builds.told.text
    assert b"TOPSECRET" not in everything(builds)
    tree = builds.tree(image)
    assert not (tree / "run").exists() and not (tree / "deep").exists()
    assert b"TOPSECRET" not in json.dumps(builds.config(image)).encode()
    builds("FROM BASE\nRUN --mount=type=secret,id=f cat /run/secrets/f | wc -c\n", secrets=(("f", Secret("file", str(tmp_path / "s"))),))
    (tmp_path / "s").write_text("TOPSECRET-another")
    builds("FROM BASE\nRUN --mount=type=secret,id=f cat /run/secrets/f | wc -c\n", secrets=(("f", Secret("file", str(tmp_path / "s"))),))
    assert builds.told.cached == 1, "what a secret holds is not in the key"
    with pytest.raises(BuildError, match="the secret x is required"):
        builds("FROM BASE\nRUN --mount=type=secret,id=x,required=true true\n")
    with pytest.raises(BuildError, match="No such file"):
        builds("FROM BASE\nRUN --mount=type=secret,id=x true\n", secrets=(("x", Secret("file", str(tmp_path / "none"))),))


def test_an_agent_is_passed_on(builds: Builds, tmp_path: Path) -> None:
    path = tmp_path / "agent"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(1)
    os.chmod(path, 0o600)

    def answer() -> None:
        client, _ = server.accept()
        with client:
            client.sendall(b"answer to " + client.recv(100))

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        builds(
            "FROM BASE\nRUN --mount=type=ssh,uid=1234 stat -c %u $SSH_AUTH_SOCK; "
            "echo ping | nc local:$SSH_AUTH_SOCK || true; echo $SSH_AUTH_SOCK\n",
            ssh=(("default", (str(path),)),), no_cache=True,
        )  # fmt: skip
    finally:
        with socket.socket(socket.AF_UNIX) as other:  # where nc cannot speak to a socket
            other.connect(str(path))
            other.sendall(b"x")
            thread.join()
        server.close()
    assert builds.told.text.startswith("1234\n") and "/run/buildkit/ssh_agent.0" in builds.told.text
    assert os.stat(path).st_uid == os.getuid(), "the caller's own socket is as it was"
    with pytest.raises(BuildError, match="agent default is required"):
        builds("FROM BASE\nRUN --mount=type=ssh,required=true true\n")


def test_a_key_is_loaded_into_an_agent_of_our_own(builds: Builds, tmp_path: Path) -> None:
    if not os.path.exists("/usr/bin/ssh-keygen") or not os.path.exists("/usr/bin/ssh-agent"):
        pytest.skip("openssh-client is not installed")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    keys = (("default", (str(tmp_path / "key"),)),)
    builds("FROM BASE\nRUN --mount=type=ssh test -S $SSH_AUTH_SOCK && echo there\n", ssh=keys, no_cache=True)
    assert builds.told.text == "there\n"


def test_tmpfs_and_places_that_are_refused(builds: Builds) -> None:
    image = builds("FROM BASE\nRUN --mount=type=tmpfs,target=/t,size=1m dd if=/dev/zero of=/t/f bs=1M count=2; mount | grep ' /t '\n")
    assert "size=1024k" in builds.told.text and not (builds.tree(image) / "t").exists()
    for target in ("/", "/proc/x", "/dev", "/sys/fs"):
        with pytest.raises((BuildError, InvalidInput), match="cannot be"):
            builds(f"FROM BASE\nRUN --mount=type=tmpfs,target={target} true\n")
    with pytest.raises(BuildError, match="cannot be mounted at"):
        builds("FROM BASE\nRUN ln -s /proc /p\nRUN --mount=type=tmpfs,target=/p/sys true\n")


def test_limits(builds: Builds) -> None:
    from kubeplay.engine.build.runner import Limits

    builds("FROM BASE\nRUN ulimit -n; df -k /dev/shm | tail -1; grep CapEff /proc/self/status\n", no_cache=True,
           limits=Limits(cap_drop=("ALL",), cap_add=("CHOWN",), shm=1 << 20, ulimits=(("nofile", 100, 200),)))  # fmt: skip
    assert builds.told.text.startswith("100\n") and " 1024 " in builds.told.text and "0000000000000001" in builds.told.text
