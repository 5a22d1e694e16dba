"""IG1: which request goes where, as tables of the API's own documentation; e2e/test_fields_ingress.py shows that haproxy does the same."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kubeplay.engine.net import proxy
from kubeplay.kube import routing
from kubeplay.plan.proxy import Backend, Certificate, ProxyPlan, Rule
from kubeplay.plan.service import Endpoint, ServicePlan, ServicePort, ServiceRoute


def route(name: str, namespace: str = "default", *ends: str) -> ServiceRoute:
    ports = (ServicePort(80, "http", name="http"), ServicePort(81, 8081, name="admin"))
    found = tuple([Endpoint(ip, 8080) for ip in ends or ("10.244.0.1",)])
    return ServiceRoute(ServicePlan(namespace, name, ports=ports), (found, ()))


ROUTES = [route(name) for name in ("a", "b", "c", "d")] + [route("a", "other")]


def to(service: str, **port: Any) -> dict[str, Any]:
    return {"service": {"name": service, "port": port or {"number": 80}}}


def paths(*items: tuple[str, str, str]) -> dict[str, Any]:
    return {"paths": [{"path": path, "pathType": kind, "backend": to(service)} for path, kind, service in items]}


def ingress(rules: list[dict[str, Any]], name: str = "i", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"rules": rules, **spec}}


def chosen(bodies: list[dict[str, Any]], host: str, path: str) -> str:
    """The Service that a request is for, "" = none."""
    plan, _ = routing.plan(bodies, ROUTES)
    found = next(routing.covers(plan.rules, host, path), None)
    if found is None:
        return dict(plan.defaults).get(host, plan.default).removeprefix("default.").removesuffix(".80")
    return found.backend.removeprefix("default.").removesuffix(".80")


@pytest.mark.parametrize(("kind", "rule", "path", "meets"), [
    ("Prefix", "/", "/any/where", True),
    ("Exact", "/foo", "/foo", True),
    ("Exact", "/foo", "/bar", False),
    ("Exact", "/foo", "/foo/", False),
    ("Exact", "/foo", "/FOO", False),
    ("Exact", "/foo/", "/foo", False),
    ("Prefix", "/foo", "/foo", True),
    ("Prefix", "/foo", "/foo/", True),
    ("Prefix", "/foo", "/foobar", False),
    ("Prefix", "/foo/", "/foo", True),
    ("Prefix", "/foo/", "/foo/", True),
    ("Prefix", "/aaa/bb", "/aaa/bbb", False),
    ("Prefix", "/aaa/bbb", "/aaa/bbb", True),
    ("Prefix", "/aaa/bbb/", "/aaa/bbb", True),
    ("Prefix", "/aaa/bbb", "/aaa/bbb/", True),
    ("Prefix", "/aaa/bbb", "/aaa/bbb/ccc", True),
    ("Prefix", "/aaa/bbb", "/aaa/bbbxyz", False),
    ("ImplementationSpecific", "", "/x", True),
    ("ImplementationSpecific", "/foo", "/foo/x", True),
])  # fmt: skip
def test_ig1_path_types(kind: str, rule: str, path: str, meets: bool) -> None:
    assert (chosen([ingress([{"http": paths((rule, kind, "a"))}])], "h.example", path) == "a") == meets


@pytest.mark.parametrize(
    ("path", "service"), [("/aaa/bbb/ccc", "c"), ("/aaa/ccc", "b"), ("/ccc", "a"), ("/aaa/bbb", "d"), ("/aaa/bbb/", "c")]
)
def test_ig1_the_longest_path_wins_and_exact_before_prefix(path: str, service: str) -> None:
    rule = paths(("/", "Prefix", "a"), ("/aaa", "Prefix", "b"), ("/aaa/bbb", "Prefix", "c"), ("/aaa/bbb", "Exact", "d"))
    assert chosen([ingress([{"host": "h.example", "http": rule}])], "h.example", path) == service


@pytest.mark.parametrize(("host", "service"), [
    ("x.example", "a"), ("X.Example", "a"), ("x.example:8080", "a"), ("y.x.example", "b"), ("z.y.x.example", "d"), ("example", "d"),
    ("w.x.example", "c"), ("", "d"),
])  # fmt: skip
def test_ig1_hosts_are_exact_or_stand_for_one_label(host: str, service: str) -> None:
    rules = [
        {"host": "x.example", "http": paths(("/", "Prefix", "a"))},
        {"host": "*.x.example", "http": paths(("/", "Prefix", "b"))},
        {"host": "w.x.example", "http": paths(("/", "Prefix", "c"))},
        {"http": paths(("/", "Prefix", "d"))},
    ]
    assert chosen([ingress(rules)], host, "/p") == service


def test_ig1_a_host_s_own_rules_come_first_then_those_for_any() -> None:
    any_host = {"http": paths(("/own/more", "Prefix", "b"), ("/any", "Prefix", "c"))}
    rules = [{"host": "x.example", "http": paths(("/own", "Prefix", "a"))}, any_host]
    assert chosen([ingress(rules)], "x.example", "/own/more") == "a"
    assert chosen([ingress(rules)], "x.example", "/any") == "c"
    assert chosen([ingress(rules)], "y.example", "/own") == ""


def test_ig1_default_backends() -> None:
    first = ingress([{"host": "x.example", "http": paths(("/p", "Prefix", "a"))}], "first", defaultBackend=to("b"))
    second = ingress([{"host": "y.example"}], "second", defaultBackend=to("c"))
    assert chosen([first, second], "x.example", "/q") == "b"
    assert chosen([first, second], "y.example", "/q") == "c"
    assert chosen([first, second], "z.example", "/q") == "b", "the oldest that has one"


def test_ig1_several_ingresses_make_one_host_and_the_older_has_a_place_that_both_want() -> None:
    old = ingress([{"host": "x.example", "http": paths(("/p", "Prefix", "a"))}], "old")
    new = ingress([{"host": "x.example", "http": paths(("/p", "Prefix", "b"), ("/q", "Prefix", "c"))}], "new")
    assert [chosen([old, new], "x.example", path) for path in ("/p", "/q")] == ["a", "c"]


def test_ig1_backends_by_the_port_s_name_or_number_in_their_own_namespace() -> None:
    def backends(backend: dict[str, Any], namespace: str = "default") -> tuple[list[str], list[str]]:
        body = {"metadata": {"name": "i", "namespace": namespace}, "spec": {"defaultBackend": backend}}
        plan, lacks = routing.plan([body], ROUTES)
        return [one.name for one in plan.backends], lacks[f"{namespace}/i"]

    assert backends(to("a", name="admin")) == (["default.a.81"], [])
    assert backends(to("a", number=81)) == (["default.a.81"], [])
    assert backends(to("a"), "other") == (["other.a.80"], [])
    assert backends(to("b"), "other") == ([], ["Service b is not there"])
    assert backends(to("a", name="nosuch")) == ([], ["Service a has no port nosuch"])
    assert backends({"resource": {"kind": "B", "name": "b"}}) == ([], ["a resource is no backend here"])


def test_ig1_what_has_no_backend_is_a_rule_all_the_same() -> None:
    plan, _ = routing.plan([ingress([{"http": paths(("/gone", "Prefix", "nosuch"), ("/", "Prefix", "a"))}])], ROUTES)
    assert Rule("", "/gone/", "") in plan.rules
    assert b"/gone/ _503\n" in proxy.files(plan, {}, 80, 443)["prefix"]


def test_ig1_certificates_by_secret_and_host() -> None:
    rules = [{"host": "x.example"}, {"host": "y.example"}]
    tls = [{"secretName": "s"}, {"hosts": ["y.example", "*.z.example"], "secretName": "t"}]
    one = ingress(rules, "one", defaultBackend=to("a"), tls=tls)
    plan, _ = routing.plan([one], ROUTES)
    assert plan.tls
    assert plan.certificates == (Certificate("default/s", ("x.example", "y.example")), Certificate("default/t", ("*.z.example",)))
    assert not routing.plan([ingress(rules, "two", defaultBackend=to("a"))], ROUTES)[0].tls


HOSTILE = [
    "/a b", "/a\nbackend evil", "/a\tx", '/"quoted', "/a#b", "/$(id)", "/{{x}}", "/%[var(x)]", "/a\\b", "/\x00", "/ä", "/a?b", "/\u2028",
    "/a\r\n",
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE)
def test_no_path_ever_becomes_configuration(path: str) -> None:
    plan, _ = routing.plan([ingress([{"host": "x.example", "http": paths((path, "Prefix", "a"), (path, "Exact", "a"))}])], ROUTES)
    made = proxy.files(plan, {}, 80, 443)
    plain = proxy.files(routing.plan([ingress([{"host": "x.example", "http": paths(("/p", "Prefix", "a"))}])], ROUTES)[0], {}, 80, 443)
    described = re.compile(rb"description \S+")
    assert described.sub(b"", made["haproxy.cfg"]) == described.sub(b"", plain["haproxy.cfg"])
    for name in ("exact", "prefix"):
        assert re.fullmatch(rb"x\.example/[!-~]* default\.a\.80\n", made[name]), made[name]


@pytest.mark.parametrize("host", ["x y", "a\nb", "*", "*.*.x", "-x", "x.example\n", "x;y", "#", "", "x" * 300])
def test_no_host_that_is_none_gets_to_the_proxy(host: str) -> None:
    body = ingress([{"host": host, "http": paths(("/", "Prefix", "a"))}], tls=[{"hosts": [host], "secretName": "s"}])
    plan, lacks = routing.plan([body], ROUTES)
    made = proxy.files(plan, {"default/s": ("tls0.pem", b"x"), "": ("default.pem", b"y")}, 80, 443)
    if host:
        assert made["prefix"] == b"" and lacks["default/i"]
    assert made["certificates"] == b"/ingress/default.pem\n/ingress/tls0.pem\n"


@pytest.mark.parametrize("name", ["a b", "a\n", "", 'a"', "#a"])
def test_a_backend_s_name_is_ours(name: str) -> None:
    with pytest.raises(ValueError):
        proxy.files(ProxyPlan(backends=(Backend(name),)), {}, 80, 443)
    with pytest.raises(ValueError):
        proxy.files(ProxyPlan(rules=(Rule("x.example", "/a b", "c"),)), {}, 80, 443)


def test_the_configuration_is_marked_by_all_files() -> None:
    first = ProxyPlan(rules=(Rule("x", "/", "default.a.80"),), backends=(Backend("default.a.80", (Endpoint("10.0.0.1", 80),)),))
    marks = {
        proxy.digest_of(proxy.files(plan, shown, 80, 443)["haproxy.cfg"])
        for plan, shown in [
            (first, {}),
            (first._replace(rules=(Rule("x", "/y/", "default.a.80"),)), {}),
            (first._replace(backends=(Backend("default.a.80", (Endpoint("10.0.0.2", 80),)),)), {}),
            (first._replace(tls=True), {"": ("default.pem", b"1")}),
            (first._replace(tls=True), {"": ("default.pem", b"2")}),
        ]
    }
    assert len(marks) == 5 and all(marks)


def test_addresses_of_both_families_and_affinity() -> None:
    ends = (Endpoint("10.0.0.1", 80), Endpoint("fd00::0:1", 80))
    text = proxy.files(ProxyPlan(backends=(Backend("default.a.80", ends, sticky=True),)), {}, 80, 443)["haproxy.cfg"].decode()
    assert "server s1 10.0.0.1:80\n" in text and "server s2 [fd00::1]:80\n" in text and "balance source" in text
