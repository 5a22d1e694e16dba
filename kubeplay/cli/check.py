"""system check: each thing kubeplay needs of the machine, whether it is there, and what to do when it is not."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from kubeplay.config import Settings
from kubeplay.engine.host.userns import rootless
from kubeplay.errors import KubeplayError
from kubeplay.record import Record

OK, NOTE, MISSING, DAMAGED = "ok", "note", "missing", "damaged"


class Check(Record):
    """`state` ok, note (something will not work), missing (nothing will work), damaged (of the store); `remedy` what to do."""

    name: str
    state: str
    found: str
    remedy: str = ""


class Program(Record):
    """A program: what for, the Debian package, whether pods can run without it."""

    name: str
    purpose: str
    package: str
    required: bool = True


PROGRAMS = (
    Program("conmon", "watches each container", "conmon"),
    Program("nft", "published ports, NAT and Services", "nftables"),
    Program("unbound", "names of Services and pods", "unbound"),
    Program("haproxy", "Ingresses", "haproxy", False),
    Program("catatonit", "PID 1 of pods with shareProcessNamespace", "catatonit", False),
    Program("sh", "conmon's exit command", "dash"),
    Program("gpg", "signatures of images (image trust, image sign)", "gpg", False),
    Program("git", "ADD of a git repository and contexts of that kind (build)", "git", False),
    Program("ssh-agent", "keys for RUN --mount=type=ssh (build)", "openssh-client", False),
)
# what pyproject.toml names, by the words they are imported by
PACKAGES = ("click", "yaml", "jsonschema", "pyroute2", "jinja2", "deepdiff", "kubernetes", "zstandard", "urllib3", "cryptography", "isal",
            "nacl")  # fmt: skip
RUNTIMES = (("crun", "crun"), ("runc", "runc"))
NAMESPACES = ("mnt", "net", "ipc", "uts", "pid", "cgroup")
# (file system or feature, how it is seen, required, remedy)
LONGEST_RULE_LIST = 5


def run(settings: Settings) -> list[Check]:
    """Every check; one that fails in itself says so and counts as a note."""
    found: list[Check] = []
    if rootless():
        machine = (_user, _python, _packages, _programs, _certificates, _runtime_programs, _kernel, _stacking, _runroot)
        return [one for check in machine for one in _safely(check, settings)]
    first = (_rights, _python, _packages, _programs, _certificates)
    everything = (*first, _runtime_programs, _kernel, _stacking, _cgroups, _runroot, _forwarding, _firewall)
    for check in everything:
        found += _safely(check, settings)
    return found


def _safely(check: Callable[[Settings], list[Check]], settings: Settings) -> list[Check]:
    try:
        return check(settings)
    except (KubeplayError, OSError, ValueError) as error:
        return [Check(check.__name__.strip("_").replace("_", " "), NOTE, f"could not be checked: {error}")]


def _user(settings: Settings) -> list[Check]:
    from kubeplay.cli.check_user import run

    return run(settings)


def _rights(settings: Settings) -> list[Check]:
    from kubeplay.engine.host.machine import machine, notices

    admin = machine().capabilities >> 21 & 1  # CAP_SYS_ADMIN, linux/capability.h
    checks = [
        Check(
            "root",
            OK if admin else MISSING,
            "root" if admin else "CAP_SYS_ADMIN is missing",
            "" if admin else "run outside of an unprivileged container",
        )
    ]
    return checks + [Check(line.partition(":")[0].lower(), NOTE, line) for line in notices()]


def _python(settings: Settings) -> list[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    return [
        Check(
            "python",
            OK if sys.version_info >= (3, 11) else MISSING,
            version,
            "" if sys.version_info >= (3, 11) else "apt-get install python3 (3.11 or newer)",
        )
    ]


def _packages(settings: Settings) -> list[Check]:
    """The Python packages; one that is absent is met by some command only, so all are looked for here."""
    from importlib.util import find_spec

    absent = [name for name in PACKAGES if find_spec(name) is None]
    remedy = "make setup, or pip install --require-hashes -r requirements.lock" if absent else ""
    return [Check("python packages", MISSING if absent else OK, f"not installed: {', '.join(absent)}" if absent else "all there", remedy)]


def _certificates(settings: Settings) -> list[Check]:
    """The authorities that registries' certificates are checked against."""
    import ssl

    paths = ssl.get_default_verify_paths()
    places = [path for path in (paths.cafile, paths.capath) if path and os.path.exists(path)]
    found = next((path for path in places if os.path.isfile(path) or os.listdir(path)), "")
    if found:
        return [Check("CA certificates", OK, found)]
    return [Check("CA certificates", NOTE, "none: no registry is trusted", "apt-get install ca-certificates")]


