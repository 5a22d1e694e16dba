"""The proxy's files: what haproxy is told (IG1). Pure but for `write`.

Whatever a person chose (hosts, paths) stands in map files alone, a key and a backend's name on each line, and is looked up
at the time of a request: no such text ever becomes a word of the configuration, which holds names of our own making,
addresses and numbers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from zlib import crc32

from kubeplay.engine.net.families import plain
from kubeplay.plan.proxy import ProxyPlan
from kubeplay.plan.service import Endpoint

SEEN = "/ingress"  # where the proxy sees its files
HTTP, HTTPS = 8080, 8443  # of the proxy's own network namespace: no port that only root may have
MASTER, CONFIG = "master.sock", "haproxy.cfg"
CONNECTIONS = 4096
_MAPS = ("exact", "prefix", "defaults")

TEMPLATE = """\
global
    description {{ digest }}
    maxconn {{ connections }}
    nbthread 2
    no strict-limits
    log stdout format raw local0 notice
    stats socket {{ seen }}/worker.sock mode 600 level operator expose-fd listeners
    ssl-default-bind-options ssl-min-ver TLSv1.2
    hard-stop-after 1h
defaults
    mode http
    log global
    timeout connect 500ms
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
    timeout http-request 30s
    timeout http-keep-alive 60s
    option idle-close-on-response
    option redispatch 1
    option splice-auto
    retries 3
    retry-on conn-failure empty-response
    http-reuse safe
frontend ingress
    bind :{{ http }}
{%- if tls %}
    bind :{{ https }} ssl crt-list {{ seen }}/certificates alpn h2,http/1.1
{%- endif %}
    http-request disable-l7-retry unless { method GET HEAD OPTIONS }
    http-request set-header X-Forwarded-Proto https if { ssl_fc }
    http-request set-header X-Forwarded-Proto http if !{ ssl_fc }
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Port %[dst_port,map_int({{ seen }}/ports,80)]
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Real-IP %[src]
    http-request set-var(txn.host) req.hdr(host),field(1,:),lower
    http-request set-var(txn.wild) var(txn.host),regsub(^[^.]+,*)
    http-request set-var(txn.path) path
{%- for place in ("host", "wild") %}
    http-request set-var(txn.to) var(txn.{{ place }}),concat(,txn.path),map_str({{ seen }}/exact) if !{ var(txn.to) -m found }
    http-request set-var(txn.to) var(txn.{{ place }}),concat(,txn.path,/),map_beg({{ seen }}/prefix) if !{ var(txn.to) -m found }
{%- endfor %}
    http-request set-var(txn.to) path,map_str({{ seen }}/exact) if !{ var(txn.to) -m found }
    http-request set-var(txn.to) path,concat(/),map_beg({{ seen }}/prefix) if !{ var(txn.to) -m found }
    http-request set-var(txn.to) var(txn.host),map_str({{ seen }}/defaults) if !{ var(txn.to) -m found }
    http-request set-var(txn.to) var(txn.wild),map_str({{ seen }}/defaults) if !{ var(txn.to) -m found }
    use_backend %[var(txn.to)] if { var(txn.to) -m found }
    default_backend {{ default or "_404" }}
backend _404
    http-request return status 404 content-type text/plain string "no Ingress has a rule for this request\\n"
