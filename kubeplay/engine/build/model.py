"""What a Containerfile says (Instruction), what is to be built (BuildPlan), and what each step does (Step).

Three pure stages, each a function of its arguments alone:
  parse.parse(text, file)              -> tuple[Instruction, ...]   syntax, flags; all faults at once
  plan.plan(instructions, options)     -> BuildPlan                 stages, what they need, which are built
  unfold.unfold(plan, stage, document) -> Unfolded                  words expanded, ONBUILD done, one Step per instruction
The executor builds `plan.order` one after the other (or those whose `needs` are done), and calls `unfold` once it has the base's document.
"""

from __future__ import annotations

from kubeplay.record import Record

TYPE_CHECKING = False  # typing's own costs an import; type checkers go by the name
if TYPE_CHECKING:
    from typing import Any

    Document = dict[str, Any]  # an image's configuration blob as JSON: architecture, os, config, history, rootfs
else:
    Document = dict


class Heredoc(Record):
    """`<<NAME`: `content` has its last newline, and no leading tabs where it was `<<-`. `expand`: the delimiter was not quoted."""

    name: str
    content: str
    expand: bool = True
    strip: bool = False
    fd: int = 0


class Flag(Record):
    """`--name=value`; `value` is None for a bare `--name`. Words in it are not expanded yet."""

    name: str
    value: str | None = None


class Instruction(Record):
    """One instruction as written: nothing is expanded, quotes are still there.

    `name` is upper case. `text` is what follows the flags, continuation lines joined, comments among them gone. `json` holds the words
    of a JSON (exec) form, else None. `inner` is the instruction ONBUILD keeps. `line` counts from 1; `raw` are the source's lines.
    """

    name: str
    text: str = ""
    flags: tuple[Flag, ...] = ()
    json: tuple[str, ...] | None = None
    heredocs: tuple[Heredoc, ...] = ()
    file: str = "Containerfile"
    line: int = 0
    raw: str = ""
    escape: str = "\\"
    inner: Instruction | None = None

    @property
    def where(self) -> str:
        """FILE:LINE, as errors begin."""
        return f"{self.file}:{self.line}"


class BuildOptions(Record):
    """What planning must know of the command line.

    `build_args`: --build-arg in order; the caller has filled in NAME without value from its environment and dropped those it has not.
    `platform`, `build_platform`: OS/ARCH[/VARIANT], never empty. `contexts`: names of --build-context. `proxy`: the caller's proxy
    variables when --http-proxy is on: they are args of every RUN, and no part of cache keys. `labels`, `annotations`, `env` and the
    unset lists go into the final image only. `base`: --from, replaces the first FROM's image. `format` is "oci" or "docker".
    `target` is a stage's name or number, "" for the last.
    """

    build_args: tuple[tuple[str, str], ...] = ()
    target: str = ""
    platform: str = "linux/amd64"
    build_platform: str = "linux/amd64"
    contexts: tuple[str, ...] = ()
    proxy: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    unset_env: tuple[str, ...] = ()
    unset_labels: tuple[str, ...] = ()
    base: str = ""
    format: str = "oci"
    skip_unused_stages: bool = True


class Origin(Record):
    """Where files come from. kind and value:

    "context": the build context, value "". "stage": the finished file system of stage number `stage`, value is what was written.
    "named": --build-context VALUE. "image": the image VALUE (a reference), pulled for the stage's platform.
    """

    kind: str = "context"
    value: str = ""
    stage: int = -1


class Stage(Record):
    """`base.kind` is "image", "stage", "named", or "scratch" (no file system; value "scratch").

    `platform` is of FROM --platform, or the target's ("" is never). `needs` are the stages that must be finished before (base, COPY --from,
    RUN --mount from), ascending; `images` and `contexts` those that COPY/ADD/RUN take files from, in order of first use, each once.
    `args`: ARGs of before the first FROM with their values (None: without one), which an `ARG NAME` within the stage takes over.
    `inherited`: ARGs that the stage below has declared; they hold here too.
    """

    number: int
    name: str
    base: Origin
    platform: str
    start: Instruction
    instructions: tuple[Instruction, ...] = ()
    needs: tuple[int, ...] = ()
    images: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()
    args: tuple[tuple[str, str | None], ...] = ()
    inherited: tuple[tuple[str, str | None], ...] = ()


class BuildPlan(Record):
    """`stages` are all of the file, `order` those to build, each after what it needs; the last of `order` is `target`.

    `warnings` are whole sentences for stderr, in order. `unused` are the --build-arg names that no ARG of the file declares: those that no
    ONBUILD of a base declares either are told at the end (unfold.unconsumed).
    """

    stages: tuple[Stage, ...]
    order: tuple[int, ...]
    target: int
    options: BuildOptions
    warnings: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


class Source(Record):
    """A source of COPY or ADD. kind "path": below the origin's root, may hold * ? [..], never climbs (leading / and .. are taken off),
    "" or "." is the whole root, a trailing / is kept. "url": http(s) to a file. "git": a repository, `#ref:subdir` still on it.
    "inline": a heredoc: a file named `value` with `content`, mode 0644 (0755 never).
    """

    kind: str
    value: str
    content: str = ""


