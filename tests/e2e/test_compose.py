"""A compose project in manifests, played: who waits, what runs first, names, what is published, files."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root

COMPOSE = """
name: shop
x-kubeplay: {{wait-image: "busybox:1"}}
services:
  web:
    image: busybox:1
    command: sh -c 'cat /run/secrets/key /app.ini /etc/page >/data/all; echo "$$GREETING $$PRICE" >>/data/all; exec httpd -f -p 80 -h /data'
    environment: {{PRICE: "$$5 $$(date)"}}
    env_file: web.env
    ports: ["127.0.0.1:{port}:80"]
    volumes: ["./page:/etc/page:ro", "data:/data"]
    secrets: [key]
    configs: [{{source: app, target: /app.ini}}]
    stop_grace_period: 1s
    depends_on:
      db: {{condition: service_healthy}}
      setup: {{condition: service_completed_successfully}}
  setup:
    image: busybox:1
    command: ["sh", "-c", "wget -qO /data/fetched http://database:8000/ready"]
    volumes: ["data:/data"]
    depends_on: {{db: {{condition: service_healthy}}}}
  db:
    image: busybox:1
    command: sh -c 'mkdir /www; sleep 2; echo yes >/www/ready; exec httpd -f -p 8000 -h /www'
    expose: ["8000"]
    stop_grace_period: 1s
    healthcheck: {{test: "test -e /www/ready", interval: 1s, timeout: 5s, retries: 1}}
    networks: {{default: {{aliases: [database]}}}}
volumes: {{data: }}
secrets: {{key: {{file: ./key}}}}
configs: {{app: {{content: "mode=fast\\n"}}}}
"""


def free_port() -> int:
    """A port below those that the kernel draws."""
    for port in range(21000, 25000):
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("compose"), image_archives) as found:
        yield found


def test_a_project_runs_as_its_file_says(machine: Machine, tmp_path: Path) -> None:
    port = free_port()
    files = {"compose.yaml": COMPOSE.format(port=port), "web.env": "GREETING='hello'\n", "page": "page\n", "key": "hush\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    made = machine("generate", "kube", "--from", "compose", "--show-secrets", str(tmp_path))
    assert "setup runs first, as an init container" in made.err
    machine.play(made.out, "--wait-ready", "--timeout", "200")
    pods = {pod["metadata"]["labels"]["app"]: pod for pod in json.loads(machine("get", "pods", "-o", "json").out)["items"]}
    assert [one["name"] for one in pods["web"]["status"]["initContainerStatuses"]] == ["wait-for-db", "setup"]
    text = machine.sh(pods["web"]["metadata"]["name"], "cat /data/all /data/fetched", "web")
    assert text.splitlines() == ["hush", "mode=fast", "page", "hello $5 $(date)", "yes"]
    machine.wait(lambda: b"mode=fast" in _fetched(port))
    assert machine("get", "svc", "database", "-o", "jsonpath={.spec.selector.app}").out == "db"


def _fetched(port: int) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"GET /all HTTP/1.0\r\n\r\n")
            parts = []
            while part := connection.recv(4096):
                parts.append(part)
            return b"".join(parts)
    except OSError:
        return b""
