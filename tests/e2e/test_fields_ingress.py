"""Ingress and NetworkPolicy on real pods (IG1, NP1): requests through the proxy on the host's ports, packets that pass or do not."""

from __future__ import annotations

import base64
import http.client
import json
import random
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.reconcile.certificates import self_signed
from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root


def server(name: str, namespace: str = "default") -> str:
    page = f"mkdir -p /www/deep/er; for f in /www /www/deep /www/deep/er; do echo {name} > $f/index.html; done; httpd -f -p 8080 -h /www"
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}, side: {"even" if name == "b" else "odd"}}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {{name: main, image: "busybox:1", command: [sh, -c, "{page}"], ports: [{{containerPort: 8080, name: http}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{selector: {{app: {name}}}, ports: [{{port: 80, targetPort: http, name: web}}, {{port: 81, targetPort: 8081, name: none}}]}}
---
"""


INGRESS = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: here}
spec: {controller: example.com/any}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: main}
spec:
  ingressClassName: here
  defaultBackend: {service: {name: a, port: {number: 80}}}
  tls:
  - {hosts: [secure.example], secretName: pair}
  - {hosts: [bad.example], secretName: broken}
  rules:
  - host: a.example
    http:
      paths:
      - {path: /deep, pathType: Prefix, backend: {service: {name: b, port: {name: web}}}}
      - {path: /deep, pathType: Exact, backend: {service: {name: a, port: {name: web}}}}
      - {path: /gone, pathType: Prefix, backend: {service: {name: nosuch, port: {number: 80}}}}
      - {path: /closed, pathType: Prefix, backend: {service: {name: a, port: {name: none}}}}
  - host: "*.wild.example"
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: b, port: {number: 80}}}}]}
  - host: secure.example
    http: {paths: [{pathType: ImplementationSpecific, backend: {service: {name: b, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: other, namespace: side}
spec:
  defaultBackend: {service: {name: c, port: {name: web}}}
  rules:
  - {host: c.example}
  - {host: a.example, http: {paths: [{path: /side, pathType: Prefix, backend: {service: {name: c, port: {number: 80}}}}]}}
"""
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: a-in}
spec:
  podSelector: {matchLabels: {app: a}}
  policyTypes: [Ingress]
  ingress:
  - from:
    - podSelector: {matchLabels: {app: b}, matchExpressions: [{key: side, operator: In, values: [even]}]}
    - {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: side}, matchExpressions: [{key: none, operator: DoesNotExist}]}}
    ports: [{port: http, protocol: TCP}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b-out}
spec:
  podSelector: {matchLabels: {app: b}, matchExpressions: [{key: side, operator: In, values: [even]}]}
  policyTypes: [Egress]
  egress:
  - to: [{podSelector: {matchLabels: {app: a}, matchExpressions: [{key: side, operator: Exists}]}}]
    ports: [{port: 8000, endPort: 8080, protocol: TCP}]
  - to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: side}, matchExpressions: [{key: none, operator: DoesNotExist}]}}]
    ports: [{port: 9}]
  - to: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.0/25]}}]
"""
BLOCK = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: by-range, namespace: side}
spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [203.0.113.0/24]}}], ports: [{port: 8000, endPort: 8080}]}]}
"""


def free_port() -> int:
    """A port of this machine that nothing listens on, outside of those that the kernel gives by itself."""
    for port in random.sample(range(20000, 29999), 50):
        with socket.socket() as made:
            try:
                made.bind(("", port))
                return port
            except OSError:
                continue
    raise AssertionError("no port is free")


def pair() -> str:
    """A Secret with a certificate and its key."""
    made = self_signed(time.time())
    certificate, key = made.split(b"-----BEGIN PRIVATE KEY")[0], b"-----BEGIN PRIVATE KEY" + made.split(b"-----BEGIN PRIVATE KEY")[1]
    data = {"tls.crt": base64.b64encode(certificate).decode(), "tls.key": base64.b64encode(key).decode()}
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "pair"}, "data": data})


