"""The words of the command line as texts: files, directories, URLs and standard input, all of them bounded."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import BinaryIO

from kubeplay.errors import InvalidInput, NotFound

Source = tuple[str, bytes]  # a name to show, and its content

# Ours: etcd takes objects of 1.5 MiB; nobody plays 40 of the largest by hand, and a larger file is a mistake or an attack.
MAX_BYTES = 64 * 1024 * 1024
MAX_FILES = 10_000
URL_SECONDS = 30.0
SUFFIXES = (".yaml", ".yml", ".json")


def load(sources: Sequence[str], stdin: BinaryIO | None) -> list[Source]:
    """(name, content) of every source, directories spread out. Raises InvalidInput, NotFound."""
    if "-" in sources and sources.count("-") > 1:
        raise InvalidInput("standard input `-` can be given once")
    found: list[Source] = []
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
    """The content of a URL: only http and https, also after a redirect, status 200 only, bounded in time and size.

    In a thread, because a server that sends a byte now and then resets every timeout of the socket, and each redirect is a new one.
    """
    import threading

    found: list[bytes] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            found.append(_fetch(url))
        except BaseException as error:  # handed to the caller's thread
            errors.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join(URL_SECONDS)
    if errors:
        raise errors[0]
    if not found:
        raise InvalidInput(f"{url}: not complete after {URL_SECONDS:g} s")
    return found[0]


def _fetch(url: str) -> bytes:
    import http.client
    import urllib.error
    import urllib.request

    class Redirects(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
            if not newurl.startswith(("http://", "https://")) or (url.startswith("https://") and not newurl.startswith("https://")):
                fp.close()
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
        error.close()
        raise InvalidInput(f"{url}: status {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise InvalidInput(f"{url}: {getattr(error, 'reason', None) or error}") from None


def _bounded(answer: BinaryIO, url: str) -> bytes:
    parts, size = list[bytes](), 0
    while part := answer.read(65536):
        size += len(part)
        parts.append(part)
        if size > MAX_BYTES:
            raise InvalidInput(f"{url}: larger than {MAX_BYTES // 1024 // 1024} MiB")
    return b"".join(parts)
