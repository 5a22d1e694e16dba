"""HTTP with one registry: which scheme it speaks, who we are there, what is tried again, where redirects may lead.

Credentials go to the registry's own origin and to its token server, never along a redirect. A body is read only as far
as its limit, and within a time.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

import urllib3

from kubeplay.engine.images.registry import answers, challenge, credentials, pools, tls, urls
from kubeplay.engine.images.registry.access import Access
from kubeplay.engine.images.registry.challenge import Challenge
from kubeplay.engine.images.registry.credentials import Credential
from kubeplay.engine.images.registry.tokens import MAX_ANSWER, Tokens, basic
from kubeplay.errors import Interrupted, NotFound, RegistryError, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from urllib3 import BaseHTTPResponse

T = TypeVar("T")
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_AGAIN = (408, 429, 500, 502, 503, 504)
_LONGEST_WAIT = 60.0  # seconds of Retry-After that we wait; who asks for more is told to the person
_HUB = "registry-1.docker.io"  # where docker.io's registry is


class Client:
    """Thread-safe; close it. `insecure`: HTTPS without verification, then plain HTTP. `found` are credentials, tried in order."""

    def __init__(self, host: str, access: Access, insecure: bool = False, found: tuple[Credential, ...] = ()) -> None:
        self.host, self.access, self.insecure = host, access, insecure
        self._network = _HUB if host in credentials.DOCKER_HUB else host
        self._pools = pools.Pools(self._network, tls.directory(host, access.cert_dir), not insecure)
        self._credentials: tuple[Credential | None, ...] = found or (None,)
        self._who = 0
        self._base = ""
        self._challenge: Challenge | None = None
        self._tokens: Tokens | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def close(self) -> None:
        """Also ends the waits of other threads."""
        self._closed.set()
        self._pools.close()

    def request(
        self, method: str, target: str, *, scopes: tuple[str, ...] = (), headers: Mapping[str, str] | None = None,
        body: bytes | None = None, expect: tuple[int, ...] = (200,),
    ) -> BaseHTTPResponse:  # fmt: skip
        """An answer whose status is one of `expect`, its body unread: release it with answers.read or answers.drop.

        `target` is a path on the registry or a URL that it gave. Raises NotFound, Unauthorized, RegistryError.
        """
        self._contact()
        return self._retried(lambda: self._as_somebody(method, target, scopes, headers or {}, body, expect))

    def document(
        self, target: str, limit: int, where: str, *, scopes: tuple[str, ...] = (), headers: Mapping[str, str] | None = None
    ) -> tuple[BaseHTTPResponse, bytes]:
        """GET something small, whole: the answer (for its headers) and at most `limit` bytes. Raises as `request` does."""
        self._contact()

        def once() -> tuple[BaseHTTPResponse, bytes]:
            answer = self._as_somebody("GET", target, scopes, headers or {}, None, (200,))
            return answer, answers.read(answer, limit, where)

        return self._retried(once)

    def stream(
        self, method: str, target: str, scopes: tuple[str, ...], headers: Mapping[str, str], body: Iterable[bytes]
    ) -> BaseHTTPResponse:
        """Send a body that exists only once: tried once. The answer may have any status."""
        self._contact()
        url = self.url(target)
        try:
            return self._pools.open(method, url, {**headers, **self._authorization(url, scopes, self._who)}, body)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise pools.explain(error, self.host) from error

    def tell(self, method: str, target: str, scopes: tuple[str, ...]) -> None:
        """Send a request whose answer does not matter, once. Raises RegistryError."""
        url = self.url(target)
        answers.drop(self._follow(method, url, self._authorization(url, scopes, self._who), None))

    def url(self, target: str) -> str:
        """A path, or a link of the registry's, as a URL."""
        self._contact()
        return urls.follow(f"{self._base}/", target, self.insecure)

    def get_url(self, url: str, limit: int) -> bytes | None:
        """A document from anywhere, without credentials; None when it is not there. Raises RegistryError."""
        urls.origin(url)

        def once() -> bytes | None:
            answer = answers.check(self._follow("GET", url, {}, None), (200, 404), urls.origin(url)[1])
            if answer.status == 404:
                answers.drop(answer)
                return None
            return answers.read(answer, limit, url)

        return self._retried(once)

    # who we are
    def forget(self) -> None:
        """The registry does not take our tokens any more."""
        if self._tokens:
            self._tokens.forget()

    def _as_somebody(
        self, method: str, target: str, scopes: tuple[str, ...], headers: Mapping[str, str], body: bytes | None, expect: tuple[int, ...]
    ) -> BaseHTTPResponse:
        """With the credential that was taken last, then with the others; the one that works stays."""
        first = self._who
        others = [who for who in range(len(self._credentials)) if who != first]
        for who in (first, *others):
            try:
                answer = self._authorized(method, self.url(target), scopes, headers, body, expect, who)
            except Unauthorized as error:
                refused = error
                continue
            self._who = who
            return answer
        raise refused

    def _authorized(
        self, method: str, url: str, scopes: tuple[str, ...], headers: Mapping[str, str], body: bytes | None, expect: tuple[int, ...],
        who: int,
    ) -> BaseHTTPResponse:  # fmt: skip
        own = urls.origin(url) == urls.origin(self._base)
        authorization = self._authorization(url, scopes, who)
        answer = self._follow(method, url, {**headers, **authorization}, body)
        if answer.status == 401 and own and 401 not in expect:
            offered = _offered(answer)
            if offered is not None and (offered.scheme == "bearer" or not authorization):
                answers.drop(answer)
                self._challenge = offered
                if self._tokens:
                    self._tokens.forget(authorization.get("Authorization", "").partition(" ")[2])
                again = self._authorization(url, tuple(offered.get("scope").split()) or scopes, who)
                answer = self._follow(method, url, {**headers, **again}, body)
        return answers.check(answer, expect, self.host)

    def _authorization(self, url: str, scopes: tuple[str, ...], who: int) -> dict[str, str]:
        if self._challenge is None or urls.origin(url) != urls.origin(self._base):
            return {}
        credential = self._credentials[who]
        if self._challenge.scheme == "basic":
            return {"Authorization": basic(credential)} if credential and not credential.identity_token else {}
        assert self._tokens is not None
        return {"Authorization": f"Bearer {self._tokens.get(self._challenge, scopes, credential)}"}

    # sending
    def _contact(self) -> None:
        """Find out which scheme the registry speaks and what it wants to know of us. Raises RegistryError."""
        with self._lock:
            if self._base:
                return
            failures: list[RegistryError] = []
            for scheme in ("https", "http") if self.insecure else ("https",):
                base = f"{scheme}://{self._network}"
                try:
                    answer = self._retried(lambda at=base: self._pong(at), reached=False)  # type: ignore[misc]
                except RegistryError as error:
                    failures.append(error)
                    if error.status:  # it speaks this scheme, whatever it says
                        raise
                    continue
                self._challenge = _offered(answer) if answer.status == 401 else None
                answers.drop(answer)
                self._tokens = Tokens(self._fetch, base, self.insecure)
                self._base = base
                return
            raise failures[0] if len(failures) < 2 else RegistryError(f"{failures[0].message}; without TLS: {failures[1].message}")

    def _pong(self, base: str) -> BaseHTTPResponse:
        try:
            return answers.check(self._follow("GET", f"{base}/v2/", {}, None), (200, 401), self.host)
        except NotFound:
            raise RegistryError(f"{self.host} is no registry: there is no /v2/", 404) from None

    def _fetch(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        answer = self._follow(method, url, headers, body)
        return answer.status, answers.read(answer, MAX_ANSWER, f"{urls.origin(url)[1]}: the token server's answer")

    def _follow(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> BaseHTTPResponse:
        """Send, and go where a GET or HEAD is sent on to. Credentials stay with the first origin, and another one's challenge is dropped:
        it would name a token server of its own for them."""
        first = urls.origin(url)
        for _ in range(_MOST_REDIRECTS + 1):
            try:
                answer = self._pools.open(method, url, {"User-Agent": "kubeplay", **headers}, body)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise pools.explain(error, self.host) from error
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or not location:
                if urls.origin(url) != first:
                    answer.headers.discard("WWW-Authenticate")
                return answer
            answers.drop(answer)
            if method not in ("GET", "HEAD"):
                raise RegistryError(f"{self.host} redirects a {method}, which is not followed", answer.status)
            following = urls.follow(url, location, self.insecure)
            if urls.origin(following) != urls.origin(url):
                headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            url = following
        raise RegistryError(f"{self.host} redirects more than {_MOST_REDIRECTS} times")

    # trying again
    def _retried(self, attempt: Callable[[], T], reached: bool = True) -> T:
        number = 0
        while True:
            try:
                return attempt()
            except RegistryError as error:
                if number >= self.access.retry or not transient(error, reached):
                    raise
                self.wait(number, error)
            number += 1

    def wait(self, number: int, error: RegistryError) -> None:
        """Before attempt `number` + 1: as long as the registry asked, else twice as long each time. Raises `error` if that is too long."""
        asked = getattr(error, "retry_after", 0.0)
        if asked > _LONGEST_WAIT:
            raise error
        seconds = asked or self.access.retry_delay or float(min(2**number, 30))
        self.pause(seconds)

    def pause(self, seconds: float) -> None:
        """Wait. Raises Interrupted when the client is closed meanwhile."""
        if self._closed.wait(seconds):
            raise Interrupted(f"the connection to {self.host} was given up")


def _offered(answer: BaseHTTPResponse) -> Challenge | None:
    return challenge.choose(challenge.parse(answer.headers.getlist("WWW-Authenticate")))


def transient(error: RegistryError, reached: bool = True) -> bool:
    """Whether it may go better next time: overload, or a connection that broke. Nobody listening is no overload unless somebody did."""
    if isinstance(error, Unauthorized):
        return False
    if error.status:
        return error.status in _AGAIN
    cause = error.__cause__
    kinds = urllib3.exceptions
    if isinstance(cause, (kinds.SSLError, kinds.ProxyError)):
        return False
    if isinstance(cause, kinds.NewConnectionError):
        return reached
    return isinstance(cause, (kinds.HTTPError, OSError))
