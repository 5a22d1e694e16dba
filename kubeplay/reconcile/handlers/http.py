"""httpGet: one GET as a kubelet makes it (PR7), or as a hook does, which asks for no more than an answer (LH3)."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence

from kubeplay.plan.container import Port
from kubeplay.plan.probe import HttpGet
from kubeplay.reconcile.handlers import connection
from kubeplay.reconcile.handlers import ports as numbers
from kubeplay.reconcile.handlers.dial import DialFault, Make, dial, here, is_address
from kubeplay.reconcile.handlers.response import Fault, Response, read_body, read_head
from kubeplay.reconcile.handlers.steps import Answer, OutOfTime, Steps, Wait, complete
from kubeplay.record import Record

PROBE, HOOK = "kube-probe/1.36", "kube-lifecycle/1.36"
_REDIRECTS = 10
_FOLLOWED = (301, 302, 303, 307, 308)
_UNSAFE = re.compile(rb"[^\x21-\x7e]|[\"<>\\^`{|}]")  # what Go's URL.EscapedPath writes as %XX, and with it every CR and LF
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LATE = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
_LATE_BODY = "context deadline exceeded (Client.Timeout or context cancellation while reading body)"


class _Target(Record):
    """Where a request goes; `path` with its query, as it is sent; `name` the Host header's value where the manifest sets one."""

    scheme: str
    host: str
    port: int
    path: str
    name: str = ""
    shown: bool = True  # whether the port is part of the address as written

    @property
    def authority(self) -> str:
        return numbers.joined(self.host, self.port) if self.shown else f"[{self.host}]" if ":" in self.host else self.host

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


class _Ask(Record):
    """What stays the same over redirects."""

    headers: tuple[tuple[str, str], ...]
    agent: str
    make: Make


def get(
    address: str,
    action: HttpGet,
    ports: Sequence[Port],
    seconds: float | None,
    agent: str = PROBE,
    *,
    status_counts: bool = True,
    make: Make = here,
) -> Answer:
    """Ask once and wait for the answer. `address` is the pod's, `ports` the container's. `status_counts` False: as hooks do.

    `make` makes the socket (engine.net.socket where the pod is in the engine's networks).
    """
    return complete(asking(address, action, ports, agent, status_counts=status_counts, make=make), seconds)


def asking(
    address: str, action: HttpGet, ports: Sequence[Port], agent: str = PROBE, *, status_counts: bool = True, make: Make = here
) -> Steps:
    try:
        port = numbers.number(action.port, ports)
    except numbers.PortFault as fault:
        return Answer(False, str(fault), errored=True)
    named = next((value for name, value in action.headers if canonical(name) == "Host"), "")
    path = escaped(action.path or "/")
    target = _Target(action.scheme.lower(), action.host or address, port, path if path.startswith("/") else f"/{path}", named)
    ask = _Ask(action.headers, agent, make)
    return (yield from (_probe if status_counts else _hook)(target, ask))


def escaped(path: str) -> str:
    """A path and its query as they go over the wire; what comes after `#` stays here."""
    return _UNSAFE.sub(lambda found: b"%%%02X" % ord(found[0]), path.partition("#")[0].encode(errors="surrogatepass")).decode()


def canonical(name: str) -> str:
    """A header's name as Go writes it: `x-foo` becomes `X-Foo`."""
    return "-".join([part[:1].upper() + part[1:].lower() for part in name.split("-")])


def _probe(target: _Target, ask: _Ask) -> Steps:
    first = target
    for _ in range(_REDIRECTS):
        try:
            response = yield from _exchange(target, ask, body=True)
        except Fault as fault:
            if fault.body:
                return Answer(False, fault.text, errored=True, state="failure")
            return Answer(False, f'Get "{target.url}": {fault.text}')
        following = _redirected(response, target)
        if following is None:
            return _judged(response)
        if following.host != first.host:
            return _judged(response)
        target = following
    return Answer(False, f'Get "{target.url}": stopped after {_REDIRECTS} redirects')


