"""The build command as a person uses it: what it prints, where it reads from, which flags it refuses."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import images as make
from tests.support.cli import Kubeplay, installed
from tests.support.registry import registry
from tests.support.seen import seen

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubeplay]:
    for found in installed(tmp_path_factory.mktemp("build")):
        found.image()
        yield found


def context(kp: Kubeplay, name: str, text: str, **files: str) -> str:
    base = kp.directory / name
    base.mkdir()
    (base / "Containerfile").write_text(text)
    for key, value in files.items():
        (base / key).write_text(value)
    return str(base)


def test_what_is_printed(kp: Kubeplay) -> None:
    where = context(kp, "printed", "FROM localhost/bb:1\nRUN echo out; echo err >&2\nLABEL a=b\n")
    iid = kp.directory / "iid"
    said = kp("build", "-t", "printed", "-t", "quay.io/x/printed:2", "--iidfile", str(iid), where)
    lines = said.lines
    assert lines[0] == "STEP 1/3: FROM localhost/bb:1" and lines[1] == "STEP 2/3: RUN echo out; echo err >&2" and lines[2] == "out"
    assert said.err == "err\n"
    assert lines[-5] == "COMMIT localhost/printed:latest"
    assert lines[-3:-1] == ["Successfully tagged localhost/printed:latest", "Successfully tagged quay.io/x/printed:2"]
    assert iid.read_text() == f"sha256:{lines[-1]}"
    assert kp("build", "-q", "-t", "printed", where).lines == [lines[-1]]
    listed = kp("images", "-a", "--format", "{{.Repository}}").lines
    assert sorted(listed) == ["localhost/bb", "localhost/printed", "quay.io/x/printed"], "steps are no images"


def test_a_failing_step_gives_its_status(kp: Kubeplay) -> None:
    where = context(kp, "failing", "FROM localhost/bb:1\nRUN echo last words >&2; exit 7\n")
    said = kp("build", where, status=7)
    assert 'Error: building at STEP "RUN echo last words >&2; exit 7": while running runtime: exit status 7' in said.err
    quiet = kp("build", "-q", where, status=7)
    assert "last words" in quiet.err and quiet.out == ""
    wrong = kp("build", context(kp, "wrong", "FROM localhost/bb:1\nRUNN x\n"), status=125)
    assert "Containerfile:2:1" in wrong.err and "RUNN" in wrong.err


def test_containerfiles_and_contexts_from_elsewhere(kp: Kubeplay) -> None:
    where = context(kp, "elsewhere", "FROM scratch\n", f="of the context")
    kp("build", "-t", "stdin-file", "-f", "-", where, stdin="FROM localhost/bb:1\nCOPY f /f\nRUN cat /f\n")
    said = kp("build", "-", stdin="FROM localhost/bb:1\nRUN ls / | wc -l\n")
    assert said.lines[-1]
    (kp.directory / "elsewhere/other.file").write_text("FROM localhost/bb:1\nCOPY f /other\n")
    assert "COPY f /other" in kp("build", "-f", "other.file", where).out
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for name, text in (("Dockerfile", "FROM localhost/bb:1\nCOPY in.tar.txt /t\nRUN cat /t\n"), ("in.tar.txt", "archived\n")):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            made.addfile(info, io.BytesIO(text.encode()))
    done = subprocess.run(kp.argv("build", "-"), env=kp.env, input=out.getvalue(), capture_output=True, timeout=300, cwd="/")
    assert done.returncode == 0 and b"archived\n" in done.stdout, done
    assert "no Containerfile" in kp("build", str(kp.directory / "bb"), status=125).err
    assert "No such file" in kp("build", "/no/such/context", status=125).err


def test_arguments_secrets_and_environment(kp: Kubeplay) -> None:
    where = context(kp, "given", "FROM localhost/bb:1\nARG A\nARG B\n"
                    "RUN --mount=type=secret,id=s echo $A-$B-$(cat /run/secrets/s)\n", s="hush")  # fmt: skip
    kp.env["B"] = "environment"
    try:
        said = kp(
            "build", "--build-arg", "A=given", "--build-arg", "B", "--build-arg", "NOT_SET", "--secret", f"id=s,src={where}/s",
            "--label", "l=1",
            "--annotation", "n=2", "--env", "E=3", "--format", "oci", "-t", "given", where,
        )  # fmt: skip
    finally:
        del kp.env["B"]
    assert "given-environment-hush" in said.out
    shown = kp("image", "inspect", "given").json[0]
    assert shown["Labels"] == {"l": "1"} and "E=3" in shown["Config"]["Env"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--cache-from", "x"), "caches outside of this root"),
        (("--platform", "linux/amd64,linux/arm64"), "several platforms make several images"),
        (("--secret", "src=x"), "the form is id=ID"),
        (("--add-host", "x"), "not an IP address"),
        (("--build-arg", "=x"), "the form is NAME=VALUE"),
        (("--network", "container:x"), "not known here"),
        (("--ulimit", "nofile"), "the form is NAME=SOFT"),
        (("--cap-add", "NONSENSE"), "not a capability"),
        (("-t", "x@y"), "invalid reference format"),
        (("--target", "none"), "none"),
        (("--pull=never", "--from", "localhost/none"), "image not known"),
    ],
)
def test_refused(kp: Kubeplay, words: tuple[str, ...], message: str) -> None:
    where = kp.directory / "refused"
    if not where.exists():
        context(kp, "refused", "FROM localhost/bb:1\n")
    assert message in kp("build", *words, str(where), status=125).err


def test_bases_come_from_a_registry(kp: Kubeplay, tmp_path: Path) -> None:
    with registry(tmp_path / "registry", tls=True, users={"user": "secret"}) as server:
        assert server.certs is not None
        layer = make.layer([make.file("of-the-registry", b"x")])
        server.put_image("team/base", "1", [layer])
        where = context(kp, "pulled", f"FROM {server.name('team/base', '1')}\nCOPY f /f\n", f="f")
        access = ("--creds", server.creds, "--cert-dir", str(Path(server.certs.ca).parent))
        assert kp("build", "-q", where, status=125).err
        said = kp("build", "-t", "pulled", *access, where)
        assert f"STEP 1/2: FROM {server.name('team/base', '1')}" in said.lines
        assert len(kp("image", "inspect", "pulled").json[0]["RootFS"]["Layers"]) == 2
        assert kp("build", "-q", "--pull=never", where).lines
        assert kp("build", "-q", "--pull", *access, where).lines
        newer = make.layer([make.file("newer", b"y")])
        server.put_image("team/base", "1", [newer])
        kp("build", "-q", "-t", "pulled", "--pull=newer", *access, where)
        assert make.digest(newer) in json.dumps(kp("image", "inspect", "pulled").json)


def test_several_platforms_make_a_list(kp: Kubeplay) -> None:
    where = context(kp, "several", "FROM scratch\nCOPY f /f\n", f="f")
    kp("build", "-q", "--platform", "linux/amd64,linux/arm64", "--platform", "linux/s390x", "--manifest", "several", where)
    found = kp("manifest", "inspect", "several").json["manifests"]
    assert sorted(one["platform"]["architecture"] for one in found) == ["amd64", "arm64", "s390x"]


def test_others_read_what_was_built(kp: Kubeplay) -> None:
    where = context(kp, "others", "FROM localhost/bb:1\nRUN echo 1 > /one\nHEALTHCHECK CMD true\n")
    if not Path("/usr/bin/skopeo").exists():
        pytest.skip("skopeo is not installed")
    for form in ("oci", "docker"):
        kp("build", "-q", "-t", f"others-{form}", "--format", form, where)
        target = kp.directory / f"others-{form}.tar"
        kp("save", "--format", f"{form}-archive", "-o", str(target), f"others-{form}")
        words = ["skopeo", "inspect", "--config", f"{form}-archive:{target}"]  # it gives files to root, as the archive says
        found = json.loads(seen(lambda words=words: subprocess.run(words, capture_output=True, text=True, check=True).stdout))
        assert len(found["rootfs"]["diff_ids"]) == 2 and found["history"][-1]["created_by"].endswith("HEALTHCHECK CMD true")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_build_clears_up(kp: Kubeplay, number: signal.Signals) -> None:
    where = context(kp, f"stopped{number}", f"FROM localhost/bb:1\nRUN echo {number} > /done\nRUN echo started; sleep 1000\n")
    process = kp.start("build", where)
    assert process.stdout is not None and process.stderr is not None
    while process.stdout.readline() != "started\n":
        pass
    process.send_signal(number)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130 and "the build was stopped" in err
    assert not list(kp.root.glob("build/*")) and not list(kp.runroot.glob("build/*"))
