"""Stages: what they begin with, what they need, which are built; whose ARG and ENV hold where."""

from __future__ import annotations

import pytest

from kubeplay.engine.build import model, mutate
from kubeplay.engine.build.model import BuildOptions, BuildPlan, Document, Origin, Run, Step
from kubeplay.engine.build.parse import parse
from kubeplay.engine.build.plan import plan
from kubeplay.engine.build.scope import proxies
from kubeplay.engine.build.unfold import unconsumed, unfold
from kubeplay.errors import InvalidInput


def planned(text: str, **options: object) -> BuildPlan:
    return plan(parse(text), BuildOptions(**options))  # type: ignore[arg-type]


def steps(text: str, document: Document | None = None, **options: object) -> tuple[Step, ...]:
    """The last stage's; each image is `document`, or empty."""
    made = planned(text, **options)
    documents: dict[int, Document] = {}
    found: tuple[Step, ...] = ()
    for number in made.order:
        stage = made.stages[number]
        below = documents[stage.base.stage] if stage.base.kind == "stage" else document or mutate.scratch("linux/amd64")
        unfolded = unfold(made, stage, below)
        documents[number], found = unfolded.document, unfolded.steps
    return found


def last(text: str, document: Document | None = None, **options: object) -> Document:
    return steps(text, document, **options)[-1].document["config"]


def run(text: str, document: Document | None = None, **options: object) -> Run:
    action = steps(text, document, **options)[-1].action
    assert isinstance(action, Run)
    return action


def environment(action: Run) -> dict[str, str]:
    return {name: value for name, value in (entry.split("=", 1) for entry in action.env) if name != "PATH"}


THREE = "FROM a AS one\nRUN x\nFROM b AS two\nCOPY --from=one /x /\nFROM c\nCOPY --from=two /x /\nFROM d\nRUN y"


@pytest.mark.parametrize(
    ("options", "order"),
    [({}, (3,)), ({"target": "2"}, (0, 1, 2)), ({"target": "TWO"}, (0, 1)), ({"skip_unused_stages": False}, (0, 1, 2, 3))],
)
def test_only_needed_stages(options: dict[str, object], order: tuple[int, ...]) -> None:
    assert planned(THREE, **options).order == order


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("FROM alpine", Origin("image", "alpine")),
        ("ARG V=3\nFROM alpine:$V", Origin("image", "alpine:3")),
        ("ARG V\nFROM alpine:${V:-edge}", Origin("image", "alpine:edge")),
        ("FROM a AS Base\nFROM base", Origin("stage", "base", 0)),
        ("FROM scratch", Origin("scratch", "scratch")),
        ("FROM docker://quay.io/a:b", Origin("image", "quay.io/a:b")),
        (f"FROM {'a' * 64}", Origin("image", "a" * 64)),
        ("FROM ctx", Origin("named", "ctx")),
        ("FROM a\nFROM 0", Origin("image", "0")),  # numbers are for --from
    ],
)
def test_bases(text: str, base: Origin) -> None:
    assert planned(text, contexts=("ctx",)).stages[-1].base == base


def test_what_the_command_line_says_of_from() -> None:
    assert planned("ARG V=1\nFROM a:$V", build_args=(("V", "2"),)).stages[0].base.value == "a:2"
    made = planned("FROM a\nFROM b", base="other")
    assert [stage.base.value for stage in made.stages] == ["other", "b"]


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("FROM a", "linux/arm64"),
        ("FROM --platform=$BUILDPLATFORM a", "linux/amd64"),
        ("ARG P=linux/arm/v7\nFROM --platform=$P a", "linux/arm/v7"),
        ("FROM --platform=$TARGETOS/s390x a", "linux/s390x"),
    ],
)
def test_platforms(text: str, platform: str) -> None:
    assert planned(text, platform="linux/arm64").stages[0].platform == platform


