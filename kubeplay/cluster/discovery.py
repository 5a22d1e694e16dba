"""What the cluster serves: the resource of a kind, asked per group and version and kept for this command."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from kubeplay.errors import ClusterError, NotFound
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.cluster.connection import Connection

_SEGMENT = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
MAX_RESOURCES = 5000  # of one group and version; core v1 has some forty


class Resource(Record):
    """Where objects of a kind are: `plural` as in the path."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """`deployment.apps`, or `service` for the core group: kubectl's word before the name."""
        return self.kind.lower() + (f".{self.group}" if self.group else "")

    def path(self, namespace: str, name: str = "") -> str:
        """The request path of one object, or of the collection ("" namespace = all of them)."""
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        return f"{base}{scope}/{self.plural}" + (f"/{quote(name, safe='')}" if name else "")


class Discovery:
    """Asks once for each group and version."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, dict[str, Resource]] = {}

    def find(self, api_version: str, kind: str) -> Resource | None:
        """The resource of a kind; None where the cluster serves no such kind. Raises ClusterError."""
        if api_version not in self._known:
            self._known[api_version] = self._ask(api_version)
        return self._known[api_version].get(kind)

    def get(self, api_version: str, kind: str) -> Resource:
        """As find, but raises NotFound."""
        found = self.find(api_version, kind)
        if found is None:
            hint = "is its CustomResourceDefinition installed there?" if "." in api_version.partition("/")[0] else ""
            raise NotFound(f'the cluster has no kind "{kind}" in version "{api_version}"', hint=hint)
        return found

    def _ask(self, api_version: str) -> dict[str, Resource]:
        group, _, version = api_version.rpartition("/")
        if not _SEGMENT.fullmatch(version) or not (group == "" or _SEGMENT.fullmatch(group)):
            return {}
        try:
            answer = self._connection.get(f"/apis/{group}/{version}" if group else f"/api/{version}")
        except ClusterError as error:
            if error.status == 404:
                return {}
            raise
        return read(group, version, answer)


def read(group: str, version: str, answer: dict[str, object]) -> dict[str, Resource]:
    """An APIResourceList by kind, without subresources, and without what cannot be a segment of a path."""
    items = answer.get("resources")
    found: dict[str, Resource] = {}
    for item in items[:MAX_RESOURCES] if isinstance(items, list) else []:
        if not isinstance(item, dict):
            continue
        plural, kind, verbs = item.get("name"), item.get("kind"), item.get("verbs")
        if isinstance(plural, str) and isinstance(kind, str) and _SEGMENT.fullmatch(plural):
            words = tuple(str(verb) for verb in verbs) if isinstance(verbs, list) else ()
            found.setdefault(kind, Resource(group, version, kind, plural, item.get("namespaced") is True, words))
    return found
