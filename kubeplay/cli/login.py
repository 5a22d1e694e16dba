"""login, logout and search."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli.declare import FLAG, Option, argument, command, flag, integer, many, text
from kubeplay.errors import InvalidInput, KubeplayError, NotFound, Unauthorized

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.cli.listing import Look
    from kubeplay.engine.images.registry.access import Access
    from kubeplay.engine.images.registry.credentials import Credential

AUTHFILE = text("--authfile", help="File of credentials (REGISTRY_AUTH_FILE; $XDG_RUNTIME_DIR/containers/auth.json).", metavar="PATH",
                complete="file")  # fmt: skip
COMPAT = text("--compat-auth-file", help="A file in docker's form (~/.docker/config.json) to change instead.", metavar="PATH",
              complete="file")  # fmt: skip
CERT_DIR = text("--cert-dir", help="Directory of the registry's certificates: *.crt, and NAME.cert with NAME.key.", metavar="DIR",
                complete="file")  # fmt: skip
TLS_VERIFY = Option(("--tls-verify",), "Require HTTPS and verify certificates (default: true, unless registries.conf says insecure).",
                    "tls_verify", FLAG, None)  # fmt: skip
_MAX_PASSWORD = 1 << 16  # bytes; some are tokens
_LIMIT = 25  # as podman's
_SHORT = 44  # characters of a description


@command(
    "login",
    "Log in to a registry, so that its images can be pulled and pushed.",
    argument("REGISTRY", "HOST[:PORT][/NAMESPACE...]; the first unqualified-search registry when not given.", required=False),
    text("-u", "--username", help="User name; asked for when not given.", metavar="NAME"),
    text("-p", "--password", help="Password; other users can see it in the list of processes.", metavar="PASSWORD"),
    flag("--password-stdin", help="Read the password from standard input."),
    AUTHFILE, COMPAT, CERT_DIR, TLS_VERIFY,
    flag("--get-login", help="Print the user who is logged in, and do nothing."),
    flag("-v", "--verbose", help="Say where the credential was stored."),
)  # fmt: skip
def login(
    app: App, *, registry: str | None, username: str | None, password: str | None, password_stdin: bool, authfile: str | None,
    compat_auth_file: str | None, cert_dir: str | None, tls_verify: bool | None, get_login: bool, verbose: bool,
) -> None:  # fmt: skip
    from kubeplay.engine.images.registry import authfile as files
    from kubeplay.engine.images.registry.access import Access

    key, file = _key(registry), _file(authfile, compat_auth_file)
    domain, _, path = key.partition("/")
    stored = _stored(file, domain, path)
    if get_login:
        if stored is None or not stored.username:
            raise NotFound(f"not logged into {key}")
        print(stored.username)
        return
    if password_stdin:
        password = _password_from_stdin(username, password)
    access = Access(tls_verify=tls_verify, cert_dir=cert_dir or "")
    if username is None and password is None and stored is not None and _still_valid(domain, key, stored, access):
        return
    credential = _asked(username, password, stored)
    _check(domain, key, credential, access)
    where = files.store(file, _written(key, bool(compat_auth_file)), credential, _helper(authfile or compat_auth_file, key))
    if verbose:
        print(f"Used: {where}")
    print("Login Succeeded!")


def _file(authfile: str | None, compat: str | None) -> str:
    from kubeplay.engine.images.registry import authfile as files

    if authfile and compat:
        raise InvalidInput("--authfile and --compat-auth-file exclude each other")
    return compat or files.primary(authfile or "")


def _key(given: str | None) -> str:
    """HOST[:PORT][/NAMESPACE] of what a person wrote. Raises InvalidInput."""
    from kubeplay.engine.images import reference
    from kubeplay.engine.images.registry import registries

    if not given:
        found = registries.load().search
        if not found:
            raise InvalidInput("no registry is named", hint="kubeplay login HOST; registries.conf has no unqualified-search-registries")
        return found[0]
    plain = given.partition("://")[2].partition("/")[0] if "://" in given else given.rstrip("/")
    if "/" not in plain:
        reference.parse(f"{plain}/x")
        return plain
    found_name = reference.parse(plain)
    if "@" in plain or ":" in plain.rpartition("/")[2]:
        raise InvalidInput(f"{given!r}: credentials are for registries and repositories, not for tags or digests")
    return plain if reference.is_short(plain) else found_name.repository


def _written(key: str, docker: bool) -> str:
    """The key in the file; docker has no namespaces, and its hub by the first address."""
    if docker and "/" in key:
        raise InvalidInput(f"{key!r}: docker's form knows whole registries only")
    return "https://index.docker.io/v1/" if docker and key == "docker.io" else key


def _helper(file: str | None, key: str) -> str:
    """The program that keeps what `login` learns, by registries.conf's first credential helper; "" = the auth file."""
    from kubeplay.engine.images.registry import conf, registries

    first = next(iter(registries.load().helpers), conf.FILES)
    return "" if file or first == conf.FILES or "/" in key else first