def test_needs_images_and_contexts() -> None:
    text = """
        ARG WHICH=one
        FROM a AS one
        FROM b AS unused
        FROM ${WHICH}
        ARG IMG=img:1
        ENV SUFFIX=x
        COPY --from=0 /a /a
        COPY --from=$IMG /a /a
        COPY --from=img-$SUFFIX /a /a
        COPY --from=${WHICH} /a /a
        RUN --mount=target=/m,from=ctx --mount=type=cache,target=$UNKNOWN/m,from=img:1 x
        RUN --mount=type=bind,target=/m x
    """
    stage = planned(text, contexts=("ctx",)).stages[2]
    assert (stage.needs, stage.images, stage.contexts) == ((0,), ("img:1", "img-x"), ("ctx",))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("RUN x", "RUN stands before the first FROM"),
        ("ARG A", "has no FROM"),
        ("FROM $NONE", "the image is empty after expansion"),
        ("FROM a b", "FROM takes an image"),
        ("FROM a AS 1x", "no name of a stage"),
        ("FROM a AS scratch", "scratch cannot name a stage"),
        ("FROM a AS b\nFROM c AS B", "the name b is taken by the stage at Containerfile:1"),
        ("FROM --platform=arm a", "no OS/ARCH"),
        ("FROM Alpine", "must be lowercase"),
        ("FROM a\nCOPY --from=b:c:d /x /y", "invalid reference format"),
        ("FROM oci-archive:/x.tar", "oci-archive:/x.tar is no image of a registry or of this store"),
        ("FROM oci:layout", "is no image of a registry"),
        ("FROM a\nCOPY --from=dir:/etc /x /y", "is no image of a registry"),
        ("FROM a\nCOPY --from=0 a b", "there is no stage 0 before this one"),
        ("FROM a\nCOPY --from=$X a b", "--from is empty"),
        ("FROM a\nRUN --mount=target=/x,from=$X a", "from is empty"),
        ("FROM a:${V?which}", "V: which"),
        ("FROM a\nENV $X=1", "a name is empty after expansion"),
        ("FROM a\nEXPOSE $X", "no port is left"),
        ("FROM a\nUSER $X", "is no user"),
        ("FROM a\nCOPY $X /x", "is empty after expansion"),
        ("FROM a\nRUN --mount=target=$X/ y", "cannot be /"),
        ("FROM a\nENV V=\"${V:?must be set}\"", "V: must be set"),
    ],
)
def test_faults(text: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        steps(text)
    assert told in str(caught.value)


def test_all_faults_of_a_plan_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        planned("RUN x\nFROM a b\nFROM c AS 1\nCOPY --from=7 a b")
    assert [fault.line for fault in caught.value.faults] == [1, 2, 3, 4]


def test_an_unknown_target() -> None:
    with pytest.raises(InvalidInput, match="did you mean build"):
        planned("FROM a AS build\nFROM b", target="biuld")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a\nARG A\nRUN x", {}),
        ("FROM a\nARG A=1\nRUN x", {"A": "1"}),
        ("FROM a\nARG GIVEN=1\nRUN x", {"GIVEN": "g"}),
        ("FROM a\nRUN x", {}),
        ("ARG A=out\nFROM a\nRUN x", {}),
        ("ARG A=out\nFROM a\nARG A\nRUN x", {"A": "out"}),
        ("ARG A=out\nFROM a\nARG A=in\nRUN x", {"A": "in"}),
        ("ARG GIVEN=out\nFROM a\nARG GIVEN\nRUN x", {"GIVEN": "g"}),
        ("FROM a\nARG A=1 B=$A-2\nARG C=${B}3\nRUN x", {"A": "1", "B": "1-2", "C": "1-23"}),
        ("FROM a\nARG A=1\nENV A=e\nRUN x", {"A": "e"}),
        ("FROM a\nENV A=e\nARG A=1\nRUN x", {"A": "e"}),
        ("FROM a\nARG A=1\nENV A=${A:-2}\nRUN x", {"A": "1"}),
        ("FROM a\nENV A=old\nENV A=new B=$A\nRUN x", {"A": "new", "B": "old"}),
        ("FROM a AS b\nARG A=1\nENV E=$A\nFROM b\nRUN x", {"A": "1", "E": "1"}),
        ("FROM a\nARG A=1\nFROM b\nRUN x", {}),
        ("FROM a\nARG TARGETARCH\nARG BUILDOS\nARG TARGETVARIANT\nRUN x", {"TARGETARCH": "arm", "BUILDOS": "linux", "TARGETVARIANT": "v7"}),
    ],
)
def test_args_and_env(text: str, expected: dict[str, str]) -> None:
    assert environment(run(text, build_args=(("GIVEN", "g"),), platform="linux/arm/v7")) == expected


