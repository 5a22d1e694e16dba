"""create job: a Job by hand, of a CronJob's template or of an image, as `kubectl create job` makes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubeplay.cli import choosing, things
from kubeplay.cli.declare import argument, command, text
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App

Json = dict[str, Any]
_NAMES = ("cronjob", "cronjobs", "cj", "cronjob.batch", "cronjobs.batch")


def meant(words: tuple[str, ...]) -> bool:
    """Whether `create WORDS` is kubectl's `create job NAME --from=cronjob/X`, and not a container of an image called job."""
    pairs = zip(words, (*words[1:], ""))
    origin = next((after if word == "--from" else word.removeprefix("--from=") for word, after in pairs if word.startswith("--from")), "")
    return words[:1] == ("job",) and origin.partition("/")[0].lower() in _NAMES


@command(
    "create",
    "Create a Job by hand.\n\n    kubeplay job create NAME --from=cronjob/NAME    now, without waiting for its time\n"
    "    kubeplay job create NAME --image=busybox -- date\n\n`kubeplay create job NAME --from=cronjob/NAME` means the same.",
    argument("NAME", "The Job."),
    argument("COMMAND", "What the container of --image runs.", dest="words", many=True, required=False),
    text("--from", help="The CronJob whose template it is made of: cronjob/NAME.", dest="origin", metavar="CRONJOB"),
    text("--image", help="The image that it runs.", metavar="IMAGE", complete="image"),
    choosing.OUTPUT, choosing.DRY_RUN,
)  # fmt: skip
def create(app: App, *, name: str, words: tuple[str, ...], origin: str | None, image: str | None, **given: Any) -> None:
    print(made(app, name, words, origin or "", image or "", given), end="")


def made(app: App, name: str, words: tuple[str, ...], origin: str, image: str, given: Json) -> str:
    """Make it; what is said of it. Raises InvalidInput, NotFound, AlreadyExists."""
    from kubeplay.cli import making

    if bool(origin) == bool(image) or (origin and words):
        raise InvalidInput("either --from=cronjob/NAME, or --image=IMAGE with a command that may follow --")
    with app.supervised():
        if image:
            return making.make(app, _of_image(app, name, image, words), "created", given)
        kind, _, owner = origin.partition("/")
        if kind.lower() not in _NAMES or not owner:
            raise InvalidInput(f"--from={origin}: from must be an existing cronjob", hint="--from=cronjob/NAME")
        one = things.kind("CronJob")
        body = things.fetched(app, one, f"{app.namespace}/{owner}")
        job = _of_cron(body, name)
        said = making.make(app, job, "created", given)
        if given.get("dry_run") in (None, "none"):
            _give(app, job, body)
        return said


def _of_image(app: App, name: str, image: str, words: tuple[str, ...]) -> Json:
    container: Json = {"name": name, "image": image}
    if words:
        container["command"] = list(words)
    spec = {"template": {"spec": {"containers": [container], "restartPolicy": "Never"}}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": app.namespace}, "spec": spec}


def _of_cron(body: Json, name: str) -> Json:
    from kubeplay.play.kinds import cronjob

    job = cronjob.made_of(body, name, {cronjob.MANUAL: "manual"})
    return {**job, "metadata": {field: value for field, value in job["metadata"].items() if field != "ownerReferences"}}


def _give(app: App, job: Json, body: Json) -> None:
    """Make the CronJob its owner: it goes with it, and its end is in the history."""
    from kubeplay.play.kinds import base, workload

    key = base.key(job)
    import json

    stored = json.loads(app.store.objects.get(key).body)
    stored["metadata"]["ownerReferences"] = [workload.owner_reference(body)]
    app.store.objects.set_owner(key, body["metadata"]["uid"], base.body(stored))


def from_words(app: App, words: tuple[str, ...]) -> str:
    """`create job NAME --from=cronjob/X` as the words after `create`. Raises InvalidInput."""
    names, given = [], {"dry_run": "none", "output": None}
    rest, origin = list(words[1:]), ""
    while rest:
        word = rest.pop(0)
        if word == "--from" and rest:
            origin = rest.pop(0)
        elif word.startswith("--from="):
            origin = word.removeprefix("--from=")
        elif word.startswith("--dry-run"):
            given["dry_run"] = word.partition("=")[2] or "client"
        elif word in ("-o", "--output") and rest:
            given["output"] = rest.pop(0)
        elif word.startswith("-"):
            raise InvalidInput(f"create job: unknown flag {word}", hint="kubeplay job create --help")
        else:
            names.append(word)
    if len(names) != 1:
        raise InvalidInput("create job needs one name", hint="kubeplay create job NAME --from=cronjob/NAME")
    return made(app, names[0], (), origin, "", given)