def _stored(file: str, domain: str, path: str) -> Credential | None:
    from kubeplay.engine.images.registry import authfile as files

    found = files.lookup(files.load(file), domain, path)
    if found is None:
        from kubeplay.engine.images.registry import credentials, registries
        from kubeplay.engine.images.registry.access import Access

        found = next(iter(credentials.find(Access(), domain, path, registries.load().helpers)), None)
    return found


def _password_from_stdin(username: str | None, password: str | None) -> str:
    if password is not None:
        raise InvalidInput("--password and --password-stdin exclude each other")
    if not username:
        raise InvalidInput("--password-stdin needs --username")
    given = sys.stdin.buffer.read(_MAX_PASSWORD + 1)
    if len(given) > _MAX_PASSWORD:
        raise InvalidInput("the password on standard input is too long")
    return given.decode().rstrip("\r\n")


def _still_valid(domain: str, key: str, stored: Credential, access: Access) -> bool:
    from kubeplay.engine.images.registry import search as registry

    if stored.identity_token:
        raise InvalidInput(f"logged into {key} with an identity token", hint=f"kubeplay logout {key}")
    print(f"Authenticating with existing credentials for {key}")
    try:
        registry.check(domain, stored, access)
    except Unauthorized:
        print("Existing credentials are invalid, please enter valid username and password")
        return False
    print(f"Existing credentials are valid. Already logged in to {domain}")
    return True


def _asked(username: str | None, password: str | None, stored: Credential | None) -> Credential:
    """What is missing is asked for on the terminal."""
    import getpass

    from kubeplay.engine.images.registry.credentials import Credential

    if (not username or password is None) and not sys.stdin.isatty():
        raise InvalidInput("user name and password are needed", hint="kubeplay login -u NAME --password-stdin HOST < FILE")
    if not username:
        known = stored.username if stored else ""
        username = input(f"Username ({known}): " if known else "Username: ").strip() or known
    if password is None:
        password = getpass.getpass("Password: ")
    return Credential(username, password)


def _check(domain: str, key: str, credential: Credential, access: Access) -> None:
    from kubeplay.engine.images.registry import search as registry

    try:
        registry.check(domain, credential, access)
    except Unauthorized as error:
        raise Unauthorized(f"logging into {key!r}: invalid username/password", error.status) from None


@command(
    "logout",
    "Forget the credential of a registry.",
    argument("REGISTRY", "HOST[:PORT][/NAMESPACE...]; the first unqualified-search registry when not given.", required=False),
    flag("-a", "--all", help="Forget every one in the file."),
    AUTHFILE, COMPAT,
)  # fmt: skip
def logout(app: App, *, registry: str | None, all: bool, authfile: str | None, compat_auth_file: str | None) -> None:
    from kubeplay.engine.images.registry import authfile as files

    file = _file(authfile, compat_auth_file)
    if all:
        if registry:
            raise InvalidInput("--all takes no registry")
        files.erase_all(file)
        print("Removed login credentials for all registries")
        return
    key = _key(registry)
    domain, _, path = key.partition("/")
    if files.erase(file, _written(key, bool(compat_auth_file)), _helper(authfile or compat_auth_file, key)):
        print(f"Removed login credentials for {key}")
        return
    if _stored(file, domain, path) is not None:
        hint = "they come from another file, perhaps docker's: log out with what logged in, or name the file with --authfile"
        raise NotFound(f"not logged into {key} with this tool", hint=hint)
    raise NotFound(f"not logged into {key}")