def _find(name: str) -> str:
    from kubeplay.engine.host.processes import program
    from kubeplay.errors import MissingPrerequisite

    try:
        return program(name)
    except MissingPrerequisite:
        return ""


def _programs(settings: Settings) -> list[Check]:
    checks = []
    for row in PROGRAMS:
        path = _find(row.name)
        if path:
            checks.append(Check(row.name, OK, path))
        else:
            state = MISSING if row.required or row.name == "catatonit" and rootless() else NOTE  # it holds a user's namespaces
            checks.append(Check(row.name, state, f"not installed: {row.purpose}", f"apt-get install {row.package}"))
    return checks


def _runtime_programs(settings: Settings) -> list[Check]:
    """Which runtime works here is found out by running a container with it."""
    from kubeplay.engine.engine import Engine

    present = [name for name, _ in RUNTIMES if _find(name)]
    if settings.runtime:
        present = [settings.runtime]
    if not present:
        return [Check("OCI runtime", MISSING, "neither crun nor runc is installed", "apt-get install runc")]
    if os.geteuid() != 0:
        return [Check("OCI runtime", NOTE, f"{', '.join(present)}: not tried, as that needs root")]
    engine = Engine.open(settings)
    try:
        choice = engine.host.choice
        return [Check("OCI runtime", OK, f"{choice.name} {choice.version} ({choice.path})")]
    except KubeplayError as error:
        return [Check("OCI runtime", MISSING, error.message, error.hint)]
    finally:
        engine.close()


def _kernel(settings: Settings) -> list[Check]:
    checks = [_namespaces()]
    release = os.uname().release
    checks.append(
        Check(
            "kernel",
            OK if _version(release) >= (5, 6) else MISSING,
            release,
            "" if _version(release) >= (5, 6) else "openat2 needs Linux 5.6",
        )
    )
    seccomp = os.path.exists("/proc/sys/kernel/seccomp/actions_avail")
    checks.append(
        Check("seccomp", OK if seccomp else NOTE, "filters are there" if seccomp else "the kernel has none: profiles have no effect")
    )
    return checks


def _version(release: str) -> tuple[int, ...]:
    parts = release.split("-")[0].split("+")[0].split(".")[:2]
    return tuple(int(part) for part in parts if part.isdigit())


def _namespaces() -> Check:
    missing = [name for name in NAMESPACES if not os.path.exists(f"/proc/self/ns/{name}")]
    return Check("namespaces", MISSING if missing else OK, f"missing: {', '.join(missing)}" if missing else ", ".join(NAMESPACES))


def _stacking(settings: Settings) -> list[Check]:
    """How layers are stacked, found out by doing it."""
    if os.geteuid() != 0:
        return [Check("layers", NOTE, "not tried, as that needs the user's namespaces")]
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.layers import snapshotter

    engine = Engine.open(settings)
    try:
        found = snapshotter.choice(engine.paths)
        return [Check("layers", OK if not found.why else NOTE, f"stacked by {found.driver}" + (f"; {found.why}" if found.why else ""))]
    except KubeplayError as error:
        return [Check("layers", MISSING, error.message, error.hint)]
    finally:
        engine.close()


