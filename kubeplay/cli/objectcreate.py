"""secret create and configmap create: podman's form (one value from a file) and kubectl's (--from-literal, --from-file and so on)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kubeplay.cli.declare import Command, argument, command, flag, many, text
from kubeplay.errors import AlreadyExists, InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.plan.stack import PlannedObject

_SOURCES = (
    many("--from-literal", help="One key and its value.", metavar="KEY=VALUE"),
    many("--from-file", help="A file by its own name or KEY, or every file of a directory.", metavar="[KEY=]FILE", complete="file"),
    many("--from-env-file", help="Every line KEY=VALUE of a file.", metavar="FILE", complete="file"),
    many("-l", "--label", help="Add a label.", dest="label", metavar="KEY=VALUE"),
    flag("--immutable", help="Its data never changes again."),
    flag("--replace", help="Give one that exists the new data; running pods see it in their files."),
    flag("--ignore", help="One that exists is no error, and stays as it is."),
    flag("--dry-run", help="Print the object as YAML; store nothing."),
)


def _create(kind: str) -> Command:
    secret = kind == "Secret"
    own = (
        text("--type", help="Its type, as kubernetes.io/basic-auth; Opaque if not given.", metavar="TYPE"),
        flag("--env", help="FILE is the name of an environment variable instead."),
    )

    @command(
        "create",
        f"Create a {kind} from values, files, or standard input.\n\nWith FILE (- for standard input) it has one key, its own name. Prints"
        " its id.",
        argument("NAME", f"The {kind}."),
        argument("FILE", "A file that holds the one value.", required=False, complete="file"),
        _SOURCES,
        own if secret else (),
    )
    def create(app: App, *, name: str, file: str | None, env: bool = False, **given: Any) -> None:
        namespace, _, last = name.rpartition("/")
        data = _data(last, file, env, given)
        planned = _planned(app, kind, namespace or app.namespace, last, data, given)
        if given["dry_run"]:
            import json

            from kubeplay.kube.write import document

            print(document(json.loads(planned.body)), end="")
            return
        from kubeplay.play.update import put

        try:
            with app.supervised():
                made = put(app.engine, planned, replace=given["replace"])
        except AlreadyExists:
            if not given["ignore"]:
                raise
            made = app.store.objects.get(planned.key)
        print(made.uid)

    return create


def _data(name: str, file: str | None, env: bool, given: dict[str, Any]) -> dict[str, bytes]:
    from kubeplay.play import values

    found = values.data_of(given["from_literal"], given["from_file"], given["from_env_file"], os.environ)
    if file is None:
        if env:
            raise InvalidInput("--env needs the name of a variable in place of FILE")
        return found
    if found:
        raise InvalidInput("either FILE or --from-literal, --from-file and --from-env-file", hint=f"--from-file {name}={file}")
    if not env:
        return {name: values.read(file)}
    if file not in os.environ:
        raise InvalidInput(f"the environment variable {file} is not set")
    return {name: os.environb[os.fsencode(file)]}


def _planned(app: App, kind: str, namespace: str, name: str, data: dict[str, bytes], given: dict[str, Any]) -> PlannedObject:
    """Through the same door as a file: checked, with defaults. Raises InvalidInput."""
    import json

    from kubeplay.cli.volume import pairs
    from kubeplay.kube import check
    from kubeplay.play import values
    from kubeplay.play.known import facts, known
    from kubeplay.play.stack import build

    meta: dict[str, Any] = {"name": name, "namespace": namespace}
    labels = dict(pairs("--label", given["label"]))
    if labels:
        meta["labels"] = labels
    if kind == "Secret":
        made = values.secret(meta, data, given["immutable"], given["type"] or "")
    else:
        made = values.config_map(meta, data, given["immutable"])
    text = json.dumps(made).encode()
    return build(check.read(text, f"{kind} {name}", namespace=namespace, known=known(facts(app.store)))).objects[0]


secret_create, configmap_create = _create("Secret"), _create("ConfigMap")
