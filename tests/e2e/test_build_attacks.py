"""Hostile contexts, Containerfiles and base images: nothing of the host is read or written, nothing smuggled into a layer or a cache."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kubeplay.engine.build import workspace
from kubeplay.engine.build.request import Request
from kubeplay.engine.build.run import build
from kubeplay.engine.host.userns import rootless
from kubeplay.errors import BuildError, KubeplayError
from tests.support.builds import Builds, builds, shared_builds
from tests.support.hostile_registry import hostile, says

__all__ = ["builds", "shared_builds"]
pytestmark = pytest.mark.root
MARK = "host-only-content"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A directory of the host that no build may see."""
    base = tmp_path / "host"
    base.mkdir()
    (base / "file").write_text(MARK)
    return base


def test_links_of_a_context_lead_nowhere_outside(builds: Builds, host: Path) -> None:
    files = {
        "abs": host / "file", "dir": host, "up": Path("../../../../../../../..") / str(host)[1:] / "file",
        "sub/in": Path("../real"), "real": "ok",
    }  # fmt: skip
    for source in ("abs", "dir/file", "up", "dir/", "dir/*"):
        with pytest.raises(BuildError, match="no such file|No such file"):
            builds(f"FROM scratch\nCOPY {source} /x/\n", files)
    image = builds("FROM scratch\nCOPY sub/in /followed\nCOPY . /all\n", files)
    tree = builds.tree(image)
    assert (tree / "followed").read_text() == "ok"
    assert os.readlink(tree / "all/abs") == str(host / "file"), "a link inside a directory stays a link"


def test_dotdot_in_sources_stays_inside(builds: Builds, host: Path) -> None:
    for source in ("../../../../etc/passwd", "/../../etc/passwd"):
        with pytest.raises(KubeplayError):
            builds(f"FROM scratch\nCOPY {source} /x\n", {"f": "f"})


def test_links_of_an_image_lead_targets_nowhere_outside(builds: Builds, host: Path) -> None:
    builds(
        f"FROM BASE\nRUN ln -s {host} /out && ln -s ../../../../../../../../../..{host} /up && mkdir /etc2 && ln -s {host}/file /etc2/f\n"
        "COPY f /out/stolen\nCOPY f /up/stolen\nCOPY f /etc2/f\nADD a.tar /out/\nWORKDIR /out/dir\nRUN touch here\n",
        {"f": "f", "a.tar": _tar({"unpacked": "u"})},
    )  # fmt: skip
    assert os.listdir(host) == ["file"] and (host / "file").read_text() == MARK


def test_links_of_a_stage_lead_sources_nowhere_outside(builds: Builds, host: Path) -> None:
    for source in ("/out/file", "/link"):
        with pytest.raises(BuildError, match="o such file"):
            builds(f"FROM BASE AS one\nRUN ln -s {host} /out && ln -s {host}/file /link\nFROM scratch\nCOPY --from=one {source} /x\n")


def test_mounts_of_a_hostile_image(builds: Builds, host: Path) -> None:
    """CVE-2024-1753, CVE-2024-9407: the source of a bind is a link to the host's root."""
    builds(f"FROM BASE\nRUN ln -s / /root-link && ln -s {host} /host-link\n", tags=("hostile",))
    for source in ("/host-link", "/root-link/" + str(host)):
        with pytest.raises(BuildError, match="No such file"):
            builds(f"FROM BASE\nRUN --mount=type=bind,from=localhost/hostile,source={source},target=/m,rw cat /m/file\n")
    builds("FROM BASE\nRUN --mount=type=bind,from=localhost/hostile,source=/root-link,target=/m,rw ls /m/proc | wc -l; touch /m/x; true\n")
    assert builds.told.text == "0\n", "the link means the image's own root"
    with pytest.raises(BuildError, match="No such file"):
        builds("FROM BASE\nRUN --mount=type=bind,source=link,target=/m cat /m\n", {"link": host / "file"})


def test_targets_of_mounts_follow_links_within_the_image(builds: Builds, host: Path) -> None:
    builds(f"FROM BASE\nRUN ln -s {host} /trap\nRUN --mount=type=tmpfs,target=/trap/deeper touch /trap/deeper/x\n")
    assert os.listdir(host) == ["file"]


