"""What is followed, how, and how far it has come: frozen records and their JSON."""

from __future__ import annotations

import json
import re
from typing import Any

from kubeplay.errors import InvalidInput, StoreError
from kubeplay.record import Record

DIRECTORY, GIT, OCI = "directory", "git", "oci"
SOURCE, BUILD, APPLY = "source", "build", "apply"  # where an error came about
INTERVAL = 60.0  # seconds; the interval of every example of Flux's GitRepository and Kustomization
TIMEOUT = 300.0  # seconds until a new state must be ready; Flux's examples of `wait: true` have 2 to 5 min
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?")  # RFC 1123, and short enough for labels and units made from it


class Spec(Record):
    """One sync. `source` is a path or a URL as it is used; `shown` the same without a password.

    At most one of `branch`, `tag`, `commit` is set. `path` is the sub-folder ("" = the top). `interval` and `timeout` in seconds.
    """

    name: str
    kind: str
    source: str
    shown: str
    namespace: str = "default"
    branch: str = ""
    tag: str = ""
    commit: str = ""
    path: str = ""
    recursive: bool = False
    prune: bool = False
    interval: float = INTERVAL
    timeout: float = TIMEOUT
    validate: str = "strict"


class Error(Record):
    """What went wrong last: at which `stage`, for which revision ("" = unknown), how often in a row; `when` in epoch seconds."""

    stage: str
    revision: str
    message: str
    times: int
    when: float


class Status(Record):
    """How far a sync has come; times are epoch seconds, 0 = never.

    `seen` is the revision found at the source, `applied` the one that runs. `error` is what is wrong now; `failures` how often the newest
    and the applied revision have failed, whatever else went wrong since. `drift` says what differs from `applied`, `healed` how often
    that was undone.
    """

    seen: str = ""
    applied: str = ""
    looked: float = 0.0
    since: float = 0.0
    error: Error | None = None
    failures: tuple[Error, ...] = ()
    drift: tuple[str, ...] = ()
    healed: int = 0
    objects: tuple[str, ...] = ()


class Built(Record):
    """A revision's manifests as texts: (name to show, content)."""

    revision: str
    texts: tuple[tuple[str, bytes], ...]


def named(text: str) -> str:
    """A sync's name. Raises InvalidInput."""
    if not _NAME.fullmatch(text):
        raise InvalidInput(f"{text[:100]!r} cannot name a sync: lower case letters, digits and - (at most 53)", hint="give one with --name")
    return text


def name_for(source: str, path: str) -> str:
    """A name made from what is followed: the last words of the repository and of the sub-folder."""
    plain = re.sub(r"(:[^/:]*)?(@[^/]*)?$", "", source) if source.startswith("oci://") else source  # without tag and digest
    last = re.split(r"[/:]", plain.rstrip("/"))[-1].removesuffix(".git")
    words = [last or "sync", *([path.rstrip("/").rpartition("/")[2]] if path.strip("./") else [])]
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")[:53].strip("-") or "sync"


def dumps(spec: Spec, status: Status) -> str:
    """Both as JSON, for the file that outlives the process."""
    kept = spec._replace(source=spec.shown)._asdict()  # a password stays with the person who has it
    failures = [one._asdict() for one in status.failures]
    state = status._asdict() | {"error": status.error and status.error._asdict(), "failures": failures}
    return json.dumps({"spec": kept, "status": state}, ensure_ascii=False, indent=1)


def loads(text: str, where: str) -> tuple[Spec, Status]:
    """Back from JSON. Raises StoreError."""
    try:
        value = json.loads(text)
        return Spec(**_known(Spec, value["spec"])), _status(value["status"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"{where}: {error}", hint="`kubeplay sync rm NAME` forgets it; what runs stays") from None


def _status(value: dict[str, Any]) -> Status:
    error = value.get("error")
    lists = {key: tuple(map(str, value.get(key) or ())) for key in ("drift", "objects")}
    failures = tuple(Error(**_known(Error, one)) for one in value.get("failures") or ())
    return Status(**_known(Status, value) | lists | {"error": Error(**_known(Error, error)) if error else None, "failures": failures})


def _known(record: Any, value: dict[str, Any]) -> dict[str, Any]:
    """Of a file that another version wrote: what this one knows."""
    return {key: value[key] for key in record._fields if key in value}
