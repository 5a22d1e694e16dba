"""Networks a pod joins: `none`, `host`, or names with addresses (podman-kube-facts 1.1, --network)."""

from __future__ import annotations

from collections.abc import Sequence

from kubeplay.errors import InvalidInput
from kubeplay.plan.pod import Attachment
from kubeplay.play.compile.options import DEFAULT_NETWORK
from kubeplay.record import Record

_DEFAULT_NAMES = ("bridge", "private", "default", "kubeplay-default")
_LATER = ("pasta", "slirp4netns", "container", "ns", "pod")


class Networks(Record):
    """What was asked for; no attachments and not `host` = loopback only."""

    attachments: tuple[Attachment, ...] = (Attachment(DEFAULT_NETWORK),)
    host: bool = False


def parse(texts: Sequence[str]) -> Networks:
    """Networks of --network arguments (none given: the default network). Raises InvalidInput."""
    wanted = [text.strip() for text in texts if text.strip()]
    if not wanted:
        return Networks()
    if "none" in wanted or "host" in wanted:
        if len(wanted) > 1:
            raise InvalidInput(f"network {wanted[0]!r} cannot be combined with {wanted[1]!r}", hint="`none` and `host` stand alone")
        return Networks((), host=wanted == ["host"])
    made = [_attachment(text) for text in wanted]
    names = [a.network for a in made]
    if len(set(names)) < len(names):
        raise InvalidInput("the same network is given twice")
    return Networks(tuple(made))


def _attachment(text: str) -> Attachment:
    name, _, options = text.partition(":")
    if name in _LATER:
        raise InvalidInput(f"network mode {name!r} is not supported", hint="use none, host or the name of a network")
    made = Attachment(DEFAULT_NETWORK if name in _DEFAULT_NAMES else name)
    if not _is_name(name):
        raise InvalidInput(f"{name!r} is not a network name")
    for option in filter(None, options.split(",")):
        made = _option(made, option)
    return made


def _option(made: Attachment, option: str) -> Attachment:
    key, _, value = option.partition("=")
    if key in ("ip", "ip6"):
        value = address(value)
        return made._replace(ip6=value) if ":" in value else made._replace(ip=value)
    if key == "mac":
        return made._replace(mac=mac(value))
    if key == "alias" and _is_name(value):
        return made._replace(aliases=(*made.aliases, value))
    raise InvalidInput(f"network option {option!r} is not supported", hint="known: ip=ADDRESS (of each family), mac=ADDRESS, alias=NAME")


def _is_name(text: str) -> bool:
    return 0 < len(text) <= 63 and text[0].isalnum() and all(c.isascii() and (c.isalnum() or c in "-_.") for c in text)


def address(text: str) -> str:
    """A valid IPv4 or IPv6 address in its usual form. Raises InvalidInput."""
    import socket

    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, text))
    except (OSError, ValueError):
        raise InvalidInput(f"{text[:64]!r} is not an IP address") from None


def address6(text: str) -> str:
    """The same of IPv6 alone. Raises InvalidInput."""
    if ":" not in text:
        raise InvalidInput(f"{text[:64]!r} is not an IPv6 address")
    return address(text)


def aliased(wanted: Networks, names: Sequence[str]) -> Networks:
    """With these names more in every network. Raises InvalidInput."""
    for name in names:
        if not _is_name(name):
            raise InvalidInput(f"network alias {name[:64]!r} is not a name")
    if names and not wanted.attachments:
        raise InvalidInput("network aliases need a network", hint="not --network none or host")
    return wanted._replace(attachments=tuple(one._replace(aliases=(*one.aliases, *names)) for one in wanted.attachments))


def mac(text: str) -> str:
    """A unicast hardware address in lower case. Raises InvalidInput."""
    parts = text.lower().replace("-", ":").split(":")
    if len(parts) != 6 or not all(len(p) == 2 and set(p) <= set("0123456789abcdef") for p in parts):
        raise InvalidInput(f"{text!r} is not a hardware address")
    if int(parts[0], 16) & 1:  # IEEE 802: the group bit
        raise InvalidInput(f"{text!r} is a multicast address")
    return ":".join(parts)


def text(networks: Networks) -> str:
    """What `parse` reads back, for the annotation."""
    if networks.host:
        return "host"
    return ";".join(_text(a) for a in networks.attachments) or "none"


def _text(made: Attachment) -> str:
    options = [f"ip={made.ip}"] if made.ip else []
    options += [f"ip={made.ip6}"] if made.ip6 else []
    options += [f"mac={made.mac}"] if made.mac else []
    options += [f"alias={name}" for name in made.aliases]
    name = made.network or "default"
    return f"{name}:{','.join(options)}" if options else name
