"""An API server's double on loopback: real request and response shapes, nothing runs behind it.

    with api_server(tmp_path, tokens={"secret": "jane"}) as server:
        server.kubeconfig({"token": "secret"})        # a file that leads there
        server.put({"apiVersion": ...}, manager="kubectl")
        ... server.get("Deployment", "default", "web"), server.seen ...

It serves discovery, get, list (pages, label and field selectors), watch, create, replace, delete, server-side apply with field owners
and conflicts, dry runs, and Status objects for what it refuses. What is valid is judged by kubeplay/kube/check, whose verdicts
tests/conformance holds against a real server's. TLS with tokens and client certificates, as asked for.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
import ssl
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from kubeplay.kube import check, defaults, kinds, selector
from tests.support import certificates, fieldowners

Object = dict[str, Any]
Key = tuple[str, str, str]  # kind, namespace, name
_WHOLE = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_SERVED = re.compile(r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+)/(?P<version>[^/]+))(?P<rest>/.*)?")
_PATH = re.compile(r"(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>status))?")


class Seen(NamedTuple):
    """A request: `user` is who it was found to be."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    user: str


class Refused(Exception):
    """A Status of failure."""

    def __init__(self, code: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason,
                       "details": details, "code": code}  # fmt: skip
        if not reason:
            del self.status["reason"]
        self.code = code


