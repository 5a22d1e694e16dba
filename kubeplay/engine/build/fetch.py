"""Files of URLs and git repositories, brought into a directory of the build's own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kubeplay.engine.host import processes
from kubeplay.errors import BuildError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DOWNLOAD = 64 << 30  # bytes
_CHUNK = 1 << 20
_SECONDS = 60.0  # without a byte
_GIT_SECONDS = 3600.0
_OWN_ENV = ("HOME", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND")
_KEPT_ENV = (
    "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "GIT_SSL_CAINFO",
)  # fmt: skip
# a repository decides nothing about what runs here
_GIT = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never", "-c", "advice.detachedHead=false")


def is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def is_git(text: str) -> bool:
    """As podman and docker tell repositories from other things."""
    plain = text.partition("#")[0]
    return plain.startswith(("git://", "ssh://", "git@", "github.com/")) or (is_url(plain) and plain.endswith(".git"))


def download(url: str, directory: str, checksum: str = "", name: str = "") -> str:
    """Fetch a URL into `directory`; the file's path. `checksum` is ALGORITHM:HEX. Raises BuildError."""
    import urllib3

    from kubeplay.engine.host.paths import component

    base = name or os.path.basename(urllib3.util.parse_url(url).path or "")
    try:
        path = f"{directory}/{component(base)}"
    except InvalidInput:
        raise BuildError(f"{url}: the URL names no file") from None
    pool = _pool(url)
    try:
        with pool, pool.request("GET", url, preload_content=False, redirect=True, headers={"Accept-Encoding": "identity"}) as response:
            if response.status != 200:
                raise BuildError(f"{url}: the server answers {response.status} {response.reason}")
            steps = [step.redirect_location or "" for step in response.retries.history] if response.retries else []
            if url.startswith("https://") and not checksum and any(step.startswith("http://") for step in steps):
                raise BuildError(f"{url}: it leads to {steps[-1][:200]}, which is not encrypted", hint="ADD --checksum says what must come")
            found = _store(response, path, url, checksum)
            _date(path, response.headers.get("Last-Modified", ""))
    except urllib3.exceptions.HTTPError as error:
        raise BuildError(f"{url}: {error}") from error
    if checksum and found != checksum.lower():
        raise BuildError(f"{url}: its checksum is {found}, not {checksum}", hint="the file has changed or was tampered with")
    return path


def _pool(url: str):  # type: ignore[no-untyped-def]
    import urllib.request

    import urllib3

    host = urllib3.util.parse_url(url).host or ""
    scheme = url.partition(":")[0]
    proxy = urllib.request.getproxies().get(scheme, "")
    timeout = urllib3.Timeout(connect=_SECONDS, read=_SECONDS)
    # a server's Retry-After is not believed: it may say a year
    retries = urllib3.Retry(total=5, redirect=5, backoff_factor=0.2, respect_retry_after_header=False)
    if proxy and not urllib.request.proxy_bypass(host):
        return urllib3.ProxyManager(proxy, timeout=timeout, retries=retries)
    return urllib3.PoolManager(timeout=timeout, retries=retries)


def _store(response, path: str, url: str, checksum: str) -> str:  # type: ignore[no-untyped-def]
    import hashlib

    algorithm = checksum.partition(":")[0].lower() if checksum else "sha256"
    if algorithm not in ("sha256", "sha384", "sha512"):
        raise BuildError(f"--checksum: {algorithm} is not known", hint="sha256, sha384 and sha512 are")
    digest, size = hashlib.new(algorithm), 0
    with open(path, "xb", opener=lambda p, flags: os.open(p, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)) as file:
        while data := response.read(_CHUNK):
            size += len(data)
            if size > MAX_DOWNLOAD:
                raise BuildError(f"{url}: more than {MAX_DOWNLOAD} bytes")
            digest.update(data)
            file.write(data)
    return f"{algorithm}:{digest.hexdigest()}"


def _date(path: str, text: str) -> None:
    from email.utils import parsedate_to_datetime

    try:
        seconds = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError):
        seconds = 0.0
    os.utime(path, (seconds, seconds))


def clone(text: str, directory: str, *, keep_git: bool = False, commit: str = "", as_user: bool = True) -> tuple[str, str]:
    """Check out `REPOSITORY[#REF[:SUBDIRECTORY]]` into `directory`; the subdirectory ("" = all) and the commit. Raises BuildError.

    `as_user`: with this person's keys, passwords and configuration. Without, for what a Containerfile names: it may be someone else's,
    and could carry off private repositories.
    """
    url, _, fragment = text.partition("#")
    ref, _, inner = fragment.partition(":")
    url = f"https://{url}" if url.startswith("github.com/") else url
    if url.startswith("-") or ref.startswith("-"):
        raise BuildError(f"{text[:200]}: not a git repository")
    env = _environment(as_user)
    _git(env, directory, "init", "--quiet", ".")
    wanted = ref or "HEAD"
    if not _try(env, directory, "fetch", "--quiet", "--depth", "1", "--", url, wanted):
        refs = ["+refs/heads/*:refs/remotes/origin/*", *([] if _is_commit(ref) else [wanted])]
        _git(env, directory, "fetch", "--quiet", "--tags", "--", url, *refs)
        found = wanted if _is_commit(ref) else "FETCH_HEAD" if not ref else _resolved(env, directory, ref)
    else:
        found = "FETCH_HEAD"
    head = _git(env, directory, "rev-parse", "--verify", f"{found}^{{commit}}").strip()
    if commit and head != commit:
        raise BuildError(f"{url}: the commit is {head}, not {commit}")
    _git(env, directory, "checkout", "--quiet", "--force", head)
    if os.path.lexists(f"{directory}/.gitmodules"):
        _git(env, directory, "submodule", "--quiet", "update", "--init", "--recursive", "--depth", "1")
    if not keep_git:
        from kubeplay.engine.layers import tree

        tree.remove(f"{directory}/.git")
    return inner, head


def _is_commit(ref: str) -> bool:
    return len(ref) == 40 and all(c in "0123456789abcdef" for c in ref)


def _resolved(env: Mapping[str, str], directory: str, ref: str) -> str:
    for name in (f"refs/remotes/origin/{ref}", f"refs/tags/{ref}"):
        if _try(env, directory, "rev-parse", "--verify", "--quiet", name):
            return name
    return "FETCH_HEAD"


def _environment(as_user: bool) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in (*_KEPT_ENV, *(_OWN_ENV if as_user else ())) if name in os.environ}
    ours = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_ALLOW_PROTOCOL": "http:https:git" + (":ssh" if as_user else "")}
    nobody = {} if as_user else {"HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null"}  # without HOME, .netrc would be looked for
    return {**processes.CLEAN_ENV, **kept, **ours, **nobody}


def _git(env: Mapping[str, str], directory: str, *words: str) -> str:
    argv = [processes.program("git"), *_GIT, "-C", directory, *words]
    found = processes.run(argv, env=env, check=False, seconds=_GIT_SECONDS)
    if found.status:
        said = found.stderr.decode(errors="replace").strip()[-500:]
        hint = "ADD goes without this person's keys: give them with --ssh" if "'ssh' not allowed" in said else ""
        raise BuildError(f"git {words[0]}: {said}", hint=hint)
    return found.stdout.decode(errors="replace")


def _try(env: Mapping[str, str], directory: str, *words: str) -> bool:
    try:
        _git(env, directory, *words)
        return True
    except BuildError:
        return False