def _cgroups(settings: Settings) -> list[Check]:
    from kubeplay.engine.host.machine import machine
    from kubeplay.engine.host.paths import Paths
    from kubeplay.engine.oci import unenforced
    from kubeplay.engine.oci.cgroup import discover
    from kubeplay.engine.oci.runtime import cgroups_of

    hierarchies = discover()
    ordinary = machine().user_namespace
    if not hierarchies and not ordinary:
        return [Check("cgroups", MISSING, "not mounted below /sys/fs/cgroup", "mount -t cgroup2 cgroup2 /sys/fs/cgroup")]
    groups = cgroups_of(Paths(settings), settings.cgroup_parent, hierarchies)
    kinds = sorted({f"v{hierarchy.version}" for hierarchy in hierarchies})
    checks = [Check("cgroups", OK, " and ".join(kinds) or "none")]
    if ordinary:
        missing = [name for name in groups.missing if name != "devices"]
        if missing and groups.hierarchies:  # else check_user says that nothing was delegated
            checks.append(Check("cgroup controllers", NOTE, f"no limits of {', '.join(missing)}: {unenforced.reason(groups)}"))
    elif groups.missing:
        checks.append(Check("cgroup controllers", NOTE, f"missing: {', '.join(groups.missing)}: their limits have no effect"))
    return checks


def _runroot(settings: Settings) -> list[Check]:
    """Directories whose file system cannot be used for what we do there."""
    parent = settings.root
    while not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    free = os.statvfs(parent)
    left = free.f_bavail * free.f_frsize
    state = OK if left > 1 << 30 else NOTE
    return [
        Check(
            "root directory",
            state,
            f"{settings.root}: {left / 1e9:.1f} GB free",
            "" if state == OK else "make room, or choose another --root",
        )
    ]


def _forwarding(settings: Settings) -> list[Check]:
    path = "/proc/sys/net/ipv4/ip_forward"
    on = _text(path) == "1"
    if on:
        return [Check("IP forwarding", OK, "on")]
    if os.access(path, os.W_OK):
        return [Check("IP forwarding", OK, "off; kubeplay switches it on with the first network")]
    return [Check("IP forwarding", NOTE, "off, and it cannot be switched on from here", "sysctl -w net.ipv4.ip_forward=1")]


def _text(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read().strip()


# an accept in our table does not override a drop in another one (DESIGN.md, network)
def _firewall(settings: Settings) -> list[Check]:
    """Chains of others that drop what goes to and from pods, and the rule to add to each."""
    import json

    from kubeplay.engine.host.processes import program, run

    ruleset = json.loads(run([program("nft"), "-j", "list", "ruleset"]).stdout or b'{"nftables": []}')
    chains = [item["chain"] for item in ruleset["nftables"] if "chain" in item]
    rules = [item["rule"] for item in ruleset["nftables"] if "rule" in item]
    bad = [
        c for c in chains if c.get("hook") in ("forward", "input") and not c["table"].startswith("kubeplay_") and _drops(c, chains, rules)
    ]
    if not bad:
        return [Check("firewall", OK, "nothing of others drops pod traffic")]
    return [_explained(chain, rules, settings) for chain in bad]


def _drops(chain: dict[str, object], chains: list[dict[str, object]], rules: list[dict[str, object]]) -> bool:
    """Whether a base chain drops what no rule of it accepts: by its policy, or by a rule that drops everything."""
    own = [rule for rule in rules if (rule["family"], rule["table"], rule["chain"]) == (chain["family"], chain["table"], chain["name"])]
    return chain.get("policy") == "drop" or any(_is_plain_drop(rule) for rule in own)


def _is_plain_drop(rule: dict[str, object]) -> bool:
    expressions = [e for e in _list(rule.get("expr")) if "counter" not in e and "log" not in e]
    return len(expressions) == 1 and ("drop" in expressions[0] or "reject" in expressions[0])


def _list(value: object) -> list[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _explained(chain: dict[str, object], rules: list[dict[str, object]], settings: Settings) -> Check:
    place = f"{chain['family']} {chain['table']} {chain['name']}"
    bridge = f"{settings.bridge}*"
    allowed = any(
        (rule["family"], rule["table"], rule["chain"]) == (chain["family"], chain["table"], chain["name"])
        and settings.bridge in str(rule.get("expr"))
        for rule in rules
    )
    if allowed:
        return Check(f"firewall: {place}", OK, f"drops by default, and lets {bridge} through")
    commands = [f'nft insert rule {place} iifname "{bridge}" accept']
    if chain.get("hook") == "forward":
        commands.append(f'nft insert rule {place} oifname "{bridge}" ct state established,related,new accept')
    return Check(f"firewall: {place}", NOTE, f"drops what goes to or from pods ({chain.get('hook')})", "; ".join(commands))
