"""The name server's files, and telling it that they changed (unbound's control protocol over a socket of its directory).

Files first, by rename; then the server is told, if it is there: one that is not reads them when it starts. Its socket listens before it
reads the zones, so that what it misses in the file it hears of. A mark stands from before the first rename until it was told: who is
killed between leaves it, and the next sync tells it again.
"""

from __future__ import annotations

import os
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM, socket
from collections.abc import Mapping, Sequence

from kubeplay.engine.net import dns
from kubeplay.errors import KubeplayError

SEEN_AT = "/var/lib/unbound"  # in its container: a place that Debian's AppArmor profile of unbound lets it read and write
CONTROL = "control"  # the socket's directory, closed to all but root: who reaches it commands the server
_MARK = "control/untold"
_SECONDS = 5.0  # it answers in less than one millisecond, while it starts in 20


class NotTold(KubeplayError):
    """The name server did not take a command; what it was about is told by the next sync."""


def argv(program: str, directory: str, addresses: Sequence[str]) -> tuple[str, ...]:
    """The foreground command. It needs NET_BIND_SERVICE, SETUID, SETGID, CHOWN and reads nothing of the host's configuration."""
    return (program, "-d", "-p", "-c", f"{directory}/{config_name(addresses)}")


def config_name(addresses: Sequence[str]) -> str:
    """Another address is another file and so another command: it needs a new server, where other changes only need to be told."""
    return f"unbound-{'-'.join(addresses)}.conf"


def zone_file(zone: str) -> str:
    return f"{zone}.zone"


def configured(directory: str, addresses: Sequence[str]) -> bool:
    return os.path.exists(f"{directory}/{config_name(addresses)}")


def bring(directory: str, seen_at: str, cluster: dns.Cluster, zones: Mapping[str, str], host: str) -> bool:
    """`write` for these zones; the server sees `directory` at `seen_at`; `host`: the node's resolv.conf."""
    text = dns.config(seen_at, cluster.addresses, zones, dns.upstream(host, cluster.addresses), dns.nobody())
    return write(directory, (config_name(cluster.addresses), text), zones)


def write(directory: str, config: tuple[str, str], zones: Mapping[str, str]) -> bool:
    """Bring the files to these texts and the running server to the files; True when something changed. `config`: name and text.

    A server that does not answer is no error: its files are right, and the mark stays.
    """
    os.makedirs(f"{directory}/{CONTROL}", mode=0o700, exist_ok=True)
    os.chmod(directory, 0o755)  # read by nobody
    files = {config[0]: config[1], **{zone_file(zone): text for zone, text in zones.items()}}
    changed = [name for name, text in files.items() if _read(f"{directory}/{name}") != text]
    marked = _marked(directory)
    if not changed and marked is None:
        return False
    untold = dict.fromkeys([*(marked or ()), *changed])
    _replace(directory, _MARK, "\n".join(untold))
    for name in changed:
        _replace(directory, name, files[name])
    try:
        _tell(directory, config[0], [zone for zone in zones if zone_file(zone) in untold], config[0] in untold)
    except NotTold:
        return bool(changed)
    os.unlink(f"{directory}/{_MARK}")
    return bool(changed)


def _tell(directory: str, config: str, zones: list[str], anew: bool) -> None:
    """A new configuration begins the server anew, which forgets what it was asked and has not answered yet; zones do not.

    What it has cached of a zone is flushed after the zone is there: in between it gives the answers of before.
    """
    if anew:
        command(directory, "reload")
        return
    for zone in zones:
        command(directory, f"auth_zone_reload {zone}.")
    for zone in zones:
        command(directory, f"flush_zone {zone}.")


def command(directory: str, words: str) -> str:
    """What the server says to a command; "" when there is no server. Raises NotTold when it refuses or does not answer."""
    at = os.open(f"{directory}/{CONTROL}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
    said = b""
    try:
        sock.settimeout(_SECONDS)
        sock.connect(f"/proc/self/fd/{at}/socket")  # a path of any length: a socket's may have 107 bytes
        sock.sendall(f"UBCT1 {words}\n".encode())
        while part := sock.recv(65536):
            said += part
    except (FileNotFoundError, ConnectionRefusedError):
        return ""
    except OSError as error:
        raise NotTold(f"the name server does not answer ({error})", hint="it is told again by the next command") from error
    finally:
        sock.close()
        os.close(at)
    text = said.decode(errors="replace").strip()
    if not text.startswith("ok"):
        raise NotTold(f"the name server refuses {words!r}: {text or 'it went away'}", hint="it is told again by the next command")
    return text


def listening(directory: str) -> bool:
    """Whether the server takes questions: its sockets for them are there before that for commands, and keep what comes too early."""
    try:
        at = os.open(f"{directory}/{CONTROL}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
    try:
        sock.connect(f"/proc/self/fd/{at}/socket")
        return True
    except OSError:
        return False
    finally:
        sock.close()
        os.close(at)


def _marked(directory: str) -> list[str] | None:
    text = _read(f"{directory}/{_MARK}")
    return None if text is None else text.split("\n")


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _replace(directory: str, name: str, text: str) -> None:
    with open(f"{directory}/{CONTROL}/new", "w", encoding="utf-8", opener=_opener) as file:
        file.write(text)
    os.rename(f"{directory}/{CONTROL}/new", f"{directory}/{name}")


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