def test_mounts_below_a_mount_do_not_follow_its_links(builds: Builds) -> None:
    """CVE-2025-31133, CVE-2019-19921: a link in a mounted image leads a later mount to /dev, whose null masks, or to /proc."""
    links = "ln -s /dev /h/d; ln -s /proc /h/p; ln -s real /h/in; ln -s /proc/sys /ev/null"
    builds(f"FROM BASE\nRUN mkdir -p /h/real /ev; {links}\n", tags=("links",))
    image = "--mount=type=bind,from=localhost/links"
    for mount in (f"{image},source=/ev,target=/m/d", "--mount=type=tmpfs,target=/m/p/sys", "--mount=type=tmpfs,target=/m/in/x"):
        with pytest.raises(BuildError, match="behind a link"):
            builds(f"FROM BASE\nRUN {image},source=/h,target=/m {mount} true\n")
    with pytest.raises(BuildError, match="behind a link"):
        builds(
            "FROM BASE\nRUN --mount=type=cache,id=l,target=/c ln -s /proc /c/p\n"
            "RUN --mount=type=cache,id=l,target=/c --mount=type=tmpfs,target=/c/p/sys true\n", no_cache=True,
        )  # fmt: skip
    builds(f"FROM BASE\nRUN {image},source=/h,target=/m --mount=type=tmpfs,target=/m/real touch /m/real/x\n")
    builds("FROM BASE\nRUN --mount=type=cache,target=/k --mount=type=cache,target=/k/deeper touch /k/deeper/x\n")


def test_accounts_of_a_hostile_image(builds: Builds, host: Path) -> None:
    """CVE-2024-9676: /etc/passwd is a link to a file of the host, a FIFO, or endless."""
    (host / "passwd").write_text("evil:x:4242:4242::/:/bin/sh\n")
    with pytest.raises(BuildError, match="unable to find user evil"):
        builds(f"FROM BASE\nRUN rm /etc/passwd && ln -s {host}/passwd /etc/passwd\nCOPY --chown=evil f /f\n", {"f": "f"})
    with pytest.raises(BuildError, match="unable to find user evil"):
        builds("FROM BASE\nRUN rm /etc/passwd && mkfifo /etc/passwd\nUSER evil\nRUN id\n")
    with pytest.raises(BuildError, match="exit status 1" if rootless() else "unable to find user evil"):  # nobody but root makes a node
        builds("FROM BASE\nRUN rm /etc/passwd && mknod /etc/passwd c 1 5\nUSER evil\nRUN id\n")
    with pytest.raises(KubeplayError, match="outside 0..2147483647|out of range"):
        builds("FROM BASE\nUSER 4294967296\nRUN id\n")


def test_caches_planted_with_links(builds: Builds, host: Path) -> None:
    """CVE-2024-9675."""
    builds(f"FROM BASE\nRUN --mount=type=cache,id=c,target=/c ln -sfn {host} /c/out\n", no_cache=True)
    with pytest.raises(BuildError):
        builds("FROM BASE\nRUN --mount=type=cache,id=c,target=/c cat /c/out/file\n", no_cache=True)
    builds("FROM BASE\nRUN --mount=type=cache,id=../../../../../../../../" + str(host) + ",target=/c touch /c/planted\n", no_cache=True)
    assert os.listdir(host) == ["file"]


def test_archives_that_climb(builds: Builds, host: Path) -> None:
    import tarfile

    for members in ({"../../x": "x"}, {"/abs": "ok"}):
        try:
            image = builds("FROM BASE\nADD a.tar /d/\n", {"a.tar": _tar(members)})
        except KubeplayError:
            continue
        assert (builds.tree(image) / "d/abs").read_text() == "ok"
    link = tarfile.TarInfo("l")
    link.type, link.linkname = tarfile.SYMTYPE, str(host)
    with pytest.raises(KubeplayError, match="No such file"):  # the link means a directory of the image, which is not there
        builds("FROM BASE\nADD a.tar /d/\n", {"a.tar": _tar({"l/stolen": "x"}, link)})
    assert os.listdir(host) == ["file"]
    with pytest.raises(KubeplayError, match="hard link"):
        hard = tarfile.TarInfo("h")
        hard.type, hard.linkname = tarfile.LNKTYPE, str(host / "file")
        builds("FROM BASE\nADD a.tar /d/\n", {"a.tar": _tar({}, hard)})
    with pytest.raises(KubeplayError, match=r"\.wh\."):
        builds("FROM BASE\nADD a.tar /\n", {"a.tar": _tar({"bin/.wh.sh": ""})})


