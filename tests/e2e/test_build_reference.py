"""Metadata as buildah makes it of the same Containerfile, where buildah is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kubeplay.engine.build import mutate
from kubeplay.engine.build.history import created_by
from kubeplay.engine.build.model import Arg, BuildOptions, Copy
from kubeplay.engine.build.parse import parse
from kubeplay.engine.build.plan import plan
from kubeplay.engine.build.unfold import unfold

TEXT = """# escape=`
ARG BASE=scratch
FROM $BASE AS one
ENV A=1 B="x y" C=$A E='$A'
ENV old style  "value" here
ENV F=${A:-no} G=${NO:-yes} H=${A:+set} I=${NO:+set}
LABEL k=v "a b"='c d' e=$B `
      f="two words"
ARG Q=1
ARG R
ENV FROM_ARGS=$Q-$R
MAINTAINER Me <me@x>
WORKDIR app
WORKDIR sub/../x

FROM one
# comment
COPY a d /dst/
COPY ["a", "a2", "/list of/"]
EXPOSE 80 90/udp
VOLUME ["/v1", "/v2"]
VOLUME /v3
USER 12:13
STOPSIGNAL SIGINT
CMD echo "hi"   there
ENTRYPOINT ["/bin/x", "$A"]
HEALTHCHECK --interval=5s --retries=3 CMD curl x
ONBUILD COPY . /x
"""
KEYS = ("Env", "Labels", "Cmd", "Entrypoint", "ExposedPorts", "Volumes", "User", "WorkingDir", "StopSignal", "Healthcheck", "OnBuild")


def _buildah(directory: Path, *args: str) -> str:
    roots = ("--root", str(directory / "root"), "--runroot", str(directory / "runroot"), "--storage-driver", "vfs")
    environment = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
    argv = ["buildah", *roots, *args]
    done = subprocess.run(argv, cwd=directory / "context", capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _theirs(directory: Path) -> dict[str, Any]:
    context = directory / "context"
    (context / "d").mkdir(parents=True)
    for name in ("a", "a2", "d/f"):
        (context / name).write_text(name)
    (context / "Containerfile").write_text(TEXT)
    _buildah(directory, "bud", "-q", "--format", "docker", "--build-arg", "R=5", "--identity-label=false", "-t", "made", ".")
    found: dict[str, Any] = json.loads(_buildah(directory, "inspect", "--type", "image", "made"))["Docker"]
    return found


@pytest.mark.root
@pytest.mark.skipif(not shutil.which("buildah"), reason="buildah is the reference")
def test_like_buildah(tmp_path: Path) -> None:
    theirs = _theirs(tmp_path)
    made = plan(parse(TEXT), BuildOptions(build_args=(("R", "5"),), format="docker"))
    base = unfold(made, made.stages[0], mutate.scratch("linux/amd64"))
    ours = unfold(made, made.stages[1], base.document)
    document, _ = mutate.finish(ours.document, made.options)
    assert {key: document["config"].get(key) for key in KEYS} == {key: theirs["config"].get(key) or None for key in KEYS}
    assert document["author"] == theirs["author"]
    other = tuple(f"/bin/sh -c #(nop) {name}" for name in ("COPY", "ARG"))
    told = [entry["created_by"] for entry in theirs["history"] if not entry["created_by"].startswith(other)]
    steps = (*base.steps, *ours.steps)
    assert [created_by(step) for step in steps if not isinstance(step.action, (Copy, Arg))] == told
