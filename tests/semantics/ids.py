"""The rules of a kubelet and of the API that one machine can honour, each by its id, and which tests hold them.

A test bears an id in its name (`test_pr4_...`, `..._in7`) or in its docstring (`PR4`). docs/semantics.md is written from here
(docs/generate_semantics.py), and test_coverage.py asks that every id has a test or a reason.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
_KINDS = "ph|co|cs|rb|rr|in|pr|lh|te|ad|tm|en|cm|da|vo|pv|sc|rs|dn|de|rp|st|ds|jo|cj|sv|ep|ig|np|lr"
_IN_NAME = re.compile(rf"(?:^test_|_)((?:{_KINDS})\d+)(?=_|$)")
_IN_TEXT = re.compile(rf"\b((?:{_KINDS.upper()})\d+)\b")

SECTIONS: dict[str, dict[str, str]] = {
    "1 Phase and conditions": {
        "PH1": "the phase, from the containers, in the kubelet's order",
        "PH2": "a container in back-off keeps the pod Running",
        "PH3": "Succeeded and Failed are final",
        "CO1": "the kubelet's conditions; others are kept",
        "CO2": "Initialized",
        "CO3": "reasons of Ready and ContainersReady",
        "CO4": "readiness gates",
        "CO5": "times, addresses, class, generation",
        "CO6": "when a sandbox is made anew",
    },
    "2 Container states": {
        "CS1": "one state at a time, and the last termination",
        "CS2": "what a new container waits for",
        "CS3": "reasons of a failed start",
        "CS4": "bad configuration and failed creation",
        "CS5": "missing ConfigMap or Secret of a volume",
        "CS6": "a failed restart hides the end",
        "CS7": "reasons of an end",
        "CS8": "restartCount and the last two instances",
        "CS9": "started and ready",
        "CS10": "events",
        "CS11": "messages of images",
        "CS12": "log files, their lines and their rotation",
    },
    "3 Restart and back-off": {
        "RB1": "delays of crash back-off",
        "RB2": "ten good minutes reset it",
        "RB3": "its key and its message",
        "RB4": "pull back-off",
        "RB5": "the pace of retries",
        "RB6": "restart policies",
        "RB7": "a changed container is replaced; when nothing is left to run",
        "RB8": "each container backs off alone",
        "RB9": "a supervisor that was lost",
        "RR1": "policies and rules of a container",
        "RR2": "RestartAllContainers",
    },
    "4 Init containers and sidecars": {
        "IN1": "one after the other",
        "IN2": "what they may have",
        "IN3": "sidecars start in their place and stay",
        "IN4": "the order of ending",
        "IN5": "sidecars never decide the phase",
        "IN6": "what a pod requests in all",
        "IN7": "a new sandbox runs them again",
    },
    "5 Probes": {
        "PR1": "defaults",
        "PR2": "when probes run",
        "PR3": "initial delay, and what waits for startup",
        "PR4": "consecutive results",
        "PR5": "internal errors",
        "PR6": "exec",
        "PR7": "httpGet",
        "PR8": "tcpSocket",
        "PR9": "grpc",
        "PR10": "what failure does",
        "PR11": "probed from outside",
        "PR12": "names of ports",
        "PR13": "messages",
    },
    "6 Hooks": {
        "LH1": "postStart",
        "LH2": "preStop",
        "LH3": "handlers of hooks",
        "LH4": "which stop signal",
    },
    "7 Termination and deadlines": {
        "TE1": "deletion and its grace",
        "TE2": "how a container is stopped",
        "TE3": "whose grace",
        "TE4": "the order of clearing away",
        "TE5": "force",
        "TE6": "propagation to what is owned",
        "AD1": "activeDeadlineSeconds",
        "TM1": "termination messages",
        "TM2": "messages from the log",
    },
    "8 Variables, command, arguments": {
        "EN1": "the order of variables",
        "EN2": "$(NAME) in values",
        "EN3": "$(NAME) in command, args and subPathExpr",
        "EN4": "names and sources",
        "EN5": "missing references; files of variables",
        "EN6": "fixed at creation",
        "CM1": "ENTRYPOINT and CMD",
        "CM2": "working directory, stdin",
    },
    "9 Downward API": {
        "DA1": "fields as variables",
        "DA2": "fields as files",
        "DA3": "resources",
        "DA4": "files follow changes",
    },
    "10 Volumes": {
        "VO1": "no source is emptyDir",
        "VO2": "modes, and which lie in memory",
        "VO3": "items and optional objects",
        "VO4": "atomic writes",
        "VO5": "live updates",
        "VO6": "projected sources",
        "VO7": "emptyDir",
        "VO8": "hostPath",
        "VO9": "subPath",
        "VO10": "mount paths",
        "VO11": "propagation and recursive read-only",
        "VO12": "image volumes",
        "VO13": "fsGroup",
        "VO14": "generic ephemeral volumes",
        "PV1": "binding",
        "PV2": "storage classes",
        "PV3": "protection, growth, access modes",
        "PV4": "the local provisioner",
    },
    "11 Security": {
        "SC1": "container before pod",
        "SC2": "users and groups",
        "SC3": "runAsNonRoot",
        "SC4": "privilege escalation",
        "SC5": "seccomp, AppArmor",
        "SC6": "capabilities",
        "SC7": "procMount",
        "SC8": "sysctls",
        "SC9": "namespaces",
        "SC10": "the same rules for all containers",
        "SC11": "read-only root file systems",
    },
    "12 Resources": {
        "RS1": "requests from limits",
        "RS2": "shares, quota, memory",
        "RS3": "weight of cgroup v2",
        "RS4": "the pod's cgroup",
        "RS5": "QoS class",
        "RS6": "oom_score_adj",
        "RS7": "out of memory, swap, huge pages, pids",
        "RS8": "ephemeral storage; in-place resize",
    },
    "13 Names": {
        "DN1": "dnsPolicy",
        "DN2": "dnsConfig",
        "DN3": "hostname",
        "DN4": "/etc/hosts",
        "DN5": "records of Services",
        "DN6": "records of pods",
    },
    "14 Deployment, ReplicaSet": {
        "DE1": "surge, unavailable and the other defaults",
        "DE2": "names and the hash of the template",
        "DE3": "steps of a rollout, Recreate, rollback",
        "DE4": "revisions, marks, history; what is available",
        "DE5": "status, conditions, progress deadline",
        "DE6": "paused; scaling in proportion",
        "RP1": "which pods go first; adoption; ended pods",
        "RP2": "owners, cascades, slow start",
    },
    "15 StatefulSet, DaemonSet": {
        "ST1": "names, hosts and claims of a StatefulSet's pods; what is kept",
        "ST2": "their order, Parallel, ended pods",
        "ST3": "updates from the highest down, partition, OnDelete, revisions",
        "DS1": "one pod; updates with and without a surge; the back-off of failed ones",
    },
    "16 Job, CronJob": {
        "JO1": "how many pods, until when",
        "JO2": "labels, selector, names, indexes",
        "JO3": "when a Job has failed; deadlines",
        "JO4": "delays before a failed pod is replaced; limits of an index",
        "JO5": "policies of failure and success",
        "JO6": "time to live, suspension, status",
        "CJ1": "schedules, time zones, names",
        "CJ2": "concurrency, missed runs, history",
    },
    "17 Service, Ingress, NetworkPolicy": {
        "SV1": "types, ports, defaults; what may change",
        "SV2": "addresses and node ports",
        "SV3": "balancing, session affinity, refusals, hairpin",
        "SV4": "variables of Services",
        "EP1": "EndpointSlices of pods",
        "EP2": "users' own endpoints",
        "IG1": "hosts, paths, certificates of an Ingress",
        "NP1": "who may speak to whom",
    },
    "19 One machine": {
        "LR1": "the scheduler's verdict",
        "LR2": "hostIP and capacity",
        "LR3": "what the host cannot honour",
        "LR4": "an ordinary user",
        "LR5": "what survives",
        "LR6": "one clock",
    },
}

# id -> why nothing tests it here
NOT_HERE: dict[str, str] = {
}


def ids() -> list[str]:
    return [found for section in SECTIONS.values() for found in section]


@cache
def tests() -> dict[str, tuple[str, ...]]:
    """id -> the tests that bear it, as `file::test`, relative to tests/."""
    found: dict[str, set[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for one in _borne(node):
                    found.setdefault(one, set()).add(f"{path.relative_to(TESTS)}::{node.name}")
    return {one: tuple(sorted(names)) for one, names in found.items()}


def _borne(node: ast.FunctionDef) -> set[str]:
    named = {one.upper() for one in _IN_NAME.findall(node.name)}
    return named | set(_IN_TEXT.findall(ast.get_docstring(node) or ""))
