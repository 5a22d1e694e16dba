"""network connect, disconnect and reload: what touches pods that are there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kubeplay.cli import resolve
from kubeplay.cli.declare import argument, command, flag, many, text
from kubeplay.engine.store.runtime import PodRow
from kubeplay.errors import InvalidInput, KubeplayError, NotFound

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.plan.pod import Attachment

_NETWORK = argument("NETWORK", "Network.", complete="network")
_POD = argument("POD", "Pod or container, by name or id.", complete="container")


@command(
    "connect",
    "Connect a pod to a network more, while it runs.\n\nIts containers share the network: all of them get the new device.",
    _NETWORK,
    _POD,
    text("--ip", help="Its IPv4 address there.", metavar="IP"),
    text("--ip6", help="Its IPv6 address there.", metavar="IP"),
    text("--mac-address", help="Its hardware address there.", metavar="MAC"),
    many("--alias", help="A name more there.", metavar="NAME"),
)
def connect(app: App, *, network: str, pod: str, ip: str | None, ip6: str | None, mac_address: str | None, alias: tuple[str, ...]) -> None:
    from kubeplay.play import connecting

    options = [f"{key}={value}" for key, value in (("ip", ip), ("ip6", ip6), ("mac", mac_address)) if value]
    options += [f"alias={name}" for name in alias]
    with app.supervised():
        connecting.connect(app.engine, _pod(app, pod).uid, _wanted(network, options))


@command(
    "disconnect",
    "Take a pod off a network, while it runs.",
    _NETWORK,
    _POD,
    flag("-f", "--force", help="A pod or a network that is not there, or a pod that is not on it, is no error."),
)
def disconnect(app: App, *, network: str, pod: str, force: bool) -> None:
    from kubeplay.play import connecting

    try:
        with app.supervised():
            connecting.disconnect(app.engine, _pod(app, pod).uid, _wanted(network, ()).network)
    except NotFound:
        if not force:
            raise


@command(
    "reload",
    "Write packet rules and records of names anew, and the devices of pods where something of them is missing.\n\n"
    "For when another program removed what is ours (a firewall that was restarted).",
    argument("POD", "Pods or containers, by name or id.", many=True, required=False, complete="container"),
    flag("-a", "--all", help="Every pod."),
)
def reload(app: App, *, pod: tuple[str, ...], all: bool) -> int:
    from kubeplay.play import connecting

    if not pod and not all:
        raise InvalidInput("nothing is named", hint="give names or ids, or --all")
    rows = app.store.runtime.pods() if all else [_pod(app, name) for name in pod]
    app.engine.net.reload()
    status = 0
    for row in rows:
        try:
            connecting.mend(app.engine, row.uid)
        except KubeplayError as error:
            print(f"{row.namespace}/{row.name}: {error.message}", file=sys.stderr)
            status = 1
        else:
            print(row.uid)
    return status


def _pod(app: App, name: str) -> PodRow:
    return resolve.container(app, name, note=False).pod


def _wanted(name: str, options: list[str] | tuple[()]) -> Attachment:
    from kubeplay.play.compile import network

    made = network.parse([f"{name}:{','.join(options)}" if options else name])
    if len(made.attachments) != 1:
        raise InvalidInput(f"{name} is not the name of a network")
    return made.attachments[0]
