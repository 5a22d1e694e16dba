"""PR5-PR9, PR12, LH3 over real sockets: what a kubelet would have said to the same servers."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubeplay.plan.container import Port
from kubeplay.plan.env import EnvKeyRef, EnvLiteral
from kubeplay.plan.probe import Grpc, HttpGet, TcpSocket
from kubeplay.reconcile.handlers import exec as execs
from kubeplay.reconcile.handlers import grpc, http, tcp
from tests.support import certificates

HERE = "127.0.0.1"
SECONDS = 100.0
Serve = Callable[[socket.socket], None]


@contextmanager
def server(*answers: Serve, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that treats its first connections by `answers`, one after the other; its port."""
    listening = socket.create_server((HERE, 0))

    def work() -> None:
        for answer in answers:
            try:
                sock = listening.accept()[0]
                with tls.wrap_socket(sock, server_side=True) if tls else sock as talk:
                    talk.settimeout(SECONDS)
                    answer(talk)
            except OSError:
                continue  # the client has gone, or the test is over

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(SECONDS)


def request(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(4096)
        if not piece:
            break
        data += piece
    return data


def say(text: bytes, kept: list[bytes] | None = None) -> Serve:
    def answer(sock: socket.socket) -> None:
        got = request(sock)
        if kept is not None:
            kept.append(got)
        sock.sendall(text)

    return answer


def ok(body: bytes = b"fine") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def get(port: int | str, **fields: object) -> http.Answer:
    counts = bool(fields.pop("status_counts", True))
    seconds = float(str(fields.pop("seconds", SECONDS)))
    ports = fields.pop("ports", ())
    return http.get(HERE, HttpGet(port, **fields), ports, seconds, status_counts=counts)  # type: ignore[arg-type]


def test_pr7_request_as_a_kubelet_writes_it() -> None:
    kept: list[bytes] = []
    with server(say(ok(), kept)) as port:
        assert get(port, path="/a b?c=d#e").ok
    expected = f"GET /a%20b?c=d HTTP/1.1\r\nHost: {HERE}:{port}\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    assert kept == [expected.encode()]


def test_pr7_headers_replace_repeat_and_remove() -> None:
    kept: list[bytes] = []
    headers = (("x-a", "1"), ("X-A", "2"), ("Host", "there"), ("user-agent", "mine"), ("accept", ""))
    with server(say(ok(), kept)) as port:
        assert get(port, headers=headers).ok
    expected = "GET / HTTP/1.1\r\nHost: there\r\nUser-Agent: mine\r\nConnection: close\r\nX-A: 1\r\nX-A: 2\r\n\r\n"
    assert kept == [expected.encode()]


def test_pr7_line_breaks_never_reach_the_wire() -> None:
    kept: list[bytes] = []
    with server(say(ok(), kept)) as port:
        assert get(port, path="/\r\nX-Evil: 1").ok
        refused = get(port, headers=(("X-A", "1\r\nX-Evil: 1"),))
    assert b"Evil: 1\r\n" not in kept[0].replace(b"%0D%0AX-Evil:%201 HTTP", b"") and len(kept) == 1
    assert not refused.ok and 'invalid header field value for "X-A"' in refused.text


@pytest.mark.parametrize("status,good", [(199, False), (200, True), (204, True), (299, True), (400, False), (404, False), (500, False)])
def test_pr7_status_codes(status: int, good: bool) -> None:
    first = b"" if status != 199 else b"HTTP/1.1 100 Continue\r\n\r\n"
    shown = 500 if status == 199 else status
    with server(say(first + b"HTTP/1.1 %d Word\r\nContent-Length: 0\r\n\r\n" % shown)) as port:
        answer = get(port)
    assert answer.ok is good and not answer.warning
    assert good or answer.text == f"HTTP probe failed with statuscode: {shown}"


def test_pr7_399_is_a_success_with_a_warning() -> None:
    with server(say(b"HTTP/1.1 399 Odd\r\nContent-Length: 3\r\n\r\nodd")) as port:
        answer = get(port)
    assert answer == http.Answer(True, "Probe terminated redirects, Response body: odd", warning=True)


def test_pr7_redirects_to_the_same_host_are_followed() -> None:
    kept: list[bytes] = []
    with server(say(ok(), kept)) as there:
        location = b"HTTP/1.1 302 Found\r\nLocation: http://%s:%d/x?y=1\r\nContent-Length: 0\r\n\r\n" % (HERE.encode(), there)
        with server(say(b"HTTP/1.1 301 Moved\r\nLocation: /next\r\n\r\n", kept), say(location, kept)) as port:
            assert get(port) == http.Answer(True, "fine")
    assert [line.split(b" ")[1] for line in kept] == [b"/", b"/next", b"/x?y=1"]


def test_pr7_a_redirect_elsewhere_is_a_success_with_a_warning() -> None:
    with server(say(b"HTTP/1.1 302 Found\r\nLocation: http://example.invalid/\r\nContent-Length: 2\r\n\r\nhi")) as port:
        answer = get(port)
    assert answer.ok and answer.warning and answer.text.endswith("Response body: hi")


def test_pr7_eleven_redirects_are_too_many() -> None:
    with server(*[say(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n")] * 12) as port:
        answer = get(port)
    assert not answer.ok and answer.text.endswith("stopped after 10 redirects")


def test_pr7_connection_refused_and_unknown_port_names() -> None:
    with socket.create_server((HERE, 0)) as taken:
        port = taken.getsockname()[1]
    answer = get(port)
    assert answer == http.Answer(False, f'Get "http://{HERE}:{port}/": dial tcp {HERE}:{port}: connect: connection refused')
    assert get("nosuch") == http.Answer(False, 'strconv.Atoi: parsing "nosuch": invalid syntax', errored=True)
    assert get(70000).text == "invalid port number: 70000"


def test_pr12_a_name_is_looked_up_in_the_container_and_digits_are_a_number() -> None:
    with server(say(ok()), say(ok())) as port:
        assert get("web", ports=(Port(port, name="web"),)).ok
        assert get(str(port)).ok


def test_pr7_no_answer_in_time() -> None:
    with server(lambda sock: sock.recv(1 << 16) and sock.recv(1) and None) as port:  # type: ignore[func-returns-value]
        answer = get(port, seconds=0.3)
    assert not answer.ok and not answer.errored
    assert answer.text.endswith("context deadline exceeded (Client.Timeout exceeded while awaiting headers)")


def test_pr5_a_body_that_never_ends_counts_as_nothing() -> None:
    def half(sock: socket.socket) -> None:
        request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        sock.recv(1)

    with server(half, say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")) as port:
        slow, short = get(port, seconds=0.3), get(port)
    assert slow.errored and "while reading body" in slow.text
    assert short.errored and short.text == "unexpected EOF"


def test_pr7_a_body_is_read_up_to_ten_kilobytes() -> None:
    head = b"HTTP/1.1 200 OK\r\n"
    with server(say(head + b"\r\n" + b"x" * 100_000), say(head + b"Content-Length: 9999999\r\n\r\n" + b"y" * 50_000)) as port:
        assert len(get(port).text) == 10240
        assert get(port).text == "y" * 10240


def test_pr7_chunks() -> None:
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    with server(say(body), say(body.replace(b"\r\n3\r", b"\r\nzz\r"))) as port:
        assert get(port).text == "abcde"
        assert get(port).errored


@pytest.mark.parametrize(
    "said,text",
    [
        (b"", "EOF"),
        (b"SSH-2.0-x\r\n", 'malformed HTTP response "SSH-2.0-x"'),
        (b"HTTP/1.1 2000 x\r\n\r\n", "malformed HTTP response"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "malformed MIME header line: no colon"),
        (b"HTTP/1.1 200 OK\r\nA: b", "unexpected EOF"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * (1 << 21), "headers exceeded"),
    ],
)
def test_hostile_answers(said: bytes, text: str) -> None:
    with server(say(said)) as port:
        answer = get(port)
    assert not answer.ok and not answer.errored and text in answer.text


def test_pr7_tls_is_not_verified_and_http_is_told(tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.cert, made.key)
    with server(say(ok()), tls=context) as port:
        assert get(port, scheme="HTTPS").ok
    with server(lambda sock: sock.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")) as port:
        answer = get(port, scheme="HTTPS")
    assert answer.text == f'Get "https://{HERE}:{port}/": http: server gave HTTP response to HTTPS client'  # record 206


def test_lh3_for_a_hook_the_status_does_not_count_and_http_will_do() -> None:
    kept: list[bytes] = []
    with server(say(b"HTTP/1.1 500 No\r\n\r\n")) as port:
        assert get(port, status_counts=False).ok
    plain = server(lambda sock: sock.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n"), say(ok(), kept))
    with plain as port:
        assert get(port, scheme="HTTPS", status_counts=False, headers=(("Authorization", "secret"),)).ok
    assert b"secret" not in kept[0]


def test_pr8_tcp() -> None:
    with server(lambda sock: None) as port:
        assert tcp.connect(HERE, TcpSocket(port), (), SECONDS) == tcp.Answer(True)
    refused = tcp.connect(HERE, TcpSocket(port), (), SECONDS)
    assert refused == tcp.Answer(False, f"dial tcp {HERE}:{port}: connect: connection refused")
    assert tcp.connect(HERE, TcpSocket("x"), (), SECONDS).errored
    assert "no such host" in tcp.connect("", TcpSocket(port, "nosuch.invalid"), (), SECONDS).text


def test_pr6_arguments_see_literal_variables_alone() -> None:
    env = (EnvLiteral("A", "1"), EnvKeyRef("B", "Secret", "s", "k"))
    assert execs.static(("$(A)", "x$(B)y", "$(C)", "$$(A)"), env) == ("1", "xy", "$(C)", "$(A)")


def health(status: bytes, code: str = "0", message: str = "", kept: list[object] | None = None) -> Serve:
    """A server of grpc.health.v1 with h2, as far as a test needs one."""
    import h2.config
    import h2.connection
    import h2.events as events

    def answer(sock: socket.socket) -> None:
        talk = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        talk.initiate_connection()
        sock.sendall(talk.data_to_send())
        while data := sock.recv(65536):
            for event in talk.receive_data(data):
                if isinstance(event, (events.RequestReceived, events.DataReceived)) and kept is not None:
                    kept.append(dict(event.headers) if isinstance(event, events.RequestReceived) else event.data)
                if isinstance(event, events.StreamEnded):
                    talk.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/grpc")])
                    talk.send_data(event.stream_id, b"\0" + len(status).to_bytes(4, "big") + status)
                    talk.send_headers(event.stream_id, [("grpc-status", code), ("grpc-message", message)], end_stream=True)
            sock.sendall(talk.data_to_send())

    return answer


def test_pr9_serving_is_the_only_success() -> None:
    kept: list[object] = []
    with server(health(b"\x08\x01", kept=kept)) as port:
        assert grpc.check(HERE, Grpc(port, "mine"), SECONDS) == grpc.Answer(True, "service healthy")
    headers = kept[0]
    assert isinstance(headers, dict) and headers["user-agent"] == "kube-probe/1.36" and headers[":path"] == "/grpc.health.v1.Health/Check"
    assert kept[1] == b"\0\0\0\0\x06\x0a\x04mine"


@pytest.mark.parametrize(
    "status,code,text",
    [
        (b"\x08\x02", "0", 'service unhealthy (responded with "NOT_SERVING")'),
        (b"", "0", 'service unhealthy (responded with "UNKNOWN")'),
        (b"", "12", "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): why not"),
        (b"", "5", "error: health rpc probe failed: rpc error: code = NotFound desc = why not"),
        (b"", "9" * 40, "error: health rpc probe failed"),
    ],
)
def test_pr9_everything_else_is_a_failure(status: bytes, code: str, text: str) -> None:
    with server(health(status, code, "why%20not")) as port:
        answer = grpc.check(HERE, Grpc(port), SECONDS)
    assert not answer.ok and not answer.errored and answer.text.startswith(text)


def test_pr9_no_grpc_there() -> None:
    with server(say(ok()), lambda sock: sock.recv(1 << 16) and None) as port:  # type: ignore[func-returns-value]
        assert not grpc.check(HERE, Grpc(port), SECONDS).ok
    with socket.create_server((HERE, 0)) as silent:
        port = silent.getsockname()[1]
        assert grpc.check(HERE, Grpc(port), 0.3).text == "timeout: health rpc did not complete within 0.3s"
    assert "connection refused" in grpc.check(HERE, Grpc(port), SECONDS).text