@command(
    "search",
    "Search a registry for images, or list an image's tags.",
    argument("TERM", "[REGISTRY/]WORDS; every unqualified-search registry without one; REGISTRY/ lists all of it."),
    flag("--list-tags", help="List the tags of the repository TERM."),
    integer("--limit", help="At most so many from each registry (default: 25)."),
    many("-f", "--filter", dest="filters", help="stars=N, is-official[=BOOL], is-automated[=BOOL].", metavar="KEY=VALUE"),
    text("--format", help="json, or a Go template such as '{{.Name}}' or 'table {{.Name}}\\t{{.Stars}}'."),
    flag("-q", "--quiet", help="Print names only."),
    flag("--no-trunc", help="Print descriptions in full."),
    flag("--compatible", help="Also show stars, official and automated."),
    AUTHFILE, CERT_DIR, TLS_VERIFY,
    text("--creds", help="USER[:PASSWORD] for the registry.", metavar="CREDS"),
)  # fmt: skip
def search(app: App, *, term: str, list_tags: bool, limit: int | None, filters: tuple[str, ...], format: str | None, no_trunc: bool,
           quiet: bool, compatible: bool, **given: Any) -> int:  # fmt: skip
    from kubeplay.cli.listing import Look
    from kubeplay.engine.images.registry import authfile as files
    from kubeplay.engine.images.registry.access import Access

    if limit is not None and limit <= 0:
        raise InvalidInput("--limit must be positive")
    files.check(given["authfile"] or "")
    access = Access(given["tls_verify"], given["cert_dir"] or "", given["authfile"] or "", given["creds"] or "")
    if list_tags:
        if filters:
            raise InvalidInput("--filter cannot be used with --list-tags")
        _show_tags(term, access, limit or _LIMIT, Look(format, quiet))
        return 0
    return _search(term, access, limit or _LIMIT, filters, Look(format, quiet, no_trunc=no_trunc), compatible)


def _show_tags(term: str, access: Access, limit: int, look: Look) -> None:
    from kubeplay.cli import listing
    from kubeplay.cli.listing import Column, Listing
    from kubeplay.engine.images.registry import registries
    from kubeplay.engine.images.registry.source import RegistrySource

    if "@" in term or ":" in term.rpartition("/")[2]:
        raise InvalidInput(f"{term!r}: --list-tags takes a name without tag and digest")
    name = registries.resolve(term)[0]
    with RegistrySource(name, access) as source:
        tags = source.tags(limit)
    if look.format == "json":
        print(listing.json_text([{"Name": name.repository, "Tags": tags}]))
        return
    columns = (Column("NAME", "Name"), Column("TAG", "Tag"))
    listing.show(Listing(columns, "Tag", {}), [{"Name": name.repository, "Tag": tag} for tag in tags], look)


def _search(
    term: str, access: Access, limit: int, filters: tuple[str, ...], look: Look, compatible: bool
) -> int:
    from kubeplay.cli import listing
    from kubeplay.cli.listing import Column, Listing

    columns = [Column("NAME", "Name"), Column("DESCRIPTION", "Description")]
    if compatible:
        columns += [Column("STARS", "Stars"), Column("OFFICIAL", "Official"), Column("AUTOMATED", "Automated")]
    keep = _filters(filters)
    found, status = _everywhere(term, access, limit)
    records = [_record(one, look.no_trunc) for one in found if keep(one)]
    listing.show(Listing(tuple(columns), "Name", {}), records, look)
    return status


def _everywhere(term: str, access: Access, limit: int) -> tuple[list[Any], int]:
    """What every registry finds; one that fails is reported, and all failing is an error."""
    from kubeplay.cli.failure import report
    from kubeplay.engine.images import reference
    from kubeplay.engine.images.registry import registries
    from kubeplay.engine.images.registry import search as registry

    places: tuple[str, ...] = registries.load().search or ("docker.io",)
    if not reference.is_short(term):
        place, _, term = term.partition("/")
        places = (place,)
    elif not term:
        raise InvalidInput("nothing to search for", hint="REGISTRY/ lists everything of a registry")
    found: list[Any] = []
    failures: list[KubeplayError] = []
    for place in places:
        try:
            reference.parse(f"{place}/x")
            found += registry.search(place, term, access, limit)
        except KubeplayError as error:
            failures.append(error)
    if len(failures) == len(places):
        raise failures[-1]
    for failure in failures:
        report(failure)
    return found, 125 if failures else 0


def _record(one: Any, no_trunc: bool) -> dict[str, Any]:
    text = " ".join(one.description.split())
    if not no_trunc and len(text) > _SHORT:
        text = f"{text[:_SHORT]}..."
    return {
        "Index": one.registry, "Name": one.name, "Description": text, "Stars": one.stars, "Official": "[OK]" if one.official else "",
        "Automated": "[OK]" if one.automated else "", "Tag": "",
    }  # fmt: skip


def _filters(given: tuple[str, ...]) -> Any:
    stars, official, automated = 0, None, None
    for one in given:
        key, _, value = one.partition("=")
        if key == "stars" and value.isdecimal():
            stars = int(value)
        elif key in ("is-official", "is-automated") and value in ("", "true", "false"):
            official, automated = (value != "false", automated) if key == "is-official" else (official, value != "false")
        else:
            raise InvalidInput(f"--filter {one!r}", hint="stars=N, is-official=true|false, is-automated=true|false")
    return lambda found: (
        found.stars >= stars and official in (None, found.official) and automated in (None, found.automated)
    )