def _judged(response: Response) -> Answer:
    if not 200 <= response.status < 400:
        return Answer(False, f"HTTP probe failed with statuscode: {response.status}")
    body = response.body.decode(errors="replace")
    if response.status >= 300:
        return Answer(True, f"Probe terminated redirects, Response body: {body}", warning=True)
    return Answer(True, body)


def _hook(target: _Target, ask: _Ask) -> Steps:
    """Any answer will do; where HTTPS is answered by HTTP, it is asked again so (LH3)."""
    try:
        yield from _exchange(target, ask, body=False)
    except Fault as fault:
        if fault.text != connection.NOT_TLS:
            return Answer(False, f'Get "{target.url}": {fault.text}')
        plain = target._replace(scheme="http")
        try:
            # a login is not shown to those who could not prove to be the right one
            without = tuple([header for header in ask.headers if canonical(header[0]) != "Authorization"])
            yield from _exchange(plain, ask._replace(headers=without), body=False)
        except Fault as second:
            return Answer(False, f'Get "{plain.url}": {second.text}')
    return Answer(True)


def _exchange(target: _Target, ask: _Ask, *, body: bool) -> Generator[Wait, None, Response]:
    """One request and its answer, each on a connection of its own. Raises Fault."""
    request = _request(target, ask)
    try:
        sock = yield from dial(target.host, target.port, ask.make)
    except DialFault as fault:
        raise Fault(fault.text + (" (Client.Timeout exceeded while awaiting headers)" if fault.late else "")) from None
    inside = False
    try:
        stream: connection.Stream = connection.Plain(sock)
        if target.scheme == "https":
            stream = yield from connection.secured(sock, "" if is_address(target.host) else target.host)
        yield from stream.send(request)
        response = yield from read_head(stream)
        inside = True
        return (yield from read_body(stream, response)) if body else response
    except OutOfTime:
        raise Fault(_LATE_BODY if inside else _LATE, body=inside) from None
    finally:
        sock.close()


def _request(target: _Target, ask: _Ask) -> bytes:
    """The bytes of the request. Raises Fault for a header that Go refuses."""
    headers: dict[str, list[str]] = {}
    for name, value in ask.headers:
        if not _TOKEN.fullmatch(name) or any(ord(c) < 32 and c != "\t" or ord(c) == 127 for c in value):
            raise Fault(f'net/http: invalid header field {"value for " if _TOKEN.fullmatch(name) else "name "}"{canonical(name)}"')
        headers.setdefault(canonical(name), []).append(value.strip(" \t"))
    agents = headers.pop("User-Agent", [ask.agent])
    accept = headers.setdefault("Accept", ["*/*"])
    if not accept[0]:
        del headers["Accept"]
    lines = [f"GET {target.path} HTTP/1.1", f"Host: {target.name or target.authority}"]
    lines += [f"User-Agent: {agents[0]}"] if agents[0] else []
    headers["Connection"] = ["close"]
    # those that Go's transport writes itself or never from a request's headers
    for name in ("Host", "Content-Length", "Transfer-Encoding", "Trailer"):
        headers.pop(name, None)
    lines += [f"{name}: {value}" for name in sorted(headers) for value in headers[name]]
    return ("\r\n".join(lines) + "\r\n\r\n").encode(errors="surrogatepass")


def _redirected(response: Response, target: _Target) -> _Target | None:
    """Where an answer sends us; None when it does not. Raises nothing: a Location that is none ends the way here, as a warning."""
    location = response.header("location")
    if response.status not in _FOLLOWED or not location:
        return None
    from urllib.parse import urljoin, urlsplit

    try:
        parts = urlsplit(urljoin(target.url, location))
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    path = escaped(parts.path or "/") + (f"?{escaped(parts.query)}" if parts.query else "")
    kept = target.name if not urlsplit(location).netloc else ""
    number = port or (443 if parts.scheme == "https" else 80)
    return _Target(parts.scheme, parts.hostname, number, path, kept, port is not None)