backend _503
    http-request return status 503 content-type text/plain string "the Ingress names a Service or port that is not there\\n"
{%- for backend in backends %}
backend {{ backend.name }}
    balance {{ "source" if backend.sticky else "roundrobin" }}
{%- for end in backend.endpoints %}
    server s{{ loop.index }} {{ end.ip }}:{{ end.port }}
{%- endfor %}
{%- endfor %}
"""


def files(plan: ProxyPlan, certificates: Mapping[str, tuple[str, bytes]], http: int, https: int) -> dict[str, bytes]:
    """Every file by its name. `certificates`: by the place in the plan, its file's name and content; the one at "" is shown to all others.

    `http` and `https` are the host's ports, which backends are told of.
    """
    found = {name: text.encode() for name, text in _maps(plan).items()}
    found["ports"] = f"{HTTP} {http:d}\n{HTTPS} {https:d}\n".encode()
    if plan.tls:
        found.update(_certificates(plan, certificates))
    digest = 0
    for name in sorted(found):
        digest = crc32(name.encode() + b"\0" + found[name], digest)
    found[CONFIG] = _config(plan, f"{digest:08x}").encode()
    return found


def _maps(plan: ProxyPlan) -> dict[str, str]:
    return {
        "exact": _lines((rule.host + rule.path, rule.backend) for rule in plan.rules if rule.exact),
        "prefix": _lines((rule.host + rule.path, rule.backend) for rule in plan.rules if not rule.exact),
        "defaults": _lines(plan.defaults),
    }


def _lines(pairs: Iterable[tuple[str, str]]) -> str:
    found = [(key, value or "_503") for key, value in pairs]
    if any(not _word(key) or not _word(value) for key, value in found):
        raise ValueError("a key of the proxy's maps has a space or another letter that ends it")
    return "".join(f"{key} {value}\n" for key, value in found)


def _word(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text and not text.startswith("#")


def _config(plan: ProxyPlan, digest: str) -> str:
    from jinja2 import Environment, StrictUndefined

    backends = [one._replace(endpoints=tuple([_end(end) for end in one.endpoints])) for one in plan.backends]
    names = {one.name for one in backends}
    if any(not re.fullmatch(r"[A-Za-z0-9][-.A-Za-z0-9]*", name) for name in names):
        raise ValueError("a backend of the proxy has no proper name")
    made = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True).from_string(TEMPLATE)
    text = made.render(
        digest="", connections=CONNECTIONS, seen=SEEN, http=HTTP, https=HTTPS, tls=plan.tls, backends=backends,
        default=plan.default if plan.default in names else "",
    )  # fmt: skip
    whole = f"{digest}-{crc32(text.encode()):08x}"
    return text.replace("    description \n", f"    description {whole}\n", 1)


def _end(end: Endpoint) -> Endpoint:
    own = plain(end.ip)
    return Endpoint(f"[{own}]" if ":" in own else own, int(end.port))


def _certificates(plan: ProxyPlan, certificates: Mapping[str, tuple[str, bytes]]) -> dict[str, bytes]:
    """The files of certificates and the list that says who is shown which; the first is for whoever asks for no name we know."""
    found: dict[str, bytes] = {}
    lines = []
    for place, hosts in [("", ()), *((one.place, one.hosts) for one in plan.certificates)]:
        if place in certificates:
            name, content = certificates[place]
            found[name] = content
            lines.append(" ".join([f"{SEEN}/{name}", *hosts]))
    if any(not _word(word) for line in lines for word in line.split(" ")):
        raise ValueError("a host of the proxy's certificates is none")
    return {**found, "certificates": ("\n".join(lines) + "\n").encode()}


def digest_of(config: bytes) -> str:
    """What the proxy answers when it is asked which configuration it runs."""
    line = next((line for line in config.decode().splitlines() if line.startswith("    description ")), "")
    return line.removeprefix("    description ")


def write(directory: str, wanted: Mapping[str, bytes], owner: tuple[int, int]) -> bool:
    """Replace the files that differ, remove those that are no longer wanted; True when anything did. The configuration comes last."""
    changed = False
    for name in sorted(wanted, key=lambda name: name == CONFIG):
        changed = _replace(f"{directory}/{name}", wanted[name], owner) or changed
    for name in os.listdir(directory):
        if name not in wanted and not name.endswith(".sock"):
            os.unlink(f"{directory}/{name}")
            changed = True
    return changed


def _replace(path: str, content: bytes, owner: tuple[int, int]) -> bool:
    try:
        with open(path, "rb") as file:
            if file.read() == content:
                return False
    except FileNotFoundError:
        pass
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(f"{path}.new", flags, 0o400)
    try:
        os.fchown(fd, *owner)
        left = content
        while left:
            left = left[os.write(fd, left) :]
    finally:
        os.close(fd)
    os.rename(f"{path}.new", path)
    return True