class Mount(Record):
    """RUN --mount, expanded; each type has its own defaults already filled in.

    bind: `origin`, `source` path below its root ("" is the root), `target` absolute, `readonly` True unless rw; what is written with rw
        is thrown away.
    cache: `id` (target if not given), `sharing` shared|private|locked, `origin`/`source` the first content (origin.kind "none": empty),
        `mode` 0755, `uid`, `gid`.
    tmpfs: `target`, `size` bytes (0: no limit), `mode` 01777 unless given.
    secret: `id`; `target` (default /run/secrets/ID; "" with `env` and no target), `env` the variable to set, `required`, `mode` 0400.
    ssh: `id` ("default"), `target` (default "" = /run/buildkit/ssh_agent.N, N counts from 0 within the RUN), `mode` 0600, `required`.
    """

    type: str
    target: str = ""
    origin: Origin = Origin()
    source: str = ""
    readonly: bool = False
    id: str = ""
    sharing: str = "shared"
    required: bool = False
    env: str = ""
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    relabel: str = ""  # z, Z: accepted for SELinux hosts, no effect without it


class Run(Record):
    """`argv` is complete (shell included). `env` is NAME=VALUE: the image's Env, then visible ARGs that ENV does not name.

    `script`: a heredoc that begins with #!: write its content to a file (0755, read-only mount) at /dev/pipes/NAME, which argv[0] names.
    `user` "" is root; `workdir` absolute ("/" if the image has none), to be made when missing. `network` default|none|host;
    `security` sandbox|insecure. `args` are the visible ARGs (for history); `proxy` variables go into the process only, not into keys.
    """

    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    user: str = ""
    workdir: str = "/"
    mounts: tuple[Mount, ...] = ()
    network: str = "default"
    security: str = "sandbox"
    script: Heredoc | None = None
    args: tuple[tuple[str, str], ...] = ()
    proxy: tuple[tuple[str, str], ...] = ()
    stop_signal: str = ""


class Copy(Record):
    """COPY and ADD (`add`: local archives are unpacked, URLs and git fetched).

    `target` is absolute and normal; a trailing / says it is a directory (also set for `.` and for several sources). A directory source is
    copied by its content. `chown` is USER[:GROUP], expanded, names resolved in the stage's own /etc/passwd and group, "" is 0:0.
    `chmod` is octal digits or symbolic, "" keeps modes. `link`: a layer of its own that does not look at the parent.
    `parents`: keep source directories (`/./` marks where they begin). `exclude`: for ignore.Matcher, relative to the origin's root.
    `unpack`: None is the default (local archives yes, URLs no). `checksum` is ALGORITHM:HEX of the one URL or the commit of git.
    """

    sources: tuple[Source, ...]
    target: str
    origin: Origin = Origin()
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    add: bool = False
    keep_git_dir: bool = False
    checksum: str = ""
    unpack: bool | None = None


class Env(Record):
    """Set in order; values expanded."""

    pairs: tuple[tuple[str, str], ...]


class Label(Record):
    """Set in order."""

    pairs: tuple[tuple[str, str], ...]


class Arg(Record):
    """Declared with the values that hold from here on; None: declared, without value. Changes nothing of the image."""

    pairs: tuple[tuple[str, str | None], ...]


class Cmd(Record):
    """None takes it away (CMD []); the shell form has its shell already."""

    argv: tuple[str, ...] | None


class Entrypoint(Record):
    """None takes it away. A CMD that the stage itself has not set goes, as its base meant another entrypoint."""

    argv: tuple[str, ...] | None
    keep_cmd: bool = False


class User(Record):
    """USER[:GROUP]."""

    user: str


class Workdir(Record):
    """Absolute. The directory is made when it is missing (0755, of `user`, as buildah and docker do): a layer then, none otherwise."""

    path: str
    user: str = ""


class Volume(Record):
    """Absolute paths."""

    paths: tuple[str, ...]


class Expose(Record):
    """PORT/PROTOCOL, ranges taken apart."""

    ports: tuple[str, ...]


class StopSignal(Record):
    """A name (SIGTERM) or number."""

    signal: str


class Healthcheck(Record):
    """`test` as in the image: ("NONE",), ("CMD", ...), ("CMD-SHELL", text); times in nanoseconds, 0 = default."""

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Shell(Record):
    """For the shell forms that follow."""

    argv: tuple[str, ...]


class Onbuild(Record):
    """The instruction, as text, that a build on top of this image does first."""

    trigger: str


class Maintainer(Record):
    """Deprecated; becomes the image's author."""

    name: str


Metadata = Env | Label | Arg | Cmd | Entrypoint | User | Workdir | Volume | Expose | StopSignal | Healthcheck | Shell | Onbuild | Maintainer
Action = Run | Copy | Metadata


class Step(Record):
    """One instruction, ready to do.

    `layer`: Run and Copy make a layer; Workdir may; all others never do. `document` is the image's document after the step (its config;
    history and rootfs are the base's: the executor keeps those). `display` is what a person sees: the instruction with words as written.
    `number` and `total` are for "STEP 2/5" and count the FROM as 1; `onbuild` says that the base's ONBUILD brought the step.
    """

    instruction: Instruction
    action: Action
    document: Document
    display: str
    layer: bool = False
    number: int = 0
    total: int = 0
    onbuild: bool = False


class Unfolded(Record):
    """A stage's steps; `document` is the image's after the last (before mutate.finish); `warnings` as in BuildPlan."""

    stage: Stage
    steps: tuple[Step, ...]
    document: Document
    warnings: tuple[str, ...] = ()
