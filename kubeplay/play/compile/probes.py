"""Probes, hooks and restart rules of a container as plan records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeplay.plan.probe import ExecAction, Grpc, Handler, HttpGet, Probe, RestartRule, Sleep, TcpSocket


def probe(item: Mapping[str, Any] | None) -> Probe | None:
    """A defaulted probe (PR1); None where there is none."""
    action = handler(item)
    if item is None or action is None:
        return None
    return Probe(
        action, item.get("initialDelaySeconds") or 0, item.get("timeoutSeconds") or 1, item.get("periodSeconds") or 10,
        item.get("successThreshold") or 1, item.get("failureThreshold") or 3, item.get("terminationGracePeriodSeconds"),
    )  # fmt: skip


def handler(item: Mapping[str, Any] | None) -> Handler | None:
    """What a probe or a hook does; None where it says nothing."""
    if not item:
        return None
    if item.get("exec") is not None:
        return ExecAction(tuple([word or "" for word in item["exec"].get("command") or []]))
    if item.get("httpGet") is not None:
        return _http(item["httpGet"])
    if item.get("tcpSocket") is not None:
        return TcpSocket(item["tcpSocket"]["port"], item["tcpSocket"].get("host") or "")
    if item.get("grpc") is not None:
        return Grpc(item["grpc"]["port"], item["grpc"].get("service") or "")
    if item.get("sleep") is not None:
        return Sleep(item["sleep"].get("seconds") or 0)
    return None


def _http(item: Mapping[str, Any]) -> HttpGet:
    headers = tuple([(h["name"], h.get("value") or "") for h in item.get("httpHeaders") or []])
    return HttpGet(item["port"], item.get("path") or "/", item.get("host") or "", item.get("scheme") or "HTTP", headers)


def restart_rules(item: Mapping[str, Any]) -> tuple[RestartRule, ...]:
    """RR1."""
    found = []
    for rule in item.get("restartPolicyRules") or []:
        codes = rule.get("exitCodes") or {}
        found.append(RestartRule(rule["action"], codes.get("operator") or "In", tuple(codes.get("values") or ())))
    return tuple(found)