class ApiServer:
    """The state; change it between requests as a test likes."""

    def __init__(self, directory: Path, tokens: Mapping[str, str], certs: certificates.Certificates | None) -> None:
        self.directory, self.tokens, self.certs = directory, dict(tokens), certs
        self.objects: dict[Key, Object] = {}
        self.forbidden: set[tuple[str, str]] = set()  # (verb, plural)
        self.warnings: list[str] = []
        self.failures: list[tuple[int, dict[str, str]]] = []  # answered to the next requests: (status, headers)
        self.seen: list[Seen] = []
        self.kinds = {(kind.api_version, kind.plural): kind for kind in kinds.table().values()}
        self.url = ""
        self.ready = True  # whether workloads come up at once
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.events: list[tuple[int, str, Object]] = []
        self._version = itertools.count(1000)
        for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
            self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager="kube-apiserver")

    # for tests
    def kubeconfig(self, user: Mapping[str, Any] | None = None, namespace: str = "", **cluster: Any) -> Path:
        """A kubeconfig for this server."""
        own: Object = {"server": self.url, **({"certificate-authority": str(self.certs.ca)} if self.certs else {}), **cluster}
        context = {"cluster": "double", "user": "me", **({"namespace": namespace} if namespace else {})}
        value = {"apiVersion": "v1", "kind": "Config", "current-context": "double", "clusters": [{"name": "double", "cluster": own}],
                 "users": [{"name": "me", "user": dict(user or {})}], "contexts": [{"name": "double", "context": context}]}  # fmt: skip
        path = self.directory / "kubeconfig"
        path.write_text(json.dumps(value, indent=1))
        return path

    def serve(self, api_version: str, kind: str, plural: str, namespaced: bool = True) -> None:
        """Serve a custom resource."""
        group, _, version = api_version.rpartition("/")
        self.kinds[api_version, plural] = kinds.Kind(group, version, kind, plural, kind.lower(), (), namespaced, "later", "")

    def put(self, obj: Object, manager: str = "kubectl-client-side-apply") -> Object:
        """Store an object as somebody else's `create` would."""
        with self.lock:
            kind = next(one for one in self.kinds.values() if (one.api_version, one.kind) == (obj["apiVersion"], obj["kind"]))
            return self._store(kind, fieldowners.updated(copy.deepcopy(obj), manager, _now()))

    def get(self, kind: str, namespace: str, name: str) -> Object:
        return self.objects[kind, namespace, name]

    def status(self, kind: str, namespace: str, name: str, status: Object) -> None:
        with self.lock:
            self.objects[kind, namespace, name]["status"] = status
            self._changed("MODIFIED", self.objects[kind, namespace, name])

    # what requests do
    def answer(self, method: str, path: str, query: dict[str, str], body: Object | None, media: str) -> tuple[int, Object]:
        served = _SERVED.fullmatch(path)
        if path in ("/api", "/apis", "/version"):
            return 200, self._root(path)
        if not served or (served["core"] is None and not self._group(f"{served['group']}/{served['version']}")):
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        api_version = served["core"] or f"{served['group']}/{served['version']}"
        if not served["rest"]:
            return 200, self._resources(api_version)
        found = _PATH.fullmatch(served["rest"])
        kind = self.kinds.get((api_version, found["plural"])) if found else None
        if found is None or kind is None:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        namespace, name = unquote(found["namespace"] or ""), unquote(found["name"] or "")
        return self._verb(method, kind, namespace, name, query, body, media)

    def _verb(self, method: str, kind: kinds.Kind, namespace: str, name: str, query: dict[str, str], body: Object | None, media: str
              ) -> tuple[int, Object]:  # fmt: skip
        verb = {"GET": "get" if name else "list", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[method]
        if (verb, kind.plural) in self.forbidden:
            group, where = kind.group, f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
            message = f'User "jane" cannot {verb} resource "{kind.plural}" in API group "{group}"{where}'
            named = f' "{name}"' if name else ""
            text = f"{_resource(kind)}{named} is forbidden: {message}"
            raise Refused(403, "Forbidden", text, name=name, group=group, kind=kind.plural)
        key = (kind.kind, namespace if kind.namespaced else "", name)
        with self.lock:
            if verb == "list":
                return 200, self._list(kind, namespace, query)
            if verb == "get":
                return 200, self._existing(kind, key)
            if verb == "delete":
                gone = self._existing(kind, key)
                del self.objects[key]
                last = {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(next(self._version))}}
                self._changed("DELETED", last)
                return 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": {"name": name}}
            assert body is not None
            return self._write(verb, kind, key, query, body, media)

    def _write(self, verb: str, kind: kinds.Kind, key: Key, query: dict[str, str], body: Object, media: str) -> tuple[int, Object]:
        name = key[2] or body["metadata"]["name"]
        key = (kind.kind, key[1], name)
        if kind.namespaced and ("Namespace", "", key[1]) not in self.objects:
            raise Refused(404, "NotFound", f'namespaces "{key[1]}" not found', name=key[1], kind="namespaces")
        live = self.objects.get(key)
        if verb == "create" and live is not None:
            raise Refused(409, "AlreadyExists", f'{_resource(kind)} "{name}" already exists', name=name, group=kind.group, kind=kind.plural)
        meta = {**body.get("metadata", {}), "name": name, **({"namespace": key[1]} if kind.namespaced else {})}
        body = {**body, "metadata": meta}
        if verb == "patch":
            made = self._applied(kind, live, body, query, media)
        else:
            made = fieldowners.updated(copy.deepcopy(body), query.get("fieldManager", "unknown"), _now())
        self._validate(kind, made)
        if query.get("dryRun") == "All":
            filled = _filled(kind, copy.deepcopy(made))
            filled["metadata"] = {"uid": (live or {"metadata": {}})["metadata"].get("uid") or str(uuid.uuid4()), **filled["metadata"]}
            return (200 if live else 201), filled
        return (200 if live else 201), self._store(kind, made)

    def _applied(self, kind: kinds.Kind, live: Object | None, body: Object, query: dict[str, str], media: str) -> Object:
        if media != "application/apply-patch+yaml":
            raise Refused(415, "UnsupportedMediaType", f"the double takes server-side apply only, not {media}")
        if not query.get("fieldManager"):
            message = 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
            raise Refused(422, "Invalid", message, causes=[])
        if body["metadata"].get("managedFields") is not None:
            raise Refused(400, "BadRequest", "metadata.managedFields must be nil")
        if unknown := self._unknown(kind, body):
            place = f"{body['metadata'].get('namespace', '')}/{body['metadata']['name']}"
            what = f"{place}; {kind.api_version}, Kind={kind.kind}"
            raise Refused(500, "", f"failed to create typed patch object ({what}): .{unknown}: field not declared in schema")
        merged = fieldowners.apply(live, body, query["fieldManager"], query.get("force") == "true", _now())
        if merged.conflicts:
            raise Refused(409, "Conflict", _conflict_text(merged.conflicts), causes=[
                {"reason": "FieldManagerConflict", "message": f'conflict with "{one.manager}" using {one.version}', "field": one.path}
                for one in merged.conflicts])  # fmt: skip
        return merged.object

    def _unknown(self, kind: kinds.Kind, body: Object) -> str:
        if kind.support != "slice":
            return ""
        found = check.inspect(json.dumps(body).encode(), "request", mode="strict")
        return next((fault.path for fault in found.faults if "unknown field" in fault.message), "")

    def _validate(self, kind: kinds.Kind, obj: Object) -> None:
        if kind.support != "slice":
            return
        bare = {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}
        found = check.inspect(json.dumps(bare).encode(), "request", mode="strict", namespace=obj["metadata"].get("namespace", "default"))
        if found.faults:
            causes = [{"reason": one.reason, "message": one.message, "field": one.path} for one in found.faults]
            said = [f"{one.path}: {one.message}" for one in found.faults]
            text = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
            title = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
            name = obj["metadata"]["name"]
            raise Refused(
                422, "Invalid", f'{title} "{name}" is invalid: {text}', name=name, group=kind.group, kind=kind.kind, causes=causes
            )

    def _store(self, kind: kinds.Kind, obj: Object) -> Object:
        meta = obj["metadata"]
        key = (kind.kind, (meta.setdefault("namespace", "default") if kind.namespaced else ""), meta["name"])
        live = self.objects.get(key)
        made = _filled(kind, obj)
        meta = made["metadata"]
        before = live["metadata"] if live else {}
        meta["uid"] = before.get("uid") or str(uuid.uuid4())
        meta["creationTimestamp"] = before.get("creationTimestamp") or _now()
        if kind.kind in ("Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet"):
            changed = live is None or live.get("spec") != made.get("spec")
            meta["generation"] = before.get("generation", 0) + (1 if changed else 0)
            if self.ready:
                made["status"] = _up(made)
            else:
                made.setdefault("status", {})
        if kind.kind == "Pod" and self.ready:
            made["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        if kind.kind == "Service" and made["spec"].get("type") != "ExternalName":
            address = made["spec"].setdefault("clusterIP", f"10.96.0.{len(self.objects) % 250 + 2}")
            made["spec"].setdefault("clusterIPs", [address])
        if kind.kind == "Namespace":
            made.setdefault("status", {"phase": "Active"})
            meta.setdefault("labels", {})["kubernetes.io/metadata.name"] = meta["name"]
        if live is None or {**live, "metadata": {}} != {**made, "metadata": {}}:
            meta["resourceVersion"] = str(next(self._version))
        else:
            meta["resourceVersion"] = before["resourceVersion"]
        self.objects[key] = made
        self._changed("MODIFIED" if live else "ADDED", made)
        return made

    def _changed(self, what: str, obj: Object) -> None:
        self.events.append((int(obj["metadata"]["resourceVersion"]), what, copy.deepcopy(obj)))
        self.changed.notify_all()

    def _existing(self, kind: kinds.Kind, key: Key) -> Object:
        found = self.objects.get(key)
        if found is None or found["apiVersion"] != kind.api_version:
            raise Refused(404, "NotFound", f'{_resource(kind)} "{key[2]}" not found', name=key[2], group=kind.group, kind=kind.plural)
        return found

    def matching(self, kind: kinds.Kind, namespace: str, query: dict[str, str]) -> list[Object]:
        """Objects of a kind that a list's selectors take."""
        fits = selector.labels(query.get("labelSelector", ""))
        wanted = query.get("fieldSelector", "").removeprefix("metadata.name=")
        return [obj for key, obj in sorted(self.objects.items())
                if key[0] == kind.kind and obj["apiVersion"] == kind.api_version and (not namespace or key[1] == namespace)
                and (not wanted or key[2] == wanted) and fits(obj["metadata"].get("labels") or {})]  # fmt: skip

    def _list(self, kind: kinds.Kind, namespace: str, query: dict[str, str]) -> Object:
        found = self.matching(kind, namespace, query)
        start, limit = int(query.get("continue") or 0), int(query.get("limit") or 0) or len(found) or 1
        meta: Object = {"resourceVersion": str(next(self._version))}
        if start + limit < len(found):
            meta.update({"continue": str(start + limit), "remainingItemCount": len(found) - start - limit})
        items = [{key: value for key, value in obj.items() if key not in ("apiVersion", "kind")} for obj in found[start : start + limit]]
        return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": meta, "items": items}

    def _group(self, api_version: str) -> bool:
        return any(version == api_version for version, _ in self.kinds)

    def _root(self, path: str) -> Object:
        if path == "/version":
            return {"major": "1", "minor": "36", "gitVersion": "v1.36.0", "platform": "linux/amd64"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        groups: dict[str, list[str]] = {}
        for version, _ in self.kinds:
            if "/" in version:
                groups.setdefault(version.split("/")[0], [])
                if version not in groups[version.split("/")[0]]:
                    groups[version.split("/")[0]].append(version)
        return {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [
                {
                    "name": name,
                    "versions": [{"groupVersion": one, "version": one.split("/")[1]} for one in versions],
                    "preferredVersion": {"groupVersion": versions[0], "version": versions[0].split("/")[1]},
                }
                for name, versions in groups.items()
            ],
        }

    def _resources(self, api_version: str) -> Object:
        found = []
        for (version, plural), kind in self.kinds.items():
            if version == api_version:
                found.append(
                    {
                        "name": plural,
                        "singularName": kind.singular,
                        "namespaced": kind.namespaced,
                        "kind": kind.kind,
                        "verbs": _WHOLE,
                        **({"shortNames": list(kind.short_names)} if kind.short_names else {}),
                    }
                )
                found.append({"name": f"{plural}/status", "singularName": "", "namespaced": kind.namespaced, "kind": kind.kind,
                              "verbs": ["get", "patch", "update"]})  # fmt: skip
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": found}


def _conflict_text(conflicts: list[fieldowners.Conflict]) -> str:
    by: dict[tuple[str, str], list[str]] = {}
    for one in conflicts:
        by.setdefault((one.manager, one.version), []).append(one.path)
    count = len(conflicts)
    if count == 1:
        (manager, version), (path,) = next(iter(by.items()))
        return f'Apply failed with 1 conflict: conflict with "{manager}" using {version}: {path}'
    parts = [
        f'conflicts with "{manager}" using {version}:\n' + "\n".join(f"- {path}" for path in paths)
        for (manager, version), paths in by.items()
    ]
    return f"Apply failed with {count} conflicts: " + "\n".join(parts)


def _resource(kind: kinds.Kind) -> str:
    return f"{kind.plural}.{kind.group}" if kind.group else kind.plural


def _filled(kind: kinds.Kind, obj: Object) -> Object:
    if kind.support != "slice":
        return obj
    managed = obj["metadata"].get("managedFields")
    made: Object = defaults.apply(obj, kind)
    if managed is not None:
        made["metadata"]["managedFields"] = managed
    return made


def _up(obj: Object) -> Object:
    """The status that a controller would have come to."""
    count = obj["spec"].get("replicas", 1)
    seen: Object = {"observedGeneration": obj["metadata"]["generation"]}
    if obj["kind"] == "Job":
        return {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}
    if obj["kind"] == "DaemonSet":
        return {**seen, "desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 1}
    return {**seen, "replicas": count, "updatedReplicas": count, "readyReplicas": count, "availableReplicas": count}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    double: ApiServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length) if length else b""
        more: dict[str, str] = {}
        try:
            user = self._user()
            self.double.seen.append(Seen(self.command, parts.path, query, dict(self.headers.items()), user))
            if self.double.failures:
                code, more = self.double.failures.pop(0)
                raise Refused(code, "", "try again later")
            body = json.loads(raw) if raw else None
            if query.get("watch") in ("1", "true"):
                self._watch(parts.path, query)
                return
            code, answer = self.double.answer(self.command, parts.path, query, body, self.headers.get("Content-Type") or "")
        except Refused as refused:
            code, answer = refused.code, refused.status
        data = json.dumps(answer).encode()
        self.send_response(code)
        for warning in self.double.warnings if code < 300 else ():
            self.send_header("Warning", '299 - "' + warning.replace('"', '\\"') + '"')
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _user(self) -> str:
        """By certificate, then by token. Raises Refused: 401 as the server says it."""
        given = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
        if given:
            return str(next(value for pairs in given["subject"] for key, value in pairs if key == "commonName"))  # type: ignore[misc]
        if not self.double.tokens:
            return "system:anonymous"
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in self.double.tokens:
            raise Refused(401, "Unauthorized", "Unauthorized")
        return self.double.tokens[token]

    def _watch(self, path: str, query: dict[str, str]) -> None:
        """Events after resourceVersion as lines, for timeoutSeconds."""
        served = _SERVED.fullmatch(path)
        found = _PATH.fullmatch(served["rest"] or "") if served else None
        assert served and found
        kind = self.double.kinds[served["core"] or f"{served['group']}/{served['version']}", found["plural"]]
        since, until = int(query.get("resourceVersion") or 0), time.monotonic() + float(query.get("timeoutSeconds") or 60)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while (left := until - time.monotonic()) > 0:
            with self.double.lock:
                fresh = [one for one in self.double.events if one[0] > since and one[2]["kind"] == kind.kind]
                if not fresh:
                    self.double.changed.wait(left)
            for version, what, obj in fresh:
                since = max(since, version)
                if not found["namespace"] or obj["metadata"].get("namespace") == found["namespace"]:
                    self.wfile.write(json.dumps({"type": what, "object": obj}).encode() + b"\n")
                    self.wfile.flush()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that speaks no TLS, or goes away, is what tests do."""


@contextmanager
def api_server(
    directory: Path, *, tokens: Mapping[str, str] | None = None, tls: bool = False, client_certificates: bool = False
) -> Iterator[ApiServer]:
    """Start one on a free port, stop it at the end. `tokens` (token to user) and `client_certificates` bring TLS with them."""
    directory.mkdir(parents=True, exist_ok=True)
    certs = certificates.make(directory / "tls") if tls or tokens or client_certificates else None
    double = ApiServer(directory, tokens or {}, certs)
    handler = type("Handler", (_Handler,), {"double": double})
    server = _Server(("127.0.0.1", 0), handler)
    if certs:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certs.cert, certs.key)
        if client_certificates:
            context.load_verify_locations(certs.ca)
            context.verify_mode = ssl.CERT_OPTIONAL if tokens else ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    double.url = f"{'https' if certs else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
