"""grpc: one grpc.health.v1.Health/Check over plaintext HTTP/2 (PR9). The two messages have one field each, so they are written here."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any
from urllib.parse import unquote

from kubeplay.plan.probe import Grpc
from kubeplay.reconcile.handlers.connection import Plain
from kubeplay.reconcile.handlers.dial import DialFault, Make, dial, here
from kubeplay.reconcile.handlers.http import PROBE
from kubeplay.reconcile.handlers.ports import joined
from kubeplay.reconcile.handlers.response import Fault
from kubeplay.reconcile.handlers.steps import OUTPUT, Answer, OutOfTime, Steps, Wait, complete

_STATUS = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_CODES = ("OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
          "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss",
          "Unauthenticated")  # fmt: skip
_UNIMPLEMENTED, _DEADLINE = 12, 4


def check(address: str, action: Grpc, seconds: float, agent: str = PROBE) -> Answer:
    """Ask once and wait for the answer; `address` is the pod's."""
    return complete(asking(address, action, seconds, agent), seconds)


def asking(address: str, action: Grpc, seconds: float, agent: str = PROBE, make: Make = here) -> Steps:
    where = joined(address, action.port)
    try:
        sock = yield from dial(address, action.port, make)
    except DialFault as fault:
        if fault.late:
            return Answer(False, f'timeout: failed to connect service "{where}" within {seconds:g}s: context deadline exceeded')
        said = f'connection error: desc = "transport: Error while dialing: {fault.text}"'
        return Answer(False, f'error: failed to connect service at "{where}": {said}')
    try:
        return (yield from _check(Plain(sock), where, action, agent, seconds))
    except OutOfTime:
        return Answer(False, f"timeout: health rpc did not complete within {seconds:g}s")
    except Fault as fault:
        return _failed("Unavailable", fault.text)
    finally:
        sock.close()


def _check(stream: Plain, where: str, action: Grpc, agent: str, seconds: float) -> Steps:
    import h2.config
    import h2.connection
    import h2.exceptions

    talk = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    talk.initiate_connection()
    number = talk.get_next_available_stream_id()
    talk.send_headers(number, [
        (":method", "POST"), (":scheme", "http"), (":path", "/grpc.health.v1.Health/Check"), (":authority", where),
        ("content-type", "application/grpc"), ("user-agent", agent), ("te", "trailers"), ("grpc-timeout", f"{int(seconds * 1000)}m"),
    ])  # fmt: skip
    talk.send_data(number, _framed(action.service), end_stream=True)
    try:
        headers, data = yield from _answer(stream, talk, number)
    except (h2.exceptions.H2Error, UnicodeError, ValueError) as error:
        return _failed("Unavailable", f"connection error: {error}")
    return _judged(headers, data)


def _answer(stream: Plain, talk: Any, number: int) -> Generator[Wait, None, tuple[dict[str, str], bytes]]:
    """Headers and trailers together, and what came between."""
    import h2.events as events

    headers: dict[str, str] = {}
    data = b""
    while True:
        yield from stream.send(talk.data_to_send())
        piece = yield from stream.receive()
        if not piece:
            raise Fault("error reading from server: EOF")
        for event in talk.receive_data(piece):
            if isinstance(event, (events.ResponseReceived, events.TrailersReceived)):
                headers.update([(str(name), str(value)) for name, value in event.headers])
            elif isinstance(event, events.DataReceived):
                data += event.data
                talk.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, (events.StreamEnded, events.StreamReset)) and event.stream_id == number:
                return headers, data
            elif isinstance(event, events.ConnectionTerminated):
                raise Fault("error reading from server: the connection was ended")
        if len(data) > OUTPUT:
            raise Fault("the answer is too long")


def _judged(headers: dict[str, str], data: bytes) -> Answer:
    text = headers.get("grpc-status", "")
    if not text.isdecimal() or len(text) > 3:
        said = headers.get(":status", "none")
        return _failed("Unknown", f"unexpected HTTP status code received from server: {said}")
    code, message = int(text), unquote(headers.get("grpc-message", ""))[:1024]
    if code == _UNIMPLEMENTED:
        return Answer(False, f"error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {message}")
    if code == _DEADLINE:
        return Answer(False, f"timeout: health rpc did not complete: {message}")
    if code:
        return _failed(_CODES[code] if code < len(_CODES) else f"Code({code})", message)
    status = _status(data)
    if status != 1:
        return Answer(False, f'service unhealthy (responded with "{_STATUS.get(status, status)}")')
    return Answer(True, "service healthy")


def _failed(code: str, message: str) -> Answer:
    return Answer(False, f"error: health rpc probe failed: rpc error: code = {code} desc = {message}")


def _framed(service: str) -> bytes:
    """HealthCheckRequest{service = 1} with gRPC's five bytes before it."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _status(data: bytes) -> int:
    """HealthCheckResponse{status = 1}, 0 where it is not said; unknown fields are no business of ours."""
    message = data[5 : 5 + int.from_bytes(data[1:5], "big")]
    return message[1] if len(message) >= 2 and message[0] == 0x08 else 0
