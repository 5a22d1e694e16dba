"""image trust show and set, image sign."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kubeplay.cli.declare import Option, argument, choice, command, flag, many, text
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.engine.images.registry.access import Access
    from kubeplay.engine.images.transports.base import ImageSource
    from kubeplay.engine.images.trust.describe import Row

POLICY = text("--policypath", help="File of the policy (~/.config or /etc/containers/policy.json).", metavar="FILE", complete="file")


@command(
    "show",
    "Show what is asked of images before they are used.",
    argument("REGISTRY", "Show what decides about images of this registry or repository only.", required=False),
    flag("-j", "--json", help="Print JSON."),
    flag("--noheading", help="Leave the table's header out."),
    flag("--raw", help="Print the policy's file as it is."),
    POLICY,
    text("--registrypath", help="Directory of registries.d.", metavar="DIR", complete="file"),
)
def show(
    app: App, *, registry: str | None, json: bool, noheading: bool, raw: bool, policypath: str | None, registrypath: str | None
) -> None:
    from kubeplay.engine.images.trust import describe, policy, registriesd

    found = policy.load(policypath or "")
    if not found.path:
        note = f"there is neither {policy.USER} nor {policy.SYSTEM}: every image is accepted (podman would refuse to work)"
        print(f"note: {note}", file=sys.stderr)
    if raw:
        print(policy.read(found.path).decode("utf-8", "replace") if found.path else policy.BUILT_IN_TEXT)
        return
    rows = describe.rows(found, registriesd.load(registrypath or ""))
    if registry:
        rows = [row for row in rows if _decides(row, registry)]
    if json:
        _print_json(rows)
        return
    from kubeplay.cli.table import render

    header = None if noheading else ["TRANSPORT", "NAME", "TYPE", "ID", "STORE"]
    sys.stdout.write(render(header, [[row.transport, row.repo_name, row.type, row.keys, row.store] for row in rows]))


def _decides(row: Row, registry: str) -> bool:
    """Whether a row is one of the registry's own, or the one above that counts for it."""
    name = row.name
    return row.transport in ("all", "repository") and (row.transport == "all" or name == registry or name.startswith(f"{registry}/")
                                                       or registry.startswith(f"{name}/"))  # fmt: skip


def _print_json(rows: list[Row]) -> None:
    import json

    keys = ("transport", "name", "repo_name", "sigstore", "type", "gpg_id")
    values = [dict(zip(keys, (row.transport, row.name, row.repo_name, row.store, row.type, row.keys))) for row in rows]
    print(json.dumps([{key: value for key, value in one.items() if value} for one in values], indent=2))


@command(
    "set",
    "Say what is asked of images of a registry, a repository, or of all (default).\n\n"
    "Several keys mean that an image needs a signature by each of them.",
    argument("REGISTRY", "REGISTRY[/NAMESPACE[/REPOSITORY[:TAG]]], *.DOMAIN, or default."),
    choice("-t", "--type", choices=("signedBy", "sigstoreSigned", "accept", "insecureAcceptAnything", "reject"), default="signedBy",
           help="What is asked: a signature by each key, anything at all, or that there be no images from there."),
    many("-f", "--pubkeysfile", help="File of a public key, for signedBy and sigstoreSigned (repeatable).", metavar="FILE",
         complete="file"),
    POLICY,
)  # fmt: skip
def set_(app: App, *, registry: str, type: str | None, pubkeysfile: tuple[str, ...], policypath: str | None) -> None:
    from kubeplay.engine.images.trust import change

    files = [one for given in pubkeysfile for one in given.split(",") if one]
    change.apply(change.where(policypath or ""), registry, type or "signedBy", files)


SIGN: tuple[Option, ...] = (
    flag("-a", "--all", help="Also every member of a manifest list."),
    text("--authfile", help="File of credentials for the registry.", metavar="PATH", complete="file"),
    text("--cert-dir", help="Directory of the registry's certificates.", metavar="DIR", complete="file"),
    text("-d", "--directory", help="Write the signatures below this directory.", metavar="DIR", complete="file"),
    text("--sign-by", help="GPG key to sign with: fingerprint or user.", metavar="KEY"),
    text("--sign-passphrase-file", help="File with the key's passphrase.", metavar="FILE", complete="file"),
)


@command(
    "sign",
    "Sign images with a GPG key, into the directory that registries.d names for them.",
    argument("IMAGE", "Names: docker://NAME of a registry, or of an image that is here.", many=True, complete="image"),
    SIGN,
)
def sign(
    app: App, *, image: tuple[str, ...], all: bool, authfile: str | None, cert_dir: str | None, directory: str | None,
    sign_by: str | None, sign_passphrase_file: str | None,
) -> None:  # fmt: skip
    import os

    from kubeplay.engine.images import reference
    from kubeplay.engine.images.registry.access import Access
    from kubeplay.engine.images.trust import Signers, lookaside, registriesd, signing

    if not sign_by:
        raise InvalidInput("no identity provided", hint="say which key is to sign: --sign-by KEY")
    if directory and not os.path.isdir(directory):
        raise InvalidInput(f"invalid directory {directory}")
    config = registriesd.load()
    access = Access(authfile=authfile or "", cert_dir=cert_dir or "")
    for name in image:
        with _source(app, name, access) as source:
            if not source.reference:
                raise InvalidInput(f"{name}: cannot determine canonical Docker reference", hint="give a name, not an id or a path")
            where = lookaside.base(config, reference.parse(source.reference), True, os.path.abspath(directory) if directory else "")
            for digest in signing.digests(source, all):
                made = signing.sign(Signers(sign_by, passphrase_file=sign_passphrase_file or ""), source.reference, digest)
                lookaside.store(where, digest, made)


def _source(app: App, name: str, access: Access) -> ImageSource:
    """The image to sign, wherever it is."""
    from kubeplay.engine.images import reference
    from kubeplay.engine.images.transports import location

    place = location.parse(name)
    if place.transport == location.DOCKER:
        from kubeplay.engine.images.registry.source import RegistrySource

        return RegistrySource(reference.parse(place.name), access)
    if place.transport not in (location.BARE, location.STORAGE):
        raise InvalidInput(f"{name}: only images of a registry and of this store can be signed")
    from kubeplay.engine.images.transports.storage import StorageSource

    images = app.engine.images
    row = images.get(place.name)
    source = StorageSource(images, row)
    source.reference = images.is_name_of(place.name, images.names(row.id))
    return source
