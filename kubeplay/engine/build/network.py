"""The network of RUN steps: one namespace for all steps of a build, made when the first of them needs it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kubeplay.engine.host.paths import ensure_directory
from kubeplay.errors import BuildError, InvalidInput
from kubeplay.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubeplay.engine.build.workspace import Workspace
    from kubeplay.engine.oci.spec import Namespace

HOSTNAME = "build"  # the same for every build, so that it makes no difference to what a step writes
_PRIVATE = ("", "default", "bridge", "private")
_LIMIT = 1 << 20  # bytes of the host's own hosts file


class Names(Record):
    """--add-host NAME[;NAME]:IP, --dns, --dns-search, --dns-option."""

    hosts: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


class Joined(Record):
    """What a RUN step is given: namespaces, and the files that are mounted at /etc/hosts and /etc/resolv.conf ("" = none)."""

    namespaces: tuple[Namespace, ...]
    hosts: str
    resolv_conf: str
    hostname: str


class Network:
    """`wanted` is --network: default, none, host, or the name of a network."""

    def __init__(self, workspace: Workspace, wanted: str, names: Names) -> None:
        self._workspace = workspace
        self._wanted = wanted
        self._names = names
        self._joined: dict[str, Joined] = {}
        check_names(names)

    def join(self, step: str = "default") -> Joined:
        """For a step with RUN --network=`step`; `default` is what the command line says.

        The host's network (its loopback, its abstract sockets) is the person's to give, not a Containerfile's. Raises BuildError.
        """
        kind = self._wanted if step in ("", "default") else step
        if kind == "host" and self._wanted != "host":
            raise BuildError("RUN --network=host: the build itself does not have the host's network", hint="kubeplay build --network=host")
        kind = "default" if kind in _PRIVATE else kind
        if kind not in self._joined:
            self._joined[kind] = self._make(kind)
        return self._joined[kind]

    def _make(self, kind: str) -> Joined:
        from kubeplay.engine.net import netns, resolv
        from kubeplay.engine.oci.spec import Namespace
        from kubeplay.plan.pod import Attachment, HostAlias, SandboxPlan

        aliases = [HostAlias(ip, names) for names, ip in map(_host, self._names.hosts)]
        if kind == "host":
            hosts = _read("/etc/hosts") + resolv._aliases(aliases)
            return Joined((), self._file(kind, "hosts", hosts), self._resolv(kind, local=True), os.uname().nodename)
        # one directory of pins per kind: `none` and a network may both occur in one build
        directory = ensure_directory(f"{self._workspace.volatile}/ns/{kind}")
        pins = netns.create(directory, HOSTNAME, host_ipc=True)
        addresses: tuple[str, ...] = ()
        if kind != "none":
            engine = self._workspace.engine
            attachment = Attachment("" if kind == "default" else kind)
            addresses = engine.net.attach(self._workspace.id, pins.net, SandboxPlan(HOSTNAME, attachments=(attachment,)))
            engine.net.sync()
        hosts = resolv.hosts(addresses, HOSTNAME, "", aliases)
        namespaces = (Namespace("network", pins.net), Namespace("uts", pins.uts))
        return Joined(namespaces, self._file(kind, "hosts", hosts), self._resolv(kind, local=False), HOSTNAME)

    def _resolv(self, kind: str, *, local: bool) -> str:
        """The host's resolv.conf, without servers on the loopback where the step has a loopback of its own."""
        from kubeplay.engine.net import resolv

        found = resolv.parse(_read("/etc/resolv.conf") if local else self._workspace.engine.net.node_resolver())
        names = self._names
        servers = names.servers or tuple(s for s in found.servers if local or not s.startswith(("127.", "::1")))
        options = tuple((option.partition(":")[0], option.partition(":")[2]) for option in names.options) or found.options
        text = resolv.text_of(resolv.Resolver(servers, names.searches or found.searches, options))
        return self._file(kind, "resolv.conf", text)

    def _file(self, kind: str, name: str, text: str) -> str:
        path = f"{ensure_directory(f'{self._workspace.volatile}/etc-{kind}')}/{name}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            os.fchmod(fd, 0o644)
            os.write(fd, text.encode())
        finally:
            os.close(fd)
        return path


def check_names(names: Names) -> None:
    """Raises InvalidInput for a --add-host or --dns that cannot be written to a file."""
    for text in names.hosts:
        _host(text)
    for server in names.servers:
        _address(server, "--dns")
    for word in (*names.searches, *names.options):
        if not word or any(c.isspace() for c in word):
            raise InvalidInput(f"{word!r}: not a DNS search domain or option")


def _host(text: str) -> tuple[tuple[str, ...], str]:
    """NAME[;NAME]:IP."""
    listed, _, ip = text.partition(":")
    names = tuple(listed.split(";"))
    if not all(names) or any(c.isspace() or c == "#" for c in listed):
        raise InvalidInput(f"--add-host {text!r}: the form is NAME[;NAME]:IP")
    if ip == "host-gateway":
        raise InvalidInput("--add-host: host-gateway is not known", hint="give the address itself")
    return names, _address(ip, "--add-host")


def _address(text: str, flag: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise InvalidInput(f"{flag}: {text!r} is not an IP address") from None


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(_LIMIT).decode(errors="replace")
    except OSError:
        return ""


def kinds(texts: Sequence[str]) -> str:
    """The one network of repeated --network flags. Raises InvalidInput for several, and for forms that builds do not know."""
    if len(texts) > 1:
        raise InvalidInput("--network: a build has one network")
    text = texts[0] if texts else "default"
    if text.startswith(("container:", "ns:", "slirp4netns", "pasta")):
        raise InvalidInput(f"--network {text}: not known here", hint="use default, none, host or the name of a network")
    return text