def test_the_base_images_environment() -> None:
    document = {"config": {"Env": ["PATH=/bin", "X=base", "NOEQUALS"], "WorkingDir": "/w", "User": "u", "Shell": ["/bin/ash", "-c"]}}
    action = run("FROM a\nENV Y=$X\nWORKDIR sub\nRUN x", document)
    assert action == Run(("/bin/ash", "-c", "x"), ("PATH=/bin", "X=base", "Y=base"), "u", "/w/sub")


def test_proxies_reach_run_only() -> None:
    options = {"proxy": proxies({"http_proxy": "http://host", "NO_PROXY": "x", "OTHER": "y"}), "build_args": (("http_proxy", "http://arg"),)}
    action = run("FROM a\nRUN x", **options)
    assert (dict(action.proxy), action.args, environment(action)) == ({"http_proxy": "http://arg", "NO_PROXY": "x"}, (), {})
    assert dict(run("FROM a\nARG http_proxy\nRUN x", **options).args) == {"http_proxy": "http://arg"}


def test_warnings() -> None:
    given = (("Z", ""), ("Y", ""), ("X", ""), ("HTTP_PROXY", ""))
    made = planned("# syntax=evil/frontend\nFROM a\nMAINTAINER me\nCMD ['a']\nARG X", build_args=given)
    assert [warning.split(":")[1] for warning in made.warnings] == ["1", "3", "4"]
    done = unfold(made, made.stages[0], {"config": {}})
    assert unconsumed(made, [done]) == ("[Warning] one or more build args were not consumed: [Y Z]",)
    done = unfold(made, made.stages[0], {"config": {"OnBuild": ["ARG Z Y"]}})
    assert unconsumed(made, [done]) == ()
    assert not planned("# syntax=docker/dockerfile:1.7\nFROM a\nRUN [ -f x ]").warnings


def test_images_that_were_meant_to_be_stages() -> None:
    made = planned("FROM a AS build\nCOPY --from=tools /x /\nFROM biuld\nCOPY --from=registry/build /x /\nFROM b AS tools")
    assert [warning.split(" is an image here: ")[1] for warning in made.warnings] == [
        "the stage of that name begins only at Containerfile:5",
        "no stage before is called that (did you mean build?)",
    ]


def test_onbuild_of_a_base_runs_first_and_is_gone() -> None:
    document = {"config": {"OnBuild": ["ARG A=1", "RUN echo $A", "COPY . /app"]}}
    found = steps("FROM a\nCMD x", document)
    assert [(step.number, step.total, step.onbuild, step.instruction.name) for step in found] == [
        (2, 5, True, "ARG"), (3, 5, True, "RUN"), (4, 5, True, "COPY"), (5, 5, False, "CMD"),
    ]  # fmt: skip
    assert found[-1].document["config"] == {"Cmd": ["/bin/sh", "-c", "x"]}
    with pytest.raises(InvalidInput, match="ONBUILD of a"):
        steps("FROM a\nCMD x", {"config": {"OnBuild": ["FROM b"]}})
    with pytest.raises(InvalidInput, match="list of strings"):
        steps("FROM a\nCMD x", {"config": {"OnBuild": "RUN x"}})


def test_onbuild_between_stages_of_one_file() -> None:
    found = steps("FROM x AS data\nFROM a AS b\nONBUILD COPY --from=data /x /y\nFROM b\nCMD z")
    assert isinstance(found[0].action, model.Copy)
    assert found[0].action.origin == Origin("stage", "data", 0)


def test_a_stage_only_the_base_image_names() -> None:
    with pytest.raises(InvalidInput, match="use an ARG"):
        steps("FROM a AS one\nFROM b AS two\nFROM c\nCOPY --from=one x y\nCOPY --from=${V:-one} x y", {"config": {"Env": ["V=two"]}})


