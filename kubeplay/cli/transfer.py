"""pull, push, save, load and image scp."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli.declare import FLAG, INTEGER, Option, argument, choice, command, flag, integer, text
from kubeplay.errors import InvalidInput, KubeplayError

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.engine.images.copying.push import PushOptions
    from kubeplay.engine.images.registry.access import Access

QUIET = flag("-q", "--quiet", help="Print no progress.")
POLICY = text("--signature-policy", help="Trust policy to use instead of policy.json.", metavar="FILE", hidden=True)
NO_TRUST = flag("--disable-content-trust", help="Accepted for docker's sake: it has no effect.", hidden=True)
REGISTRY: tuple[Option, ...] = (
    text("--authfile", help="File of credentials (REGISTRY_AUTH_FILE; $XDG_RUNTIME_DIR/containers/auth.json).", metavar="PATH",
         complete="file"),
    text("--cert-dir", help="Directory of the registry's certificates: *.crt, and NAME.cert with NAME.key.", metavar="DIR",
         complete="file"),
    text("--creds", help="Who to be at the registry.", metavar="USER[:PASSWORD]"),
    Option(("--tls-verify",), "Require HTTPS and verify certificates (default: true, unless registries.conf says insecure).",
           "tls_verify", FLAG, None),
    integer("--retry", help="How often to try again when the registry cannot be reached or fails (3)."),
    text("--retry-delay", help="Time between two tries, as 500ms, 5s, 1m; 1, 2, 4 ... seconds when not given.", metavar="DURATION"),
    NO_TRUST,
    POLICY,
)  # fmt: skip


SIGNING: tuple[Option, ...] = (
    text("--sign-by", help="Sign with this GPG key.", metavar="KEY"),
    text("--sign-by-sigstore", help="Sign as this file of parameters says.", metavar="FILE", complete="file"),
    text("--sign-by-sigstore-private-key", help="Sign with this cosign key.", metavar="FILE", complete="file"),
    text("--sign-passphrase-file", help="File with the passphrase of the key.", metavar="FILE", complete="file"),
)


@command(
    "pull",
    "Bring images here from a registry, an archive or a directory.",
    argument("IMAGE", "Names, or TRANSPORT:... (docker://, oci:, oci-archive:, docker-archive:, dir:).", many=True),
    flag("-a", "--all-tags", help="Every tagged image of the repository."),
    text("--platform", help="For which platform, as linux/arm64.", metavar="OS/ARCH[/VARIANT]"),
    text("--os", help="For which operating system.", metavar="OS"),
    text("--arch", help="For which architecture.", metavar="ARCH"),
    text("--variant", help="For which variant of the architecture.", metavar="VARIANT"),
    choice("--policy", choices=("always", "missing", "never", "newer"), default="always", help="When to ask the registry."),
    flag("-q", "--quiet", help="Print nothing but the id."),
    REGISTRY,
)
def pull(
    app: App, *, image: tuple[str, ...], all_tags: bool, platform: str | None, os: str | None, arch: str | None, variant: str | None,
    policy: str | None, quiet: bool, signature_policy: str | None, **given: Any,
) -> int:  # fmt: skip
    from kubeplay.cli.bars import Bars
    from kubeplay.engine.images import platforms
    from kubeplay.engine.images.copying import fetch
    from kubeplay.engine.images.copying.pull import PullOptions

    wanted = platforms.wanted(platform or "", os or "", arch or "", variant or "") if platform or os or arch or variant else None
    options = PullOptions(platform=wanted, signature_policy=signature_policy or "")
    access = access_of(given)
    status = 0
    for name in image:
        try:
            with Bars(quiet) as bars:
                ids = (
                    fetch.all_tags(app.engine.images, name, access, options, bars)
                    if all_tags
                    else fetch.fetch(app.engine.images, name, access, options, policy or "always", bars)
                )
        except KubeplayError as error:  # as podman: the others are pulled all the same
            from kubeplay.cli.failure import report

            status = report(error, app.settings.log_level, app.settings.log_format)
            continue
        print("\n".join(one.removeprefix("sha256:") for one in dict.fromkeys(ids)))
    return status


@command(
    "push",
    "Send an image to a registry, or write it as an archive or a directory.",
    argument("IMAGE", "Name or id.", complete="image"),
    argument("DESTINATION", "A name, or TRANSPORT:...; the image's own name when not given.", required=False),
    flag("--all", help="Of a manifest list: every member, and the list.", hidden=True),
    flag("--compress", help="Compress layers when pushing to a directory (dir:)."),
    choice("--compression-format", choices=("gzip", "zstd"), help="How layers are to be compressed."),
    Option(("--compression-level",), "How hard: gzip 1 to 9, zstd 1 to 20.", "compression_level", INTEGER, None, metavar="N"),
    Option(("--force-compression",), "Compress layers again that are compressed otherwise (true when --compression-format is given).",
           "force_compression", FLAG, None),
    text("--digestfile", help="Write the digest of what was pushed to this file.", metavar="FILE", complete="file"),
    choice("-f", "--format", choices=("oci", "v2s2", "v2s1"), help="Form of the manifest; the image's own when not given."),
    flag("--remove-signatures", help="Push no signatures that the image has."),
    SIGNING,
    QUIET,
    REGISTRY,
)  # fmt: skip
def push(app: App, *, image: str, destination: str | None, digestfile: str | None, quiet: bool, **given: Any) -> None:
    from kubeplay.cli.bars import Bars
    from kubeplay.engine.images.copying import push as pushing
    from kubeplay.engine.images.copying import save as saving
    from kubeplay.engine.images.transports import location

    if given["all"] and app.engine.store.lists.all():
        from kubeplay.cli import manifest
        from kubeplay.engine.images.lists import Lists

        if Lists(app.store).find(image):
            own = {key: value for key, value in given.items() if key not in ("compress", "compression_level", "force_compression")}
            manifest.push.run(app, name=image, destination=destination, digestfile=digestfile, quiet=quiet, rm=False, **own)
            return
    images = app.engine.images
    place = location.parse(destination or _own_name(app, image))
    if place.transport == location.STORAGE:
        images.tag(image, place.name)
        return
    with Bars(quiet) as bars, saving.sink(place, access_of(given), images) as sink:
        options = push_options(given)
        if given["compress"] and place.transport == location.DIR and not options.compression:
            options = options._replace(compression="gzip")
        digest = pushing.push(images, image, sink, options, bars)
    if digestfile:
        try:
            with open(digestfile, "w", encoding="utf-8") as file:
                file.write(digest)
        except OSError as error:
            raise InvalidInput(f"{digestfile}: cannot be written: {error.strerror}") from None


def _own_name(app: App, image: str) -> str:
    """Where an image goes when nothing is said: to the name it was asked for by."""
    images = app.engine.images
    name = images.is_name_of(image, images.names(images.get(image).id))
    if not name or "@" in name:
        raise InvalidInput(f"{image}: is an id, so it does not say where to push to", hint="give a destination: kubeplay push IMAGE NAME")
    return f"docker://{name}"


def push_options(given: dict[str, Any]) -> PushOptions:
    from kubeplay.engine.images.copying.push import PushOptions
    from kubeplay.engine.images.trust import Signers

    kind, forced = given["compression_format"] or "", given["force_compression"]
    signers = Signers(given["sign_by"] or "", given["sign_by_sigstore_private_key"] or "", given["sign_by_sigstore"] or "",
                      given["sign_passphrase_file"] or "")  # fmt: skip
    if forced and not kind:
        kind = "gzip"
    return PushOptions(
        format=given["format"] or "", compression=kind, level=given["compression_level"], force=forced is not False,
        remove_signatures=given["remove_signatures"], signers=signers if any(signers) else None, all=given["all"],
    )  # fmt: skip


@command(
    "save",
    "Write images to an archive or a directory.",
    argument("IMAGE", "Names or ids; after the first, more names for it, or with -m more images.", many=True, complete="image"),
    choice("--format", choices=("docker-archive", "oci-archive", "oci-dir", "docker-dir"), default="docker-archive", help="What to write."),
    text("-o", "--output", help="Where to; standard output when not given.", metavar="FILE", complete="file"),
    flag("-m", "--multi-image-archive", help="The names are several images, not names of one (not docker-dir)."),
    flag("--compress", help="Compress layers (docker-dir only)."),
    flag("--uncompressed", help="Leave uncompressed layers so (oci-archive and oci-dir)."),
    QUIET,
    POLICY,
)
def save(
    app: App, *, image: tuple[str, ...], format: str | None, output: str | None, multi_image_archive: bool, compress: bool,
    uncompressed: bool, quiet: bool, signature_policy: str | None,
) -> None:  # fmt: skip
    from kubeplay.cli.bars import Bars
    from kubeplay.engine.images.copying import save as saving

    if not output and sys.stdout.isatty():
        raise InvalidInput("refusing to save to terminal. Use -o flag or redirect")
    path = output if output and output != "/dev/stdout" else "-"
    with Bars(quiet) as bars:
        saving.save(app.engine.images, image, path, format or "docker-archive", several=multi_image_archive, compress=compress,
                    uncompressed=uncompressed, report=bars)  # fmt: skip


@command(
    "load",
    "Load images from an archive (docker save, podman save, an OCI layout) or a directory.",
    argument("ARCHIVE", "The archive; standard input when it is not given.", required=False, complete="file"),
    text("-i", "--input", help="The archive.", complete="file"),
    QUIET,
    POLICY,
)
def load(app: App, *, archive: str | None, input: str | None, quiet: bool, signature_policy: str | None) -> None:
    from kubeplay.cli.bars import Bars

    if input and archive:
        raise InvalidInput(f"two archives are given: {input} and {archive}")
    path = input or archive or "-"
    if path == "-" and sys.stdin.isatty():
        raise InvalidInput("nothing to load", hint="give an archive: kubeplay load -i FILE")
    with Bars(quiet) as bars:
        found = app.engine.images.load(path, bars, signature_policy or "")
    for loaded in found:
        print("\n".join(loaded.lines()))


def access_of(given: dict[str, Any]) -> Access:
    from kubeplay.engine.images.registry import authfile
    from kubeplay.engine.images.registry.access import RETRIES, Access

    if given["authfile"]:
        authfile.check(given["authfile"])
    retry = given["retry"]
    if retry is not None and retry < 0:
        raise InvalidInput(f"--retry {retry}: must not be negative")
    return Access(
        tls_verify=given["tls_verify"], cert_dir=given["cert_dir"] or "", authfile=given["authfile"] or "", creds=given["creds"] or "",
        retry=RETRIES if retry is None else retry, retry_delay=_seconds(given["retry_delay"] or ""),
    )  # fmt: skip


def _seconds(given: str) -> float:
    """A Go duration; "" is 0."""
    from kubeplay.cli.human import seconds

    try:
        return float(seconds(given)) if given else 0.0
    except ValueError:
        raise InvalidInput(f"--retry-delay {given[:50]!r}: is no duration", hint="as 500ms, 5s, 1m") from None
