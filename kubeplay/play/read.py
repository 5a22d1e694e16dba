"""From the words of the command line to checked manifests: files, directories, URLs and standard input.

Everything is read and checked before anything is refused, so one run tells all that is wrong with all files.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from kubeplay.errors import Fault, InvalidInput, NotFound
from kubeplay.play import fields
from kubeplay.play.compile import marks
from kubeplay.play.fields import NO_EFFECT
from kubeplay.play.places import placed

if TYPE_CHECKING:
    from kubeplay.kube.admission import Known
    from kubeplay.kube.check import Manifest

# Ours: etcd takes objects of 1.5 MiB; nobody plays 40 of the largest by hand, and a larger file is a mistake or an attack.
MAX_BYTES = 64 * 1024 * 1024
MAX_FILES = 10_000
URL_SECONDS = 30.0
SUFFIXES = (".yaml", ".yml", ".json")


def read(
    sources: Sequence[str],
    stdin: BinaryIO | None = None,
    validate_mode: str = "strict",
    namespace: str = "default",
    configmaps: Sequence[str] = (),
    known: Known | None = None,
) -> list[Manifest]:
    """The manifests of all sources, in their order, with their warnings.

    Raises InvalidInput with every fault of every source, NotFound for a file that is not there.

    `configmaps` are files of --configmap, which hold only ConfigMaps. With `validate_mode` "warn" or "ignore" fields that are
    not supported are warnings of their manifest (nothing at all with "ignore").
    """
    from kubeplay.kube import check

    manifests: list[Manifest] = []
    faults: list[Fault] = []
    for name, data in load(sources, stdin) + load(configmaps, None):
        found, wrong = check.inspect(data, name, mode=validate_mode, namespace=namespace, known=known)
        faults += wrong
        for manifest in found:
            refused, warned = _fields(manifest, validate_mode)
            faults += refused
            manifests.append(warned)
        if name in configmaps:
            faults += [_not_a_config_map(manifest) for manifest in found if manifest.kind.kind != "ConfigMap"]
    if faults:
        raise InvalidInput(summary(faults), faults)
    return manifests


def summary(faults: Sequence[Fault]) -> str:
    """One line: how much is wrong and in how many files."""
    files = len({fault.source for fault in faults})
    what = "not supported" if all(fault.reason == "NotSupported" for fault in faults) else "invalid"
    count = f"{len(faults)} fault" + ("s" if len(faults) > 1 else "")
    return f"{what}: {count}" + (f" in {files} files" if files > 1 else "") + ", nothing was created"


def notices(manifest: Manifest) -> list[str]:
    """What `--log-level debug` tells of a manifest: its fields that have no effect, each with its place and why."""
    found = [Fault(path, NO_EFFECT, f"has no effect: {why}") for path, why in fields.no_effect(manifest.document.value, manifest.kind.kind)]
    return [str(placed(fault, manifest.document)) for fault in found]


def _ignored_annotations(manifest: Manifest) -> list[str]:
    """Annotations that work in Podman, or steer a runtime, and not here: a person may count on them, so they are warnings."""
    meta = manifest.object["metadata"]
    places = [("metadata", meta)]
    template = (manifest.object.get("spec") or {}).get("template")
    if isinstance(template, dict):
        places.append(("spec.template.metadata", template.get("metadata") or {}))
    found = []
    for path, record in places:
        for key, why in marks.notices(record.get("annotations") or {}):
            found.append(str(placed(Fault(f"{path}.annotations[{key}]", NO_EFFECT, f"has no effect: {why}"), manifest.document)))
    return found


def _fields(manifest: Manifest, mode: str) -> tuple[list[Fault], Manifest]:
    """Fields that are not supported: faults, or warnings where the caller asked for leniency."""
    ignored = _ignored_annotations(manifest) if mode != "ignore" else []
    if ignored:
        manifest = manifest._replace(warnings=(*manifest.warnings, *ignored))
    found = fields.unsupported(manifest.document.value, manifest.kind.kind)
    if not found or mode == "ignore":
        return [], manifest
    located = [placed(fault, manifest.document) for fault in found]
    if mode == "strict":
        return located, manifest
    return [], manifest._replace(warnings=(*manifest.warnings, *map(str, located)))


def _not_a_config_map(manifest: Manifest) -> Fault:
    return placed(Fault("kind", "FieldValueNotSupported", "a --configmap file holds only ConfigMaps"), manifest.document)


def load(sources: Sequence[str], stdin: BinaryIO | None) -> list[tuple[str, bytes]]:
    """(name, content) of every source, directories spread out. Raises InvalidInput, NotFound."""
    if "-" in sources and sources.count("-") > 1:
        raise InvalidInput("standard input `-` can be given once")
    found: list[tuple[str, bytes]] = []
    for source in sources:
        if source == "-":
            found.append(("stdin", _all(stdin or sys.stdin.buffer, "standard input")))
        elif source.startswith(("http://", "https://")):
            found.append((source, fetch(source)))
        elif os.path.isdir(source):
            found += [(path, _file(path)) for path in listed(source)]
        else:
            found.append((source, _file(source)))
    return found


def listed(directory: str) -> list[str]:
    """The manifests directly in a directory, in the order of their names. Raises InvalidInput when there is none."""
    names = sorted(name for name in os.listdir(directory) if name.endswith(SUFFIXES) and not name.startswith("."))
    if not names:
        raise InvalidInput(f"{directory}: no {', '.join(SUFFIXES)} file in this directory")
    if len(names) > MAX_FILES:
        raise InvalidInput(f"{directory}: {len(names)} files are more than {MAX_FILES}")
    return [os.path.join(directory, name) for name in names]


def _file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return _all(file, path)
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file or directory") from None
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from None


def _all(file: BinaryIO, name: str) -> bytes:
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InvalidInput(f"{name}: larger than {MAX_BYTES // 1024 // 1024} MiB")
    return data


def fetch(url: str) -> bytes:
    """The content of a URL: only http and https, also after a redirect, status 200 only, bounded in time and size."""
    import http.client
    import urllib.error
    import urllib.request

    class Redirects(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
            if not newurl.startswith(("http://", "https://")) or (url.startswith("https://") and not newurl.startswith("https://")):
                raise InvalidInput(f"{url}: redirected to {newurl.partition(':')[0]}:, which is refused")
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    opener = urllib.request.OpenerDirector()  # no file:, ftp: or data: handler, as build_opener would add
    for handler in (
        urllib.request.ProxyHandler(), urllib.request.HTTPHandler(), urllib.request.HTTPSHandler(), Redirects(),
        urllib.request.HTTPErrorProcessor(), urllib.request.HTTPDefaultErrorHandler(), urllib.request.UnknownHandler(),
    ):  # fmt: skip
        opener.add_handler(handler)
    try:
        with opener.open(urllib.request.Request(url, headers={"User-Agent": "kubeplay", "Accept": "*/*"}), timeout=URL_SECONDS) as answer:
            if answer.status != 200:
                raise InvalidInput(f"{url}: status {answer.status}")
            return _bounded(answer, url)
    except urllib.error.HTTPError as error:
        raise InvalidInput(f"{url}: status {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise InvalidInput(f"{url}: {getattr(error, 'reason', None) or error}") from None


def _bounded(answer: BinaryIO, url: str) -> bytes:
    """The body, within URL_SECONDS as a whole: the socket's own timeout only bounds each single read."""
    import time

    deadline, parts, size = time.monotonic() + URL_SECONDS, list[bytes](), 0
    while part := answer.read(65536):
        size += len(part)
        parts.append(part)
        if size > MAX_BYTES:
            raise InvalidInput(f"{url}: larger than {MAX_BYTES // 1024 // 1024} MiB")
        if time.monotonic() > deadline:
            raise InvalidInput(f"{url}: not complete after {URL_SECONDS:.0f} s")
    return b"".join(parts)
