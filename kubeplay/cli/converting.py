"""generate kube --from: compose files and inspected containers as manifests, with what these cannot say on stderr and as comments."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence

from kubeplay.convert.model import Converted, Note, Object, Options
from kubeplay.errors import InvalidInput, NotFound
from kubeplay.generate.options import GenerateOptions
from kubeplay.record import Record

MAX_BYTES = 4 << 20  # of one file: compose files, and what becomes a ConfigMap of at most 1 MiB
STDIN = "-"
_KINDS = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "directory"), (stat.S_ISSOCK, "socket"))


class Files:
    """The files of this machine, bounded; a pipe or a device is not read, whatever its name."""

    def __init__(self) -> None:
        self.environ = dict(os.environ)

    def read(self, path: str) -> bytes:
        """Raises InvalidInput, NotFound."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except FileNotFoundError:
            raise NotFound(f"{path}: no such file or directory") from None
        except (OSError, ValueError) as error:
            raise InvalidInput(f"{path}: {getattr(error, 'strerror', None) or error}") from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise InvalidInput(f"{path}: is not a file")
        with open(fd, "rb") as file:
            try:
                return bounded(file.read(MAX_BYTES + 1) or b"", path)
            except OSError as error:  # of /proc and /sys not every file can be read
                raise InvalidInput(f"{path}: {error.strerror}") from None

    def kind(self, path: str) -> str:
        try:
            mode = os.stat(path).st_mode
        except (OSError, ValueError):
            return ""
        return next((name for test, name in _KINDS if test(mode)), "other")

    def inside(self, path: str, directory: str) -> bool:
        try:
            return os.path.realpath(path).startswith(os.path.realpath(directory).rstrip("/") + "/")
        except ValueError:  # a name with a zero byte
            return False


def bounded(data: bytes, name: str) -> bytes:
    if len(data) > MAX_BYTES:
        raise InvalidInput(f"{name}: larger than {MAX_BYTES >> 20} MiB")
    return data


class Asked(Record):
    """What `generate kube --from` was asked for; `namespace` "" leaves it to whoever plays the file."""

    source: str
    profiles: tuple[str, ...] = ()
    namespace: str = ""
    comments: bool = True


def files(names: Sequence[str], asked: Asked, options: GenerateOptions, *, split: bool) -> dict[str, str]:
    """The manifests of what is named, as one text (named "") or split; notes go to stderr. Raises InvalidInput, NotFound."""
    if names.count(STDIN) > 1:
        raise InvalidInput("standard input `-` can be given once")
    made = compose(names, asked, options) if asked.source == "compose" else containers(names, asked, options)
    for note in made.notes:
        print(f"Warning: {printable(str(note))}", file=sys.stderr)
    checked(made)
    return texts(made, comment=asked.comments, split=split)


def compose(names: Sequence[str], asked: Asked, how: GenerateOptions) -> Converted:
    from kubeplay.convert import compose as converting
    from kubeplay.convert.project import found_in

    if how.type or how.service or how.replicas is not None:
        raise InvalidInput("--type, --replicas and --service are not for --from compose", hint="each service of the file says what it is")
    options = Options(asked.namespace, asked.profiles, how.show_secrets)
    folder = Files()
    here = os.getcwd()
    if not names:
        return converting.convert(found_in(here, folder), options, folder)
    paths: list[str] = []
    for name in names:
        path = os.path.join(here, "compose.yaml" if name == STDIN else name)
        paths += found_in(os.path.normpath(path), folder) if folder.kind(path) == "directory" else [os.path.normpath(path)]
    texts = {os.path.join(here, "compose.yaml"): bounded(sys.stdin.buffer.read(MAX_BYTES + 1), "stdin")} if STDIN in names else {}
    return converting.convert(paths, options, folder, texts)