@pytest.mark.parametrize(
    ("lines", "argv"),
    [
        ("RUN a b  c", ("/bin/sh", "-c", "a b  c")),
        ('RUN ["a", "$b"]', ("a", "$b")),
        ('SHELL ["/bin/bash", "-ec"]\nRUN a', ("/bin/bash", "-ec", "a")),
        ("RUN <<E\na\nb\nE", ("/bin/sh", "-c", "a\nb\n")),
        ("RUN cat <<E >x && y\na\nE", ("/bin/sh", "-c", "cat <<E >x && y\na\nE")),
        ("RUN cat <<A <<-'B'\na\nA\n\tb\n\tB", ("/bin/sh", "-c", "cat <<A <<-'B'\na\nA\nb\nB")),
        ("RUN <<E\n#!/usr/bin/python\nprint()\nE", ("/dev/pipes/E",)),
    ],
)
def test_what_run_executes(lines: str, argv: tuple[str, ...]) -> None:
    action = run(f"FROM a\n{lines}")
    assert action.argv == argv
    assert (action.script is not None) == argv[0].startswith("/dev/pipes")


@pytest.mark.parametrize(
    ("options", "mount"),
    [
        ("target=/m", model.Mount("bind", "/m", readonly=True)),
        ("type=bind,src=/a/../b,dst=m,rw,from=img", model.Mount("bind", "/w/m", Origin("image", "img"), "b")),
        ("type=cache,target=/c", model.Mount("cache", "/c", Origin("none"), id="/c", mode=0o755)),
        (
            "type=cache,id=i,target=/c,sharing=locked,mode=0700,uid=1,gid=2,ro",
            model.Mount("cache", "/c", Origin("none"), readonly=True, id="i", sharing="locked", mode=0o700, uid=1, gid=2),
        ),
        ("type=tmpfs,target=/t,size=64m", model.Mount("tmpfs", "/t", Origin("none"), mode=0o1777, size=64 << 20)),
        ("type=secret,id=s", model.Mount("secret", "/run/secrets/s", Origin("none"), id="s", mode=0o400)),
        ("type=secret,id=s,env=TOKEN,required", model.Mount("secret", "", Origin("none"), id="s", env="TOKEN", required=True, mode=0o400)),
        ("type=secret,target=/root/.netrc,mode=0440", model.Mount("secret", "/root/.netrc", Origin("none"), id=".netrc", mode=0o440)),
        ("type=ssh", model.Mount("ssh", "", Origin("none"), id="default", mode=0o600)),
        ('"target=/a,b",Z', model.Mount("bind", "/a,b", readonly=True, relabel="Z")),
        ("target=$DIR/x", model.Mount("bind", "/dir/x", readonly=True)),
    ],
)
def test_mounts(options: str, mount: model.Mount) -> None:
    assert run(f"FROM a\nWORKDIR /w\nARG DIR=/dir\nRUN --mount='{options}' x").mounts == (mount,)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("COPY a b/ ./", model.Copy((model.Source("path", "a"), model.Source("path", "b/")), "/w/")),
        ("COPY . .", model.Copy((model.Source("path", ""),), "/w/")),
        ("COPY /../x/../y z", model.Copy((model.Source("path", "y"),), "/w/z")),
        ('COPY ["a b", "/x y/"]', model.Copy((model.Source("path", "a b"),), "/x y/")),
        ("COPY a b /", model.Copy((model.Source("path", "a"), model.Source("path", "b")), "/")),
        ("COPY a b /d", model.Copy((model.Source("path", "a"), model.Source("path", "b")), "/d/")),
        (
            "COPY --chown=$V:g --chmod=u=rwX,go= --link --parents --exclude=*.md --exclude=a/** x/./y /d/",
            model.Copy(
                (model.Source("path", "x/./y"),), "/d/", chown="val:g", chmod="u=rwX,go=", link=True, parents=True, exclude=("*.md", "a/**")
            ),
        ),
        ("ADD a.tar /d/", model.Copy((model.Source("path", "a.tar"),), "/d/", add=True)),
        ("ADD --unpack=false a.tar /d", model.Copy((model.Source("path", "a.tar"),), "/d", add=True, unpack=False)),
        (
            f"ADD --checksum=sha256:{'a' * 64} https://x/a.tar /d",
            model.Copy((model.Source("url", "https://x/a.tar"),), "/d", add=True, checksum="sha256:" + "a" * 64),
        ),
        (
            "ADD --keep-git-dir=true https://x/a.git#v1:sub /d",
            model.Copy((model.Source("git", "https://x/a.git#v1:sub"),), "/d", add=True, keep_git_dir=True),
        ),
        ("ADD git@host:a/b.git /d", model.Copy((model.Source("git", "git@host:a/b.git"),), "/d", add=True)),
        ("COPY <<A <<'B' /d\n$V\nA\n$V\nB", model.Copy((model.Source("inline", "A", "val\n"), model.Source("inline", "B", "$V\n")), "/d/")),
    ],
)
def test_copy(line: str, expected: model.Copy) -> None:
    assert steps(f"FROM a\nARG V=val\nWORKDIR /w\n{line}")[-1].action == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("ENV A=1 B='x y'\nENV A=2", {"Env": ["P=/bin", "A=2", "B=x y"]}),
        ("LABEL a=1 'b c'=d\nLABEL a=2", {"Labels": {"base": "b", "a": "2", "b c": "d"}}),
        ("CMD x", {"Cmd": ["/bin/sh", "-c", "x"]}),
        ("CMD []", {"Cmd": None}),
        ('ENTRYPOINT ["e"]', {"Entrypoint": ["e"], "Cmd": None}),
        ('CMD ["c"]\nENTRYPOINT ["e"]', {"Entrypoint": ["e"], "Cmd": ["c"]}),
        ('ENTRYPOINT ["e"]\nCMD ["c"]', {"Entrypoint": ["e"], "Cmd": ["c"]}),
        ('SHELL ["s"]\nCMD x', {"Shell": ["s"], "Cmd": ["s", "x"]}),
        ("WORKDIR a\nWORKDIR ../b/./c", {"WorkingDir": "/b/c"}),
        ("WORKDIR /../..", {"WorkingDir": "/"}),
        ("EXPOSE 80 53/UDP 8000-8002", {"ExposedPorts": {"80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}, "8002/tcp": {}}}),
        ("VOLUME /a b", {"Volumes": {"/a": {}, "/b": {}}}),
        ('VOLUME ["/a b"]', {"Volumes": {"/a b": {}}}),
        ("USER 10:20", {"User": "10:20"}),
        ("STOPSIGNAL 15", {"StopSignal": "15"}),
        ("STOPSIGNAL RTMIN+3", {"StopSignal": "RTMIN+3"}),
        ("HEALTHCHECK NONE", {"Healthcheck": {"Test": ["NONE"]}}),
        (
            'HEALTHCHECK --interval=1m30s --timeout=500ms --retries=2 CMD ["a", "b"]',
            {"Healthcheck": {"Test": ["CMD", "a", "b"], "Interval": 90_000_000_000, "Timeout": 500_000_000, "Retries": 2}},
        ),
        ("HEALTHCHECK CMD a || b", {"Healthcheck": {"Test": ["CMD-SHELL", "a || b"]}}),
        ("ONBUILD RUN x\nONBUILD COPY <<E /y\nz\nE", {"OnBuild": ["RUN x", "COPY <<E /y\nz\nE"]}),
        ("ARG A=1", {}),
        ("MAINTAINER me", {}),
    ],
)
def test_metadata(lines: str, expected: dict[str, object]) -> None:
    base = {"Env": ["P=/bin"], "Labels": {"base": "b"}, "Cmd": ["base"]}
    wanted = {key: value for key, value in {**base, **expected}.items() if value is not None}
    assert last(f"FROM a\n{lines}", {"config": base}) == wanted


def test_the_author() -> None:
    assert steps("FROM a\nMAINTAINER Me <m@e>")[-1].document["author"] == "Me <m@e>"
