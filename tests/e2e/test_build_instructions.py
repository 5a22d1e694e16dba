"""What instructions come to when they are really run: who owns what, which variables a program sees, what a heredoc is fed to."""

from __future__ import annotations

import pytest

from kubeplay.errors import BuildError, InvalidInput
from tests.support.builds import Builds, builds, shared_builds

__all__ = ["builds", "shared_builds"]
pytestmark = pytest.mark.root


def test_workdir_belongs_to_the_user(builds: Builds) -> None:
    text = "FROM BASE\nWORKDIR /of/root\nUSER app\nWORKDIR /of/app/deep\nRUN echo mine > file\nWORKDIR /of/root\nUSER 99:98\nWORKDIR x\n"
    tree = builds.tree(builds(text))
    found = {path: (tree / path).stat() for path in ("of/root", "of/app", "of/app/deep", "of/root/x")}
    owners = {path: (state.st_uid, state.st_gid) for path, state in found.items()}
    assert owners == {"of/root": (0, 0), "of/app": (1234, 2345), "of/app/deep": (1234, 2345), "of/root/x": (99, 98)}
    assert (tree / "of/app/deep/file").read_text() == "mine\n"
    with pytest.raises(BuildError, match="USER nobodyknows"):
        builds("FROM BASE\nUSER nobodyknows\nWORKDIR /new\n")


def test_what_a_program_sees_of_arg_and_env(builds: Builds) -> None:
    image = builds(
        "ARG OUTER=outer UNUSED=x\nFROM BASE AS below\nARG OUTER\nARG DEFAULT=default\nARG GIVEN=no\nARG NOTHING\n"
        "ENV FROM_ARG=${OUTER}-1 DEFAULT=env\n"
        "FROM below\nARG TARGETARCH\nRUN env | grep -E '^(OUTER|UNUSED|DEFAULT|GIVEN|NOTHING|FROM_ARG|TARGET|http_proxy)' | sort > /env\n",
        build_args=(("GIVEN", "yes"), ("http_proxy", "http://proxy"), ("STRAY", "1")),
    )  # fmt: skip
    lines = (builds.tree(image) / "env").read_text().splitlines()
    assert [line for line in lines if not line.startswith("TARGETARCH=")] == [
        "DEFAULT=env", "FROM_ARG=outer-1", "GIVEN=yes", "OUTER=outer", "http_proxy=http://proxy",
    ]  # fmt: skip
    assert len(lines) == 6
    assert builds.told.warnings == ["[Warning] one or more build args were not consumed: [STRAY]"]
    assert "http://proxy" not in str(builds.config(image))


def test_heredocs_and_what_reads_them(builds: Builds) -> None:
    image = builds(
        "FROM BASE\nENV V=value\n"
        "RUN cat <<A > /expanded && cat <<'B' > /raw\n$V\nA\n$V\nB\n"
        "RUN <<-EOF\n\techo \"$V\" > /stripped\n\techo $0 >> /stripped\n\tEOF\n"
        "RUN <<X cat - 3<<Y > /two\none\nX\ntwo\nY\n"
        "RUN <<SCRIPT\n#!/bin/sh -f\necho $0 $V * > /script\nSCRIPT\n"
        "COPY --chmod=755 --chown=app <<run.sh <<-'conf' /opt/\n#!/bin/sh\necho $V \\$V\nrun.sh\n\tkey = $V\n\tconf\n"
        "RUN /opt/run.sh > /ran\n",
    )  # fmt: skip
    tree = builds.tree(image)
    found = {name: (tree / name).read_text() for name in ("expanded", "raw", "stripped", "two", "script", "opt/conf", "ran")}
    assert found == {
        "expanded": "value\n", "raw": "$V\n", "stripped": "value\n/bin/sh\n", "two": "one\n", "script": "/dev/pipes/SCRIPT value *\n",
        "opt/conf": "key = $V\n", "ran": "value value\n",
    }  # fmt: skip
    assert (tree / "opt/run.sh").stat().st_uid == 1234
    assert not (tree / "dev/pipes").exists()


def test_a_base_with_triggers_and_a_shell(builds: Builds) -> None:
    builds(
        'FROM BASE\nSHELL ["/bin/sh", "-ec"]\nONBUILD ARG WHO=nobody\nONBUILD COPY . /app\nONBUILD RUN echo $WHO > /app/who\n',
        format="docker", tags=("onbuild",),
    )  # fmt: skip
    image = builds("FROM localhost/onbuild\nRUN echo $WHO >> /app/who\n", {"f": "x"}, build_args=(("WHO", "me"),))
    tree = builds.tree(image)
    assert (tree / "app/f").read_text() == "x" and (tree / "app/who").read_text() == "me\nme\n"
    assert builds.told.warnings == [
        "SHELL is not supported for OCI image format and will be ignored. Must use `docker` format",
    ]  # fmt: skip


def test_stages_that_are_not_needed_are_not_run(builds: Builds) -> None:
    text = "FROM BASE AS one\nRUN echo 1 > /f\nFROM BASE AS broken\nRUN false\nFROM BASE\nCOPY --from=${FROM:-one} /f /f\n"
    assert (builds.tree(builds(text)) / "f").read_text() == "1\n"
    assert (builds.tree(builds(text, target="ONE")) / "f").read_text() == "1\n"
    with pytest.raises(BuildError, match="RUN false"):
        builds(text, skip_unused_stages=False)
    with pytest.raises(InvalidInput, match="did you mean broken"):
        builds(text, target="brokn")


def test_crlf_and_a_byte_order_mark(builds: Builds) -> None:
    image = builds("\ufeff# escape=`\r\nFROM BASE\r\nRUN echo one `\r\n  > /f\r\nRUN <<E\r\n#!/bin/sh\r\necho two >> /f\r\nE\r\n")
    assert (builds.tree(image) / "f").read_text() == "one\ntwo\n"


def test_faults_are_told_before_anything_runs(builds: Builds) -> None:
    with pytest.raises(InvalidInput) as caught:
        builds("FROM BASE\nRUN echo ran > /f\nUSER $NOBODY\nEXPOSE $NONE\n")
    assert [fault.line for fault in caught.value.faults] == [3, 4]
    assert not [line for line in builds.told.lines if "RUN" in line]
