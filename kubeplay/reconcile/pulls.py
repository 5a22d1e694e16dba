"""Pull the images that pods ask for: each once, side by side, with the credentials of their imagePullSecrets.

A pull may take minutes, so nobody holds a pod's lock meanwhile: whoever needs an image hands out a Wanted, pulls it without
the lock, and finds the result here when it looks again. Results live in this process and for a short time only, so that a
play that pulled first does not ask the registry again for each container, and a back-off that has passed does.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.engine.host.trace import trace
from kubeplay.errors import ImageError, Interrupted, InvalidInput, KubeplayError, NotFound, RegistryError, TrustError
from kubeplay.kube import pull_secrets
from kubeplay.kube.pull_secrets import Credential
from kubeplay.plan.stack import ObjectKey
from kubeplay.reconcile import images, parallel
from kubeplay.reconcile.images import Wanted
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.images.registry.access import Access

FRESH = 30.0  # seconds that a pulled image counts as looked for: between a play's pulls and its last container
FAILED = 5.0  # seconds that a failure does for the other containers of the same pods; shorter than any back-off (RB4: 10 s)
_TRY_OTHERS = (401, 403, 404)  # what registries answer to the wrong person: the next credential may be the right one
SIDE_BY_SIDE = 4  # images at a time; each has several layers under way

Secrets = Callable[[str, str], "str | None"]  # (namespace, name) -> the Secret's JSON text
Tell = Callable[[str, str, Any], None]  # (image, "pulling"/"pulled"/"failed"/"progress", details)


class Flags(Record):
    """The flags of `play kube` about registries. Empty and None: what files and defaults say. `retry`: attempts after the first."""

    authfile: str = ""
    cert_dir: str = ""
    creds: str = ""
    tls_verify: bool | None = None
    signature_policy: str = ""
    retry: int = 3


class Result(Record):
    """How a pull ended, `at` which monotonic second; `missing` names the imagePullSecrets that could not be read."""

    image_id: str = ""
    error: ImageError | None = None
    at: float = 0.0
    seconds: float = 0.0
    size: int = 0
    missing: tuple[str, ...] = ()


class Pulls:
    """The pulls of one engine. Safe from several threads.

    `announced` holds what a pod has been told of as being pulled; `secrets` gives the text of a Secret, or None.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = weakref.ref(engine)
        self._guard = threading.Lock()
        self._results: dict[Wanted, Result] = {}
        self._under_way: dict[Wanted, threading.Event] = {}
        self._built: set[str] = set()
        self._new: dict[str, Result] = {}
        self.announced: set[tuple[str, str]] = set()
        self.flags = Flags(retry=0)  # a pod tries again by itself (RB4); a play sets its own
        self.secrets: Secrets = self._stored

    @property
    def engine(self) -> Engine:
        found = self._engine()
        assert found is not None, "the engine is gone"
        return found

    def _stored(self, namespace: str, name: str) -> str | None:
        found = self.engine.store.objects.find(ObjectKey("Secret", namespace, name))
        return found.body if found else None

    def result(self, want: Wanted) -> Result | None:
        """What came of a pull a moment ago, None when it has to be done (again)."""
        if want.image in self._built:
            return Result()
        with self._guard:
            found = self._results.get(_key(want))
        if found is None:
            return None
        age = self.engine.clock.monotonic() - found.at
        return found if age < (FAILED if found.error else FRESH) else None

    def brought(self, image: str) -> Result | None:
        """The pull that brought `image` here, once: for the first container that finds it present."""
        with self._guard:
            return self._new.pop(image, None)

    def built(self, image: str) -> None:
        """Note that `image` has just been built here: this process asks no registry for it."""
        self._built.add(image)

    def run(self, wants: Iterable[Wanted], tell: Tell | None = None) -> None:
        """Pull them; for those that another thread pulls already, wait. Failures are results, not errors."""
        gate = threading.BoundedSemaphore(SIDE_BY_SIDE)

        def one(want: Wanted) -> None:
            with gate:
                self._once(want, tell or _nobody)

        parallel.each(one, list({_key(want): want for want in wants}.values()))

    def _once(self, want: Wanted, tell: Tell) -> None:
        key = _key(want)
        if self.result(want) is not None:  # another thread has just pulled it
            return
        with self._guard:
            other = self._under_way.get(key)
            if other is None:
                self._under_way[key] = threading.Event()
        if other is not None:
            other.wait()
            return
        try:
            made = self._pull(want, tell)
            with self._guard:
                self._results[key] = made
                if made.error is None:
                    self._new[want.image] = made
        finally:
            with self._guard:
                self._under_way.pop(key).set()

    def _pull(self, want: Wanted, tell: Tell) -> Result:
        clock = self.engine.clock
        begun = clock.monotonic()
        tell(want.image, "pulling", "")
        missing, credentials = self._credentials(want)
        try:
            with trace(f"pull {want.name}"):
                image_id = self._attempts(want, credentials, tell)
        except Interrupted:
            raise
        except (KubeplayError, OSError) as error:
            failed = failure(want.image, error)
            tell(want.image, "failed", failed.message)
            return Result(error=failed, at=clock.monotonic(), seconds=clock.monotonic() - begun, missing=missing)
        row = self.engine.store.images.get(image_id)
        tell(want.image, "pulled", image_id)
        now = clock.monotonic()
        return Result(image_id, None, now, now - begun, row.size if row else 0, missing)

    def _credentials(self, want: Wanted) -> tuple[tuple[str, ...], tuple[Credential, ...]]:
        """(the pull secrets that cannot be read, the credentials that fit in the order of a kubelet)."""
        if not want.secrets or self.flags.creds:
            return (), ()
        import json

        from kubeplay.engine.images import reference

        missing: list[str] = []
        found: list[Credential] = []
        for name in want.secrets:
            text = self.secrets(want.namespace, name)
            try:
                found += pull_secrets.credentials(json.loads(text)) if text is not None else []
            except InvalidInput:
                text = None
            if text is None:
                missing.append(name)
        return tuple(missing), pull_secrets.matching(found, reference.parse(want.name).repository)

    def _attempts(self, want: Wanted, credentials: Sequence[Credential], tell: Tell) -> str:
        """Pull as each of `credentials` in turn, then as this machine's own login; the first error when all are refused."""
        first: RegistryError | NotFound | None = None
        flags = self.flags._replace(retry=0) if want.spare else self.flags  # nobody waits long for what there is a spare of
        for one in (*credentials, None):
            try:
                return bring(self.engine, want.name, flags, one, lambda event: tell(want.image, "progress", event))
            except (RegistryError, NotFound) as error:
                if isinstance(error, RegistryError) and error.status not in _TRY_OTHERS:
                    raise
                first = first or error
        assert first is not None
        raise first


