"""Builds with real containers: instructions, stages, what is printed, what an image comes to."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kubeplay.errors import BuildError, InvalidInput, NotFound, NotSupported
from tests.support.builds import BASE, Builds, builds, shared_builds

__all__ = ["builds", "shared_builds"]
pytestmark = pytest.mark.root


def test_the_whole_way(builds: Builds) -> None:
    image = builds(
        'FROM BASE\nLABEL a=b\nCOPY hello /srv/\nRUN cat /srv/hello > /srv/copy && echo said\nWORKDIR /srv/deep\nENV X=1\nCMD ["cat"]\n',
        {"hello": "hello\n"}, tags=("whole",), labels=(("given", "yes"),),
    )  # fmt: skip
    tree, config = builds.tree(image), builds.config(image)
    assert (tree / "srv/copy").read_text() == "hello\n"
    assert (tree / "srv/deep").is_dir()
    assert config["config"]["Labels"] == {"a": "b", "given": "yes"}
    assert config["config"]["WorkingDir"] == "/srv/deep" and config["config"]["Cmd"] == ["cat"]
    assert "X=1" in config["config"]["Env"] and "PATH=/bin" in config["config"]["Env"]
    assert builds.engine.images.names(image) == ("localhost/whole:latest",)
    assert builds.told.text == "said\n"
    assert builds.told.lines[0] == f"STEP 1/7: FROM {BASE}"
    assert builds.told.lines[-3:] == ["COMMIT localhost/whole:latest", f"--> {image[7:19]}", "Successfully tagged localhost/whole:latest"]
    filled = [entry for entry in config["history"] if not entry.get("empty_layer")]
    assert len(filled) == len(config["rootfs"]["diff_ids"])
    assert len(builds.layers(image)) == 3  # COPY, RUN, WORKDIR


def test_stages_and_copies_between_them(builds: Builds) -> None:
    image = builds(
        "FROM BASE AS one\nRUN mkdir /out && echo built > /out/app && chown 12:34 /out/app\nFROM BASE AS unused\nRUN false\n"
        "FROM scratch\nCOPY --from=one /out/app /app\nCOPY --from=0 /out /dir\n"
    )
    tree = builds.tree(image)
    assert (tree / "app").read_text() == "built\n" and (tree / "dir/app").stat().st_uid == 12
    assert (tree / "app").stat().st_gid == 34
    assert builds.told.lines[0].startswith("[1/2] STEP 1/2: FROM")
    assert sorted(os.listdir(tree)) == ["app", "dir"]


def test_from_is_told_with_the_reference_it_came_to(builds: Builds) -> None:
    builds("ARG WHICH\nFROM $WHICH AS One\nLABEL a=b\nFROM One\nLABEL c=d\n", build_args=(("WHICH", BASE),))
    assert [line for line in builds.told.lines if "STEP 1/" in line] == [f"[1/2] STEP 1/2: FROM {BASE} AS one", "[2/2] STEP 1/2: FROM One"]


def test_a_step_runs_confined(builds: Builds) -> None:
    builds(
        "FROM BASE\nRUN id -u; cat /proc/self/status | grep -E 'Seccomp:|CapBnd|NoNewPrivs'; cat /etc/hosts | grep -c localhost; hostname; "
        "mount | grep ' /sys ' ; echo x > /proc/sys/kernel/hostname; ls /dev\n", no_cache=True,
    )  # fmt: skip
    said = builds.told.text
    assert said.startswith("0\n") and "Seccomp:\t2" in said and "CapBnd:\t00000000a80425fb" in said
    assert "build\n" in said and "Read-only file system" in said


def test_a_step_that_changes_nothing_makes_an_empty_layer(builds: Builds) -> None:
    image = builds("FROM BASE\nRUN true\n", no_cache=True)
    assert builds.members(builds.layers(image)[0]) == []


def test_mount_points_do_not_end_in_layers(builds: Builds) -> None:
    image = builds("FROM scratch\nCOPY --chmod=755 bb /bin/sh\nRUN echo x > /new\n", {"bb": Path("/bin/busybox").read_bytes()})
    assert builds.members(builds.engine.images.get(image).layers[1]) == ["new"]


def test_a_failing_step(builds: Builds) -> None:
    before = builds.engine.images.list()
    with pytest.raises(BuildError) as caught:
        builds("FROM BASE\nRUN echo first > /first\nRUN echo oops >&2; exit 3\n", tags=("never",))
    assert caught.value.exit_code == 3
    assert caught.value.message == 'building at STEP "RUN echo oops >&2; exit 3": while running runtime: exit status 3'
    assert builds.told.text == "oops\n"
    assert builds.engine.images.list() == before
    with pytest.raises(BuildError):
        builds("FROM BASE\nRUN echo first > /first\nRUN echo oops >&2; exit 3\n")
    assert builds.told.cached == 1, "what was done before the failing step is found again"
    with pytest.raises(BuildError, match="no-such-program"):
        builds('FROM BASE\nRUN ["no-such-program"]\n')


def test_user_shell_workdir_env_and_heredocs(builds: Builds) -> None:
    image = builds(
        "FROM BASE\nARG GREETING=hi\nWORKDIR /work\nRUN chown 1234:2345 /work\nUSER app\n"
        "RUN id -un > who; pwd > where; echo $GREETING $HOME > env\n"
        'SHELL ["/bin/sh", "-ec"]\nRUN <<EOF\necho one > one\nfalse || true\necho two > two\nEOF\n'
        "RUN <<EOF\n#!/bin/cat\ntext of the script\nEOF\n"
        "COPY <<EOF <<\"RAW\" /files/\n$GREETING\nEOF\n$GREETING\nRAW\n",
        build_args=(("GREETING", "hello"),), format="docker",
    )  # fmt: skip
    tree = builds.tree(image)
    assert (tree / "work/who").read_text() == "app\n" and (tree / "work/where").read_text() == "/work\n"
    assert (tree / "work/env").read_text() == "hello /home/app\n"
    assert (tree / "work/two").read_text() == "two\n" and (tree / "work/one").stat().st_uid == 1234
    assert (tree / "files/EOF").read_text() == "hello\n" and (tree / "files/RAW").read_text() == "$GREETING\n"
    assert "text of the script" in builds.told.text
    assert builds.config(image)["config"]["Shell"] == ["/bin/sh", "-ec"]


def test_formats(builds: Builds) -> None:
    text = "FROM BASE\nHEALTHCHECK CMD true\nONBUILD RUN echo later > /later\n"
    docker = builds(text, format="docker", tags=("child",))
    assert builds.config(docker)["config"]["Healthcheck"]["Test"] == ["CMD-SHELL", "true"]
    assert json.loads(builds.engine.images.manifest(docker))["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    oci = builds(text, format="oci", annotations=(("k", "v"),))
    manifest = json.loads(builds.engine.images.manifest(oci))
    assert "Healthcheck" not in builds.config(oci)["config"] and any("HEALTHCHECK" in text for text in builds.told.warnings)
    assert manifest["annotations"] == {"k": "v"} and manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    later = builds("FROM localhost/child\n")
    assert (builds.tree(later) / "later").read_text() == "later\n"
    assert "OnBuild" not in builds.config(later)["config"]


def test_squash(builds: Builds) -> None:
    text = "FROM BASE\nRUN echo 1 > /one\nRUN rm /one && echo 2 > /two\nCOPY f /f\nENV A=B\n"
    squashed = builds(text, {"f": "f"}, squash="new")
    assert len(builds.layers(squashed)) == 1
    assert builds.members(builds.layers(squashed)[0]) == ["f", "two"]
    flat = builds(text, {"f": "f"}, squash="all")
    assert len(builds.config(flat)["rootfs"]["diff_ids"]) == 1
    tree = builds.tree(flat)
    assert (tree / "two").read_text() == "2\n" and (tree / "bin/busybox").exists() and not (tree / "one").exists()
    assert (tree / "bin/sh").readlink() == Path("busybox")
    assert sum(1 for entry in builds.config(flat)["history"] if not entry.get("empty_layer")) == 1
    together = builds(text, {"f": "f"}, layers=False)
    assert len(builds.layers(together)) == 1


def test_timestamp_makes_builds_reproducible(builds: Builds) -> None:
    text = "FROM BASE\nRUN echo 1 > /one\nCOPY f /f\n"
    first = builds(text, {"f": "f"}, timestamp=1000, no_cache=True)
    second = builds(text, {"f": "f"}, timestamp=1000, no_cache=True)
    assert first == second
    assert (builds.tree(first) / "one").stat().st_mtime == 1000
    assert builds.config(first)["created"] == "1970-01-01T00:16:40Z"
    third = builds(text, {"f": "f"}, epoch=1000, rewrite=True, no_cache=True)
    assert third == builds(text, {"f": "f"}, epoch=1000, rewrite=True, no_cache=True)
    kept = builds(text, {"f": "f"}, epoch=1000)
    assert (builds.tree(third) / "one").stat().st_mtime == 1000 != (builds.tree(kept) / "one").stat().st_mtime
    assert builds.config(kept)["history"][-1]["created"] == "1970-01-01T00:16:40Z"


def test_other_platforms(builds: Builds) -> None:
    other = "linux/s390x" if os.uname().machine != "s390x" else "linux/amd64"
    image = builds("FROM scratch\nCOPY f /f\nENV A=B\n", {"f": "x"}, platform=other)
    assert builds.config(image)["architecture"] == other.split("/")[1]
    with pytest.raises(NotSupported, match="cannot be run on this machine"):
        builds("FROM scratch\nCOPY f /f\nRUN true\n", {"f": "x"}, platform=other)


def test_networks(builds: Builds) -> None:
    builds("FROM BASE\nRUN ip -o link | wc -l; ip -o route | wc -l; cat /etc/hosts\n", network="none", no_cache=True)
    assert builds.told.text.startswith("1\n0\n")
    from kubeplay.engine.build.network import Names

    builds("FROM BASE\nRUN ip -o addr | grep -c eth0; cat /etc/hosts /etc/resolv.conf\n", no_cache=True,
           names=Names(("db:10.1.2.3",), ("192.0.2.53",), ("example.org",)))  # fmt: skip
    assert "10.1.2.3\tdb" in builds.told.text and "nameserver 192.0.2.53\n" in builds.told.text
    assert "search example.org" in builds.told.text
    with pytest.raises(BuildError, match="does not have the host's network"):  # a Containerfile cannot take it
        builds("FROM BASE\nRUN --network=host hostname\n", no_cache=True)
    builds("FROM BASE\nRUN --network=host hostname\n", network="host", no_cache=True)
    assert builds.told.text == os.uname().nodename + "\n"


def test_what_is_wrong_is_told_with_its_place(builds: Builds) -> None:
    with pytest.raises(InvalidInput) as caught:
        builds("FROM BASE\nRUNN true\nCOPY a\n")
    assert [fault.line for fault in caught.value.faults] == [2, 3]
    with pytest.raises(NotFound, match="no-such-image"):
        builds("FROM localhost/no-such-image\n")
    with pytest.raises(BuildError, match="missing: no such file or directory in the build context"):
        builds("FROM BASE\nCOPY missing /\n")
    with pytest.raises(NotFound, match="Containerfile"):
        from kubeplay.engine.build.request import Request
        from kubeplay.engine.build.run import build

        build(builds.engine, Request(context=str(builds.context({}))))


def test_unmount_of_a_volume_directory_keeps_its_content(builds: Builds) -> None:
    image = builds("FROM BASE\nVOLUME /data\nRUN mkdir /data && echo kept > /data/f\n")
    assert (builds.tree(image) / "data/f").read_text() == "kept\n"
    assert builds.config(image)["config"]["Volumes"] == {"/data": {}}
