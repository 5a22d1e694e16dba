"""generate kube, kube generate: from what is stored to files for a cluster."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli.declare import argument, choice, command, flag, integer, many, text
from kubeplay.errors import AlreadyExists, InvalidInput
from kubeplay.generate.options import TYPES, GenerateOptions, Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubeplay.cli.app import App


@command(
    "generate",
    "Write the Kubernetes file that describes pods, containers, volumes, or whole stacks.\n\n"
    "    kubeplay generate kube web\n    kubeplay generate kube deployment/web service/web\n"
    "    kubeplay generate kube --all -n shop --split shop/\n    kubeplay generate kube -l app=web -f web.yaml\n"
    "    kubeplay generate kube --from compose docker-compose.yaml\n    podman inspect web | kubeplay generate kube --from container -\n\n"
    "What the named things refer to comes with them: ConfigMaps, Secrets, claims, accounts, classes. Lines that a cluster needs\n"
    "changed end in a comment that says why.\n\n"
    "With --from compose NAME is a compose file, or its directory (this one when none is named); with --from container a file of what\n"
    "`podman inspect` or `docker inspect` prints, or `-`. What no manifest can say is listed on stderr and in comments.",
    argument("NAME", "Pods, containers, volumes, or KIND/NAME of any kind: deployment/web, cronjob/nightly, netpol/db.", many=True,
             required=False, complete="pod"),
    flag("-a", "--all", help="Everything that was written in the namespace (-n); what controllers made is made again by them."),
    flag("-A", "--all-namespaces", help="Everything of every namespace, with the cluster-wide objects."),
    text("-l", "--selector", help="What has these labels: app=web,tier!=db,'env in (a, b)'.", metavar="SELECTOR"),
    text("--applyset", help="What belongs to an applyset: its id, or its parent as [KIND/]NAME.", metavar="APPLYSET"),
    choice("--from", choices=("compose", "container"), help="Read files of this form instead of what is stored.", dest="source"),
    many("--profile", help="With --from compose: take in the services of this profile, '*' for every one.", metavar="PROFILE"),
    text("-f", "--filename", help="Write to this file, which must not exist.", metavar="FILE", complete="file"),
    text("--split", help="Write a file for each object into this directory, and a kustomization.yaml; none of them may exist.",
         metavar="DIR", complete="file"),
    choice("-t", "--type", choices=TYPES, help="Kind of what is written, when it is not what was played."),
    integer("-r", "--replicas", help="Replicas of the Deployment."),
    flag("-s", "--service", help="Write a NodePort Service for the published ports too."),
    flag("--show-secrets", help="Write the values of Secrets, not placeholders that a cluster refuses."),
    flag("--comments", help="Say at the end of a line what a cluster needs changed there.", default=True),
    flag("--podman-only", help="Write also the annotations that mean something to kubeplay alone: how `run` lists and removes a pod."),
    flag("--no-trunc", help="Accepted for podman's sake; no effect, as nothing is cut."),
)  # fmt: skip
def generate(app: App, *, name: tuple[str, ...], filename: str | None, split: str | None, comments: bool, **given: Any) -> None:
    _check(name, filename, split, given)
    from kubeplay.generate import documents, lookup, published, write

    options = GenerateOptions(given["type"] or "", given["replicas"], given["service"], given["show_secrets"], given["podman_only"])
    if given["source"]:
        from kubeplay.cli import converting

        asked = converting.Asked(given["source"], given["profile"], app.namespace if app.namespace_given else "", comments)
        files = converting.files(name, asked, options, split=bool(split))
        put(files, filename, split, 0o600 if options.show_secrets else 0o644)
        return
    wanted = _wanted(app, name, given)
    objects = documents.generate(wanted, lookup.stored(app.store), options)
    facts = published.facts(app.engine.images, objects) if comments else write.NOTHING
    for reason in wanted.left:
        print(f"Warning: left out: {reason}", file=sys.stderr)
    mode = 0o600 if options.show_secrets else 0o644
    if split:
        files = write.split(objects, comment=comments, facts=facts)
    else:
        files = {"": write.to_yaml(objects, comment=comments, facts=facts)}
    put(files, filename, split, mode)


def put(files: Mapping[str, str], filename: str | None, split: str | None, mode: int) -> None:
    """The files into their directory, or the only text into its file or to stdout. Raises AlreadyExists."""
    if split:
        _directory(split, files, mode)
    elif filename:
        _file(filename, files[""], mode)
    else:
        sys.stdout.write(files[""])


def _check(name: tuple[str, ...], filename: str | None, split: str | None, given: Mapping[str, Any]) -> None:
    replicas, type, whole = given["replicas"], given["type"], _whole(given)
    if replicas is not None and (replicas < 1 or type != "deployment"):
        raise InvalidInput(
            "--replicas can only be set when --type is set to deployment" if type != "deployment" else "--replicas must be at least 1"
        )
    if given["source"] and whole:
        raise InvalidInput(f"--from and {whole} cannot be mixed", hint="--from reads files, the other what is stored")
    if name and whole:
        raise InvalidInput(f"names and {whole} cannot be mixed", hint="give either what is wanted, or which of all")
    if whole and (type or given["service"]):
        raise InvalidInput(f"{whole} writes every object as it is", hint="--type and --service go with names")
    if given["selector"] and given["applyset"]:
        raise InvalidInput("--selector and --applyset cannot be mixed")
    if filename and split:
        raise InvalidInput("--filename and --split cannot be mixed", hint="one file, or one for each object")
    if filename and os.path.lexists(filename):
        raise AlreadyExists(f'cannot write to "{filename}"; file exists')


def _whole(given: Mapping[str, Any]) -> str:
    """The flag that asks for more than what is named; "" when none does."""
    flags = {"all": "--all", "all_namespaces": "--all-namespaces", "selector": "--selector", "applyset": "--applyset"}
    return next((flag_ for dest, flag_ in flags.items() if given[dest]), "")


def _wanted(app: App, name: tuple[str, ...], given: Mapping[str, Any]) -> Wanted:
    from kubeplay.generate import lookup, whole

    if not _whole(given):
        return lookup.find(app.store, name, app.namespace)
    namespace = "" if given["all_namespaces"] else app.namespace
    return whole.everything(app.store, namespace, given["selector"] or "", given["applyset"] or "")


def _directory(path: str, files: Mapping[str, str], mode: int) -> None:
    """All files or, where one exists already, none. Raises AlreadyExists."""
    os.makedirs(path, exist_ok=True)
    taken = [name for name in files if os.path.lexists(os.path.join(path, name))]
    if taken:
        raise AlreadyExists(f'cannot write to "{os.path.join(path, taken[0])}"; file exists', hint="name another directory")
    for name, text_ in files.items():
        _file(os.path.join(path, name), text_, mode)
    print("\n".join(os.path.join(path, name) for name in files))


def _file(path: str, text_: str, mode: int) -> None:
    """A new file. Raises AlreadyExists."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise AlreadyExists(f'cannot write to "{path}"; file exists') from None
    with open(fd, "w", encoding="utf-8") as file:
        file.write(text_)