def of(engine: Engine) -> Pulls:
    """The pulls of this engine."""
    with _guard:
        found = images.known.get(engine)
        if found is None:
            found = images.known[engine] = Pulls(engine)
        return found


_guard = threading.Lock()


def failure(image: str, error: KubeplayError | OSError) -> ImageError:
    """Why a pull failed, in a kubelet's words (CS3; pkg/kubelet/images/image_manager.go)."""
    why = error.message if isinstance(error, KubeplayError) else str(error)
    hint = error.hint if isinstance(error, KubeplayError) else ""
    if isinstance(error, TrustError):
        return ImageError(images.UNTRUSTED, f"image pull failed for {image} because the signature validation failed: {why}", hint=hint)
    if isinstance(error, RegistryError) and error.status >= 500:
        return ImageError(images.UNAVAILABLE, f"image pull failed for {image} because the registry is unavailable: {why}", hint=hint)
    return ImageError(images.PULL, f'failed to pull image "{image}": {why}', hint=hint)


def bring(engine: Engine, name: str, flags: Flags, credential: Credential | None, progress: Callable[[Any], None]) -> str:
    """Pull one image by its name; its id. Raises RegistryError, Unauthorized, NotFound, TrustError, Exhausted, InvalidInput."""
    from kubeplay.engine.images import reference
    from kubeplay.engine.images.copying import fetch, pull

    # scoped to the repository it is for: a mirror is another registry and gets credentials of its own
    auths = ((reference.parse(name).repository, credential.username, credential.password),) if credential else ()
    options = pull.PullOptions(signature_policy=flags.signature_policy)
    return fetch.by_name(engine.images, name, access(flags, auths), options, report=progress)


def access(flags: Flags, auths: tuple[tuple[str, str, str], ...] = ()) -> Access:
    """How registries may be used under these flags."""
    from kubeplay.engine.images.registry.access import Access

    return Access(flags.tls_verify, flags.cert_dir, flags.authfile, flags.creds, auths, flags.retry)


def _key(want: Wanted) -> Wanted:
    """What makes two wants the same pull."""
    return Wanted("", "", False, want.namespace if want.secrets else "", want.secrets, want.name)


def _nobody(image: str, action: str, details: object) -> None:
    """Tell nobody."""
