"""One repository of a registry in the distribution spec's terms: manifests, blobs, uploads, tags."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from kubeplay.engine.images import descriptor
from kubeplay.engine.images.descriptor import Descriptor
from kubeplay.engine.images.reference import Reference
from kubeplay.engine.images.registry import answers, credentials, upload
from kubeplay.engine.images.registry.access import Access
from kubeplay.engine.images.registry.blob import BlobReader
from kubeplay.engine.images.registry.client import Client
from kubeplay.engine.images.registry.conf import Registries
from kubeplay.engine.images.transports.base import Document, Reader
from kubeplay.errors import InvalidInput, NotFound, RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from urllib3 import BaseHTTPResponse

MAX_MANIFEST = 4 << 20  # bytes; distribution spec: registries should take 4 MiB, the other tools read no more
MAX_LIST = 4 << 20
_ACCEPT = ", ".join((*descriptor.MANIFESTS, *descriptor.INDEXES))
_PAGES = 1000
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")  # distribution spec: pulling manifests
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")


class Repository:
    """`write` asks for the right to push. Thread-safe; owns `client`."""

    def __init__(self, client: Client, path: str, write: bool = False) -> None:
        self.client, self.path, self.write = client, path, write
        self.name = f"{client.host}/{path}"
        self.scopes: tuple[str, ...] = (f"repository:{path}:{'pull,push' if write else 'pull'}",)

    def close(self) -> None:
        self.client.close()

    # manifests
    def manifest(self, which: str) -> Document:
        """The manifest of a tag or digest; one asked by digest has it. Raises NotFound, Unauthorized, RegistryError."""
        where = f"{self.name}{'@' if ':' in which else ':'}{which}"
        try:
            answer, raw = self.client.document(
                self._manifest(which), MAX_MANIFEST, f"the manifest of {where}", scopes=self.scopes, headers={"Accept": _ACCEPT}
            )
        except (NotFound, RegistryError) as error:
            said = error.message.removeprefix(f"{self.client.host}: ")
            error.message = f"{where}: {'there is no such image: ' if isinstance(error, NotFound) else ''}{said}"
            raise
        if ":" in which:
            verify(raw, which, where)
        return Document(raw, answer.headers.get("Content-Type", "").partition(";")[0].strip()[:200])

    def digest(self, tag: str) -> str:
        """What the registry says a tag's digest is now, without fetching it. Raises as `manifest`."""
        answer = self.client.request("HEAD", self._manifest(tag), scopes=self.scopes, headers={"Accept": _ACCEPT}, expect=(200, 405, 501))
        said = answer.headers.get("Docker-Content-Digest", "") if answer.status == 200 else ""
        answers.drop(answer)
        if _DIGEST.fullmatch(said):
            return str(said)
        return _sha256(self.manifest(tag).raw)

    def put_manifest(self, document: Document, which: str) -> None:
        """Store a manifest under a tag or its digest. Raises RegistryError, InvalidInput."""
        kind = descriptor.read(document.raw, document.media_type).media_type
        if ":" in which:
            verify(document.raw, which, self.name)
        answer = self.client.request(
            "PUT", self._manifest(which), scopes=self.scopes, headers={"Content-Type": kind}, body=document.raw, expect=(201, 200, 202)
        )
        said = answer.headers.get("Docker-Content-Digest", "")
        answers.drop(answer)
        if said.startswith("sha256:") and said != _sha256(document.raw):
            raise RegistryError(f"{self.name}: the registry stored another manifest ({said[:80]}) than was sent")

    def _manifest(self, which: str) -> str:
        if ":" not in which and not _TAG.fullmatch(which):
            raise InvalidInput(f"{which[:200]!r} is no tag")
        return f"/v2/{self.path}/manifests/{_checked(which) if ':' in which else which}"

    # blobs
    def blob(self, blob: Descriptor, offset: int = 0) -> Reader:
        """A blob from `offset` on, resumed by itself. Raises NotFound, RegistryError."""
        where = f"{self.name}@{_checked(blob.digest)}"
        target = f"/v2/{self.path}/blobs/{blob.digest}"

        def fetch(at: int) -> BaseHTTPResponse:
            headers = {"Range": f"bytes={at}-"} if at else {}
            return self.client.request("GET", target, scopes=self.scopes, headers=headers, expect=(200, 206) if at else (200,))

        return BlobReader(self.client, fetch, blob.size, offset, f"blob {where}")

    def has(self, blob: Descriptor) -> bool:
        """Whether the blob is in this repository. Raises Unauthorized, RegistryError."""
        try:
            answers.drop(self.client.request("HEAD", f"/v2/{self.path}/blobs/{_checked(blob.digest)}", scopes=self.scopes))
        except NotFound:
            return False
        return True

    def mount(self, blob: Descriptor, source: str) -> str:
        """Take a blob over from another repository (PATH) of this registry: "" when that worked, else a session to send it to."""
        query = f"mount={_checked(blob.digest)}&from={source}"
        scopes = (*self.scopes, f"repository:{source}:pull")
        answer = self.client.request("POST", f"/v2/{self.path}/blobs/uploads/?{query}", scopes=scopes, expect=(201, 202))
        location = "" if answer.status == 201 else self.client.url(answer.headers.get("Location", ""))
        answers.drop(answer)
        return location

    def put_blob(self, blob: Descriptor, content: Reader, session: str = "") -> None:
        """Send a blob; `session` is one that `mount` began. Raises RegistryError."""
        upload.send(self, blob, content, session)

    # lists
    def tags(self, limit: int) -> list[str]:
        """At most `limit` tags, in the registry's order. Raises NotFound, RegistryError."""
        found = listed(self.client, f"/v2/{self.path}/tags/list", "tags", self.scopes, limit)
        return [tag for tag in found if _TAG.fullmatch(tag)]


