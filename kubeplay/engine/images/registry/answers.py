"""Answers of registries: their status as our errors, their bodies only as far as we asked for."""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import urllib3

from kubeplay.engine.images.registry import pools
from kubeplay.errors import NotFound, RegistryError, Unauthorized

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

_MAX_ERROR = 1 << 16  # bytes of an error's text
_SECONDS = 120.0  # for a document of at most a few MiB, however slowly it drips
_PIECE = 1 << 16


def read(answer: BaseHTTPResponse, limit: int, where: str) -> bytes:
    """The whole body. Raises RegistryError when it is longer than `limit` bytes, breaks off, or takes too long."""
    until = time.monotonic() + _SECONDS
    data = bytearray()
    try:
        while piece := answer.read1(_PIECE):
            data += piece
            if len(data) > limit:
                raise RegistryError(f"{where} is longer than {limit} bytes")
            if time.monotonic() > until:
                raise RegistryError(f"{where} did not arrive within {_SECONDS:.0f} s")
    except (urllib3.exceptions.HTTPError, OSError) as error:
        answer.close()
        raise pools.explain(error, where) from error
    except BaseException:
        answer.close()
        raise
    answer.release_conn()
    return bytes(data)


def drop(answer: BaseHTTPResponse) -> None:
    """The body does not matter: read a short one, so that the connection can be used again, else close it."""
    try:
        read(answer, _MAX_ERROR, "answer")
    except RegistryError:
        pass


def check(answer: BaseHTTPResponse, expect: tuple[int, ...], where: str) -> BaseHTTPResponse:
    """The answer if its status is one of `expect`. Raises NotFound, Unauthorized, RegistryError with what the registry says."""
    if answer.status in expect:
        return answer
    try:
        said = _said(read(answer, _MAX_ERROR, where))
    except RegistryError:
        said = ""
    message = f"{where}: {said or _plain(answer.reason or '') or 'no reason given'} (HTTP {answer.status})"
    if answer.status == 404:
        raise NotFound(message)
    if answer.status in (401, 403):
        raise Unauthorized(message, answer.status, hint=other_login(where))
    error = RegistryError(message, answer.status, hint=_hint(answer.status))
    error.retry_after = _retry_after(answer.headers.get("Retry-After", ""))  # type: ignore[attr-defined]
    raise error


def other_login(where: str) -> str:
    """What a person can do about refused credentials: those of an auth file, or of this call."""
    return f"kubeplay login {where}, or other --creds"


def _hint(status: int) -> str:
    return "the registry limits how much one may ask; log in, or try later" if status == 429 else ""


def _said(body: bytes) -> str:
    """The errors of the distribution spec (`errors: [{code, message, detail}]`), on one line."""
    try:
        errors = json.loads(body)["errors"]
        lines = [": ".join(str(error[key]) for key in ("code", "message") if error.get(key)) for error in errors[:3]]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return ""
    return _plain("; ".join(lines))


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:300])


def _retry_after(text: str) -> float:
    """Seconds (RFC 9110 section 10.2.3: a number or a date), 0 when nothing is asked."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