def test_add_goes_without_our_keys(builds: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Containerfile of somebody else must not fetch private repositories with this person's passwords and keys, unless --ssh says so."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_SSH_COMMAND", f"touch {tmp_path}/ssh; false")
    with hostile() as hub:
        hub.on(".*", says(401, WWW_Authenticate='Basic realm="x"'))
        text = f"FROM scratch\nADD {hub.url}/team/private.git /x\n"
        with pytest.raises(BuildError):
            builds(text)
        assert hub.requests and not any("authorization" in one.headers for one in hub.requests)
        with pytest.raises(BuildError):
            builds(text, ssh=(("default", ()),))
        assert any("authorization" in one.headers for one in hub.requests)
    with pytest.raises(BuildError) as refused:
        builds("FROM scratch\nADD git@127.0.0.1:team/private.git /x\n")
    assert "--ssh" in refused.value.hint and not (tmp_path / "ssh").exists()


def test_whiteout_names_are_no_way_to_delete(builds: Builds) -> None:
    with pytest.raises(BuildError, match=r"\.wh\."):
        builds("FROM BASE\nCOPY . /bin/\n", {".wh.sh": ""})


def _tar(members: dict[str, str], *infos: object) -> bytes:
    import io
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for info in infos:
            assert isinstance(info, tarfile.TarInfo)
            made.addfile(info)
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            made.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def test_a_context_that_changes_meanwhile(builds: Builds, host: Path) -> None:
    """A directory of the context turns into a link to the host and back all the time: what is copied is never the host's."""
    context = builds.context({f"d{n}/file": "ours" for n in range(5)})
    stop = threading.Event()

    def swap() -> None:
        n = 0
        while not stop.is_set():
            path, aside = context / f"d{n % 5}", context / "aside"
            os.rename(path, aside)
            os.symlink(host, path)
            os.unlink(path)
            os.rename(aside, path)
            n += 1

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(10):
            try:
                image = builds("FROM scratch\nCOPY . /all\n", context=context, no_cache=True)
            except KubeplayError:
                continue
            for found in builds.tree(image).rglob("file"):
                assert found.is_symlink() or MARK not in found.read_text()
            builds.unmount()
    finally:
        stop.set()
        thread.join()


def test_what_was_hashed_is_what_was_written(builds: Builds) -> None:
    """A file that changes while it is copied: the layer is filed under what went into it, so the next build is not given another's."""
    context = builds.context({"f": "0" * 100})
    stop = threading.Event()

    def rewrite() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            (context / "f").write_text(str(n % 10) * 100)

    thread = threading.Thread(target=rewrite)
    thread.start()
    try:
        for _ in range(10):
            builds("FROM scratch\nCOPY f /f\n", context=context)
    finally:
        stop.set()
        thread.join()
    for digit in "0123456789":
        (context / "f").write_text(digit * 100)
        image = builds("FROM scratch\nCOPY f /f\n", context=context)
        assert (builds.tree(image) / "f").read_text() == digit * 100


def test_steps_leave_no_process(builds: Builds) -> None:
    builds("FROM BASE\nRUN sleep 1000 & sleep 1000 & echo gone\n", no_cache=True)
    assert builds.told.text == "gone\n"


SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored
from kubeplay.config import Settings
from kubeplay.engine.engine import Engine
from kubeplay.engine.host.userns import rootless
from kubeplay.engine.build.request import Request
from kubeplay.engine.build.run import build
from tests.support.builds import Told
class Loud(Told):
    def output(self, stream, data):
        print(data.decode(), flush=True)
build(Engine(Settings(root=sys.argv[1], runroot=sys.argv[2])), Request(context=sys.argv[3]), Loud())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_end_in_the_middle(builds: Builds, number: signal.Signals) -> None:
    seconds = str(100_000 + os.getpid())  # nobody else's
    context = builds.context({"Containerfile": f"FROM localhost/base:1\nRUN echo a > /a\nRUN echo started; sleep {seconds}\n"})
    argv = [sys.executable, "-c", SCRIPT, builds.settings.root, builds.settings.runroot, str(context)]
    process = subprocess.Popen(argv, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    while "started" not in process.stdout.readline():
        pass
    process.send_signal(number)
    try:
        process.wait(300)
    finally:
        process.kill()
        process.stdout.close()
    if number == signal.SIGINT:
        assert builds.leaks() == []
    else:
        assert len(workspace.leftovers(builds.engine)) == 1
        assert any("build-" in line for line in builds.engine.leftovers())
        builds.engine.collect()
    assert builds.leaks() == []
    deadline = time.monotonic() + 100
    while subprocess.run(["pgrep", "-fx", f"sleep {seconds}"], capture_output=True, check=False).stdout:
        assert time.monotonic() < deadline, "the step still runs"
        time.sleep(0.05)
    text = "FROM BASE\nRUN echo a > /a\n"
    builds(text)
    assert builds.told.cached == 1, "the finished step was kept"


def test_two_builds_at_once(builds: Builds) -> None:
    found: list[str] = []

    def one() -> None:
        context = builds.context({"Containerfile": "FROM localhost/base:1\nRUN echo both > /both; sleep 0.2\n"})
        found.append(build(builds.engine, Request(context=str(context))))

    builds._contexts += 10
    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join(0.05)
    for thread in threads:
        thread.join()
    assert len(found) == 2


def test_a_full_disk(builds: Builds, tmp_path: Path) -> None:
    """An image that does not fit: told, and nothing is left."""
    from kubeplay.errors import Exhausted

    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(small)], check=True)
    other = Builds(small)
    try:
        context = builds.context({"big": b"x" * (30 << 20), "Containerfile": "FROM scratch\nCOPY big /big\n"})
        with pytest.raises(Exhausted, match="no space left"):
            build(other.engine, Request(context=str(context)))
        assert other.engine.images.list() == [] and [leak for leak in other.leaks() if not leak.startswith("mount")] == []
    finally:
        other.destroy()
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_links_put_where_a_mount_point_was(builds: Builds, tmp_path: Path) -> None:
    """What is taken away after a step is taken from the image: a step moves the directory and leaves a link that means the host's."""
    victim = tmp_path / "victim"
    (victim / "lib").mkdir(parents=True)
    (victim / "etc").mkdir()
    builds(
        f"FROM BASE\nRUN mkdir -p {tmp_path} /var/lib /mnt\n"
        f"RUN --mount=type=tmpfs,target=/var/lib/m cp -a /var {victim}; mv /var /old; ln -s {victim} /var; "
        f"rm -rf /etc; ln -s {victim}/etc /etc; true\n"
    )
    assert sorted(os.listdir(victim)) == ["etc", "lib"]