def containers(names: Sequence[str], asked: Asked, how: GenerateOptions) -> Converted:
    """Pods of inspected containers, in the form that --type asks for, with the Service of --service."""
    from kubeplay.convert import inspected

    if not names:
        raise InvalidInput(
            "name a file of inspected containers", hint="as in: podman inspect web | kubeplay generate kube --from container -"
        )
    folder = Files()
    sources = [
        ("stdin", bounded(sys.stdin.buffer.read(MAX_BYTES + 1), "stdin")) if name == STDIN else (name, folder.read(name)) for name in names
    ]
    made = inspected.convert(sources, Options(asked.namespace, (), how.show_secrets), folder)
    objects: list[Object] = []
    for obj in made.objects:
        objects += formed(obj, how) if obj["kind"] == "Pod" else [obj]
    homes = {obj["metadata"]["labels"]["app"]: obj for obj in objects if obj["kind"] in _FORMED}
    notes = [note._replace(about=(homes[note.about[1]]["kind"], homes[note.about[1]]["metadata"]["name"])) for note in made.notes]
    return Converted(tuple(objects), tuple(notes))


_FORMED = ("Pod", "Deployment", "DaemonSet", "Job")


def formed(pod: Object, how: GenerateOptions) -> list[Object]:
    """A Pod as --type has it; the restart policy is the one that the type allows."""
    from kubeplay.generate import service, workload

    if how.type in ("deployment", "daemonset"):
        pod = {**pod, "spec": {**pod["spec"], "restartPolicy": "Always"}}
    elif how.type == "job" and pod["spec"]["restartPolicy"] == "Always":
        pod = {**pod, "spec": {**pod["spec"], "restartPolicy": "OnFailure"}}
    made = pod if how.type in ("", "pod") else workload.wrap(pod, how.type, how.replicas)
    return [service.of(made), service.published(made)] if how.service else [made]


def checked(made: Converted) -> None:
    """Raises InvalidInput where a cluster would refuse what was made: a value went through that Kubernetes does not take."""
    from kubeplay.kube import check, write
    from kubeplay.kube.portable.model import PLACEHOLDER

    shown = []
    for obj in made.objects:  # whether its namespace is there is for whoever plays it to see
        obj = {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "namespace"}}
        if obj["kind"] == "Secret":
            obj = {**obj, "data": {key: "" if value == PLACEHOLDER else value for key, value in obj["data"].items()}}
        shown.append(obj)
    found = check.inspect(write.documents(shown).encode(), "")
    faults = []
    for fault in found.faults:
        obj = shown[fault.document] if fault.document < len(shown) else {"kind": "", "metadata": {"name": ""}}
        faults.append(fault._replace(path=f"{obj['kind']} {obj['metadata']['name']}: {fault.path}", line=0))
    if faults:
        raise InvalidInput("what comes of it would be refused", faults, hint="change the value that it comes from")


def texts(made: Converted, *, comment: bool, split: bool) -> dict[str, str]:
    """The objects as text, with what is said of each above it, and of all at the top."""
    from kubeplay.generate import order, write

    objects = [order.keys(obj) for obj in order.documents([dict(obj) for obj in made.objects])]
    shown = {(obj["kind"], obj["metadata"]["name"]) for obj in objects}
    above: dict[tuple[str, str], list[Note]] = {}
    for note in made.notes if comment else ():
        above.setdefault(note.about if note.about in shown else ("", ""), []).append(note)
    if split:
        found = write.split(objects, comment=comment)
        for name, obj in zip(found, objects):
            found[name] = _comments(above.get((obj["kind"], obj["metadata"]["name"]))) + found[name]
        return {**found, write.KUSTOMIZATION: _comments(above.get(("", ""))) + found[write.KUSTOMIZATION]}
    texts = write.texts(objects, comment=comment)
    documents = [_comments(above.get((obj["kind"], obj["metadata"]["name"]))) + text for obj, text in zip(objects, texts)]
    top = (write.header(objects, documents) if comment else "") + _comments(above.get(("", "")))
    return {"": top + ("---\n" if len(documents) > 1 else "") + "---\n".join(documents)}


def _comments(notes: Sequence[Note] | None) -> str:
    return "".join(f"# {printable(f'{note.path}: {note.message}' if note.path else note.message)}\n" for note in notes or ())


def printable(text: str) -> str:
    """What cannot end a comment: no line breaks, nothing that a terminal obeys."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