BROKEN = 'apiVersion: v1\nkind: Secret\nmetadata: {name: broken}\nstringData: {tls.crt: "no\\n", tls.key: "bind :1"}\n'
PORTS = {"http": free_port(), "https": free_port()}
SECRET = pair()
MANIFEST = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: side}}
---
{SECRET}
---
{BROKEN}
---
{server("a")}{server("b")}{server("c", "side")}{INGRESS}
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBEPLAY_INGRESS_HTTP_PORT", str(PORTS["http"]))
        patch.setenv("KUBEPLAY_INGRESS_HTTPS_PORT", str(PORTS["https"]))
        with playing(tmp_path_factory.mktemp("ingress"), image_archives, MANIFEST, "--wait-ready") as machine:
            yield machine


def ask(host: str, path: str) -> str:
    """What is answered: the page, or the status of what is no page."""
    connection = http.client.HTTPConnection("127.0.0.1", PORTS["http"], timeout=60)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        text = answer.read().decode().strip()
        return text if answer.status == 200 else str(answer.status)
    finally:
        connection.close()


def shown(name: str) -> bytes:
    """The certificate that a TLS client sees who asks for `name`, and that a request then is answered."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", PORTS["https"]), timeout=60)
    with context.wrap_socket(plain, server_hostname=name) as made:
        made.sendall(f"GET / HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
        assert b"200 OK" in made.recv(65536)
        return made.getpeercert(binary_form=True) or b""


@covers("Ingress.spec.rules[].host Ingress.spec.rules[].http.paths[].path Ingress.spec.rules[].http.paths[].pathType "
        "Ingress.spec.rules[].http.paths[].backend.service.name Ingress.spec.rules[].http.paths[].backend.service.port.name "
        "Ingress.spec.rules[].http.paths[].backend.service.port.number Ingress.spec.ingressClassName IngressClass.spec.controller "
        "Ingress.spec.defaultBackend.service.name Ingress.spec.defaultBackend.service.port.number "
        "Ingress.spec.defaultBackend.service.port.name")  # fmt: skip
def test_ig1_requests_go_where_the_rules_say(kp: Machine) -> None:
    kp.wait(lambda: ask("a.example", "/side") == "404" and ask("a.example", "/deep/") == "b")  # c has no such page: its own 404
    answers = {
        ("a.example", "/deep"): "302",  # Exact: a's own httpd, which asks for the slash
        ("a.example", "/deep/"): "b",
        ("a.example", "/deep/er/"): "b",
        ("A.EXAMPLE:80", "/deep/"): "b",
        ("a.example", "/deeper/"): "404",
        ("a.example", "/"): "a",
        ("a.example", "/gone"): "503",
        ("a.example", "/closed"): "503",
        ("x.wild.example", "/"): "b",
        ("y.x.wild.example", "/"): "a",
        ("nobody.example", "/"): "a",
        ("c.example", "/"): "c",
    }
    assert {request: ask(*request) for request in answers} == answers


@covers("Ingress.spec.tls[].hosts[] Ingress.spec.tls[].secretName")
def test_ig1_tls_shows_the_secret_s_certificate_by_name_and_follows_it(kp: Machine) -> None:
    def certificate(text: str) -> bytes:
        return ssl.PEM_cert_to_DER_cert(base64.b64decode(json.loads(text)["data"]["tls.crt"]).decode())

    assert shown("secure.example") == certificate(SECRET)
    own = shown("bad.example")
    assert own not in (b"", certificate(SECRET)), "what holds no certificate gives none"
    assert any("tls.crt is not a certificate" in line for line in kp("describe", "ingress", "main").lines)
    other = pair()
    kp.play(other, "--update")
    kp.wait(lambda: shown("secure.example") == certificate(other))


def test_ig1_the_ingress_says_where_it_is(kp: Machine) -> None:
    assert kp("get", "ingress", "main", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}").out.strip()
    assert kp("get", "ingress", "main").lines[0].split() == ["NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "AGE"]


def test_ig1_what_is_generated_plays_again(kp: Machine) -> None:
    for name in ("ingress/main", "ingressclass/here"):
        text = kp("generate", "kube", name).out
        assert kp.play(text).status == 0
    assert "secretName: pair" in kp("generate", "kube", "ingress/main").out


def reaches(kp: Machine, source: str, target: str, port: int = 8080) -> bool:
    """Whether a page can be had: asked for a few times, since a first packet may be lost."""
    return bool(kp.sh(source, f"for i in 1 2; do timeout 5 wget -qO- http://{target}:{port}/ && break; done", status=None))


@covers("NetworkPolicy.spec.podSelector.matchLabels{} NetworkPolicy.spec.podSelector.matchExpressions[].key "
        "NetworkPolicy.spec.podSelector.matchExpressions[].operator NetworkPolicy.spec.podSelector.matchExpressions[].values[] "
        "NetworkPolicy.spec.policyTypes[] NetworkPolicy.spec.ingress[].ports[].port NetworkPolicy.spec.ingress[].ports[].protocol "
        "NetworkPolicy.spec.ingress[].ports[].endPort NetworkPolicy.spec.egress[].ports[].port "
        "NetworkPolicy.spec.egress[].ports[].protocol "
        "NetworkPolicy.spec.egress[].ports[].endPort "
        "NetworkPolicy.spec.ingress[].from[].ipBlock.cidr "
        "NetworkPolicy.spec.ingress[].from[].ipBlock.except[] NetworkPolicy.spec.egress[].to[].ipBlock.cidr "
        "NetworkPolicy.spec.egress[].to[].ipBlock.except[] "
        "NetworkPolicy.spec.ingress[].from[].podSelector.matchLabels{} "
        "NetworkPolicy.spec.ingress[].from[].podSelector.matchExpressions[].key "
        "NetworkPolicy.spec.ingress[].from[].podSelector.matchExpressions[].operator "
        "NetworkPolicy.spec.ingress[].from[].podSelector.matchExpressions[].values[] "
        "NetworkPolicy.spec.ingress[].from[].namespaceSelector.matchLabels{} "
        "NetworkPolicy.spec.ingress[].from[].namespaceSelector.matchExpressions[].key "
        "NetworkPolicy.spec.ingress[].from[].namespaceSelector.matchExpressions[].operator "
        "NetworkPolicy.spec.ingress[].from[].namespaceSelector.matchExpressions[].values[] "
        "NetworkPolicy.spec.egress[].to[].podSelector.matchLabels{} NetworkPolicy.spec.egress[].to[].podSelector.matchExpressions[].key "
        "NetworkPolicy.spec.egress[].to[].podSelector.matchExpressions[].operator "
        "NetworkPolicy.spec.egress[].to[].podSelector.matchExpressions[].values[] "
        "NetworkPolicy.spec.egress[].to[].namespaceSelector.matchLabels{} "
        "NetworkPolicy.spec.egress[].to[].namespaceSelector.matchExpressions[].key "
        "NetworkPolicy.spec.egress[].to[].namespaceSelector.matchExpressions[].operator "
        "NetworkPolicy.spec.egress[].to[].namespaceSelector.matchExpressions[].values[]")  # fmt: skip
def test_np1_packets_pass_as_policies_say_and_all_pass_without(kp: Machine) -> None:
    a, b, c = kp.ip("a"), kp.ip("b"), json.loads(kp("-n", "side", "pod", "inspect", "c", "--format", "json").out)
    inside = (c[0] if isinstance(c, list) else c)["status"]["podIP"]
    assert reaches(kp, "b", a) and reaches(kp, "a", b) and reaches(kp, "b", inside)
    kp.play(POLICY)
    assert reaches(kp, "b", a), "both ends allow it"
    assert not reaches(kp, "b", inside), "b may go to a alone, and to another port of that namespace"
    assert reaches(kp, "a", b), "nothing rules what comes to b or leaves a; replies need no rule"
    assert reaches(kp, "a", "127.0.0.1") and ask("nobody.example", "/") == "a", "a pod reaches itself, the proxy every pod"
    kp.play(BLOCK)
    assert reaches(kp, "a", inside), "a is in the range"
    kp.down(POLICY)
    assert reaches(kp, "b", inside)
    kp.down(BLOCK)


def test_ig1_without_an_ingress_there_is_no_proxy(kp: Machine) -> None:
    """And a port that somebody else has is told before anything is made."""
    kp.down(INGRESS)
    assert "ingress-proxy" not in kp("get", "pods", "-A").out
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("", PORTS["http"]))
        taken.listen()
        said = kp.play(INGRESS, status=None)
        assert said.status and f"port {PORTS['http']} is already in use" in said.err and "KUBEPLAY_INGRESS_HTTP_PORT" in said.err
    assert kp.play(INGRESS).status == 0
    kp.wait(lambda: ask("nobody.example", "/") == "a")