def test_kills_at_any_moment(builds: Builds) -> None:
    """Also while the runtime makes a container: it outlives its builder, and must not make the cgroup anew after it was cleared."""
    step = "RUN --mount=type=cache,target=/k --mount=target=/ctx,rw echo 1 > /a; rm -rf /etc\n"
    context = builds.context({"Containerfile": "FROM localhost/base:1\n" + step * 5})
    script = SCRIPT.replace("Request(context=sys.argv[3])", "Request(context=sys.argv[3], no_cache=True)").replace("data.decode()", "''")
    script = script.replace("class Loud(Told):", "class Loud(Told):\n    def line(self, text):\n        print(text, flush=True)")
    for number in range(4):
        argv = [sys.executable, "-c", script, builds.settings.root, builds.settings.runroot, str(context)]
        process = subprocess.Popen(argv, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        while not process.stdout.readline().startswith("STEP 2/"):
            pass
        time.sleep(0.04 * number)  # only to come at different moments
        process.kill()
        process.wait()
        process.stdout.close()
        deadline = time.monotonic() + 100
        while True:  # a child that is just being started has the builder's lock for a moment
            builds.engine.collect()
            builds.engine.images.layers.sweep()
            if not builds.leaks() or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        assert builds.leaks() == []
        assert all(builds.engine.images.layers.has(layer) for layer in builds.engine.store.builds.layers())
