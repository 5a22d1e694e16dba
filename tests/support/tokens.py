"""A token server as docker-registry wants one (distribution spec, token authentication): signs short JWTs for known users."""

from __future__ import annotations

import base64
import json
import re
import ssl
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

SERVICE, ISSUER = "kubeplay-tests", "kubeplay-tests-issuer"
REFRESH = "refresh-token-of-"


class TokenServer:
    """`requests` keeps what was asked: (method, query or form, user or ""). Anonymous callers get pull only if `anonymous`."""

    def __init__(self, cert: Path, key: Path, users: Mapping[str, str], anonymous: bool = False, seconds: int = 300,
                 tls: tuple[Path, Path] | None = None) -> None:  # fmt: skip
        """`cert` and `key` sign the tokens; `tls` are the server's own."""
        self.cert, self.users, self.anonymous, self.seconds = cert, dict(users), anonymous, seconds
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        self._key = loaded
        self.requests: list[tuple[str, dict[str, list[str]], str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._scheme = "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
            self._scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def realm(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/token"

    def __enter__(self) -> TokenServer:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def token(self, user: str, scopes: list[str]) -> str:
        """A JWT for `user` with the access that `scopes` (repository:NAME:ACTION,...) name."""
        access = []
        for scope in " ".join(scopes).split():
            found = re.fullmatch(r"([a-z]+):(.+):([a-z*,]+)", scope)
            if found:
                actions = [a for a in found[3].split(",") if user or a == "pull"]
                access.append({"type": found[1], "name": found[2], "actions": actions})
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": user, "aud": SERVICE, "exp": now + self.seconds, "nbf": now - 10, "iat": now - 10, "jti": str(now)}
        der = "".join(line for line in self.cert.read_text().splitlines() if "-----" not in line)
        head = _part({"typ": "JWT", "alg": "ES256", "x5c": [der]})
        body = f"{head}.{_part({**claims, 'access': access})}"
        r, s = utils.decode_dss_signature(self._key.sign(body.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{body}.{_text(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _handler(server: TokenServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            user = _basic(self.headers.get("Authorization", ""), server.users)
            server.requests.append(("GET", asked, user or ""))
            if user is None or (not user and not server.anonymous):
                return self._answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "who are you?"}]})
            self._answer(200, {"token": server.token(user, asked.get("scope", [])), "expires_in": server.seconds})

        def do_POST(self) -> None:
            asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            refresh = asked.get("refresh_token", [""])[0]
            user = refresh.removeprefix(REFRESH) if refresh.startswith(REFRESH) else ""
            if asked.get("grant_type") == ["password"]:
                name, password = asked["username"][0], asked["password"][0]
                user = name if server.users.get(name) == password else ""
            server.requests.append(("POST", asked, user))
            if user not in server.users:
                return self._answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "who are you?"}]})
            token = server.token(user, asked.get("scope", []))
            self._answer(200, {"access_token": token, "expires_in": server.seconds, "refresh_token": REFRESH + user})

        def _answer(self, status: int, value: dict[str, Any]) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    return Handler


def _basic(header: str, users: Mapping[str, str]) -> str | None:
    """The user; "" without credentials; None when they are wrong."""
    if not header:
        return ""
    name, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
    return name if users.get(name) == password else None


def _part(value: dict[str, Any]) -> str:
    return _text(json.dumps(value).encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