def listed(client: Client, target: str, key: str, scopes: tuple[str, ...], limit: int) -> list[str]:
    """A list that comes in pages (distribution spec: Link rel=next), cut at `limit`."""
    found: list[str] = []
    for page in _pages(client, target, key, scopes, limit):
        found += page
        if len(found) >= limit:
            break
    return found[:limit]


def _pages(client: Client, target: str, key: str, scopes: tuple[str, ...], limit: int) -> Iterator[Sequence[str]]:
    import json

    following = f"{target}?n={min(limit, 1000)}"
    for _ in range(_PAGES):
        answer, raw = client.document(following, MAX_LIST, f"{client.host}: the list of {key}", scopes=scopes)
        try:
            items = json.loads(raw)[key] or []
        except (ValueError, RecursionError, LookupError, TypeError):
            items = None
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise RegistryError(f"{client.host}: the list of {key} cannot be read")
        yield items
        link = re.match(r'\s*<([^>]*)>\s*;\s*rel="?next"?', answer.headers.get("Link", ""))
        if not link or not items:
            return
        following = link[1]


def connect(place: Reference, access: Access, insecure: bool, config: Registries, write: bool = False) -> Repository:
    """The repository of `place`; nothing is sent yet. `insecure` is what registries.conf says, --tls-verify wins."""
    allowed = insecure if access.tls_verify is None else not access.tls_verify
    client = Client(place.domain, access, allowed, credentials.find(access, place.domain, place.path, config.helpers))
    return Repository(client, place.path, write)


def verify(raw: bytes, digest: str, where: str) -> None:
    """Raises RegistryError unless `raw` has `digest`."""
    algorithm, _, value = _checked(digest).partition(":")
    if hashlib.new(algorithm, raw).hexdigest() != value:
        hint = "the registry is damaged or not to be trusted"
        raise RegistryError(f"{where}: the manifest does not have the digest it was asked by", hint=hint)


def _checked(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise InvalidInput(f"{digest[:200]!r} is not a digest")
    return digest


def _sha256(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"
