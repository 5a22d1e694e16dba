"""The Pod Security Standards: each control with what it takes and what it does not."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.kube.portable import pss
from kubeplay.kube.portable.model import ERROR, Finding, text

GOOD = """
securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
containers: [{name: a, image: x, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]
"""


def pod(spec: dict[str, Any], **meta: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", **meta}, "spec": spec}


def good() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(GOOD)
    return found


def said(found: list[Finding]) -> list[str]:
    return [f"{one.rule} {text(one.path)}" for one in found]


def changed(lines: str) -> dict[str, Any]:
    """The good pod with fields of the pod, or (`c:`) of its container, over its own."""
    spec, more = good(), yaml.safe_load(lines) or {}
    own = more.pop("c", {})
    context = {**spec["containers"][0]["securityContext"], **own.pop("securityContext", {})}
    spec["securityContext"] = {**spec["securityContext"], **more.pop("securityContext", {})}
    spec["containers"][0] |= {**own, "securityContext": context}
    return pod({**spec, **more})


@pytest.mark.parametrize("standard", pss.STANDARDS)
def test_a_restricted_pod_meets_every_standard(standard: str) -> None:
    assert pss.findings(pod(good()), standard) == []


def test_a_plain_pod_is_baseline() -> None:
    plain = pod({"containers": [{"name": "a", "image": "x"}]})
    assert pss.findings(plain, pss.BASELINE) == []
    rules = ("privilege-escalation", "run-as-non-root", "seccomp", "capabilities")
    assert [one.rule for one in pss.findings(plain)] == [f"pss-restricted-{rule}" for rule in rules]
    assert [one.why.removeprefix("Pod Security restricted: ") for one in pss.findings(plain)] == [
        'container "a" must set securityContext.allowPrivilegeEscalation=false',
        'container "a" or its pod must set securityContext.runAsNonRoot=true',
        'container "a" or its pod must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"',
        'container "a" must set securityContext.capabilities.drop=["ALL"]',
    ]
    assert pss.worst(pss.findings(plain)) == pss.BASELINE


C = "spec.containers[0]"
S = f"{C}.securityContext"
# What breaks baseline, and where.
BASELINE = {
    "hostNetwork: true": "pss-baseline-host-namespaces spec.hostNetwork",
    "hostPID: true": "pss-baseline-host-namespaces spec.hostPID",
    "hostIPC: true": "pss-baseline-host-namespaces spec.hostIPC",
    "c: {securityContext: {privileged: true}}": f"pss-baseline-privileged {S}.privileged",
    "c: {securityContext: {capabilities: {drop: [ALL], add: [SYS_ADMIN]}}}": f"pss-baseline-capabilities {S}.capabilities.add[0]",
    "c: {securityContext: {capabilities: {drop: [ALL], add: [CAP_CHOWN]}}}": f"pss-baseline-capabilities {S}.capabilities.add[0]",
    "c: {ports: [{containerPort: 80, hostPort: 80}]}": f"pss-baseline-host-ports {C}.ports[0].hostPort",
    "c: {livenessProbe: {httpGet: {host: 127.0.0.1, port: 80}}}": f"pss-baseline-host-probes {C}.livenessProbe.httpGet.host",
    "c: {lifecycle: {preStop: {tcpSocket: {host: h, port: 80}}}}": f"pss-baseline-host-probes {C}.lifecycle.preStop.tcpSocket.host",
    "securityContext: {appArmorProfile: {type: Unconfined}}": "pss-baseline-apparmor spec.securityContext.appArmorProfile.type",
    "securityContext: {seLinuxOptions: {type: spc_t}}": "pss-baseline-selinux spec.securityContext.seLinuxOptions.type",
    "c: {securityContext: {seLinuxOptions: {user: root}}}": f"pss-baseline-selinux {S}.seLinuxOptions.user",
    "securityContext: {seLinuxOptions: {role: r}}": "pss-baseline-selinux spec.securityContext.seLinuxOptions.role",
    "c: {securityContext: {procMount: Unmasked}}": f"pss-baseline-proc-mount {S}.procMount",
    "c: {securityContext: {seccompProfile: {type: Unconfined}}}": f"pss-baseline-seccomp {S}.seccompProfile.type",
    "securityContext: {sysctls: [{name: kernel.msgmax, value: '1'}]}": "pss-baseline-sysctls spec.securityContext.sysctls[0]",
    "securityContext: {windowsOptions: {hostProcess: true}}": "pss-baseline-host-process spec.securityContext.windowsOptions.hostProcess",
}


@pytest.mark.parametrize("lines", BASELINE)
def test_baseline(lines: str) -> None:
    found = pss.findings(changed(lines), pss.BASELINE, ERROR)
    assert said(found) == [BASELINE[lines]] and found[0].level == ERROR
    assert BASELINE[lines] in said(pss.findings(changed(lines))) and pss.worst(found) == pss.PRIVILEGED


def test_host_paths_break_both() -> None:
    found = pss.findings(changed("volumes: [{name: v, hostPath: {path: /}}, {name: e, emptyDir: {}}]"))
    assert said(found) == ["pss-baseline-host-path spec.volumes[0].hostPath", "pss-restricted-volume-types spec.volumes[0].hostPath"]


RESTRICTED = {
    "volumes: [{name: v, nfs: {server: s, path: /}}]": "pss-restricted-volume-types spec.volumes[0].nfs",
    "c: {securityContext: {allowPrivilegeEscalation: true}}": f"pss-restricted-privilege-escalation {S}.allowPrivilegeEscalation",
    "securityContext: {runAsNonRoot: false}": f"pss-restricted-run-as-non-root {S}.runAsNonRoot",
    "c: {securityContext: {runAsNonRoot: false}}": f"pss-restricted-run-as-non-root {S}.runAsNonRoot",
    "securityContext: {runAsUser: 0}": "pss-restricted-run-as-user spec.securityContext.runAsUser",
    "c: {securityContext: {runAsUser: 0}}": f"pss-restricted-run-as-user {S}.runAsUser",
    "securityContext: {seccompProfile: null}": f"pss-restricted-seccomp {S}.seccompProfile",
    "c: {securityContext: {capabilities: {drop: [CHOWN]}}}": f"pss-restricted-capabilities {S}.capabilities.drop",
    "c: {securityContext: {capabilities: {drop: [ALL], add: [CHOWN]}}}": f"pss-restricted-capabilities {S}.capabilities.add[0]",
}


@pytest.mark.parametrize("lines", RESTRICTED)
def test_restricted(lines: str) -> None:
    assert pss.findings(changed(lines), pss.BASELINE) == []
    assert said(pss.findings(changed(lines))) == [RESTRICTED[lines]]


@pytest.mark.parametrize(
    "lines",
    [
        "c: {securityContext: {capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}}",
        "c: {securityContext: {seccompProfile: {type: Localhost, localhostProfile: p.json}}}",
        "securityContext: {sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: '0'}]}",
        "securityContext: {seLinuxOptions: {type: container_t, level: 's0:c1,c2'}}",
        "securityContext: {runAsNonRoot: null}\nc: {securityContext: {runAsNonRoot: true}}",
        "securityContext: {appArmorProfile: {type: RuntimeDefault}}",
        "volumes: [{name: a, projected: {}}, {name: b, ephemeral: {}}, {name: c, csi: {driver: d}}, {name: d, persistentVolumeClaim: {}}]",
        "c: {livenessProbe: {httpGet: {port: 80}}}",
        "c: {ports: [{containerPort: 80, hostPort: 0}]}",
    ],
)
def test_what_restricted_takes(lines: str) -> None:
    assert pss.findings(changed(lines)) == []


def test_every_container_of_a_template() -> None:
    spec = good()
    bad = {"name": "b", "image": "x", "securityContext": {"privileged": True}}
    spec |= {"initContainers": [bad], "ephemeralContainers": [{**bad, "name": "c"}]}
    cron = {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}}
    at = "spec.jobTemplate.spec.template.spec"
    assert said(pss.findings(cron, pss.BASELINE)) == [
        f"pss-baseline-privileged {at}.initContainers[0].securityContext.privileged",
        f"pss-baseline-privileged {at}.ephemeralContainers[0].securityContext.privileged",
    ]


def test_apparmor_of_old_annotations() -> None:
    key = "container.apparmor.security.beta.kubernetes.io/a"
    assert said(pss.findings(pod(good(), annotations={key: "unconfined"}))) == [f"pss-baseline-apparmor metadata.annotations[{key}]"]
    for fine in ("runtime/default", "localhost/x", ""):
        assert pss.findings(pod(good(), annotations={key: fine})) == []


def test_windows_pods_need_nothing_that_windows_lacks() -> None:
    spec = {"os": {"name": "windows"}, "securityContext": {"runAsNonRoot": True}, "containers": [{"name": "a", "image": "x"}]}
    assert pss.findings(pod(spec)) == []


def test_what_makes_no_pods() -> None:
    assert pss.findings({"kind": "ConfigMap", "data": {}}) == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(("securityContext", "containers", "volumes", "ports", "capabilities", "add", "drop", "type")), inner),
    max_leaves=20,
)


@given(VALUES)
def test_any_shape_may_be_asked_for(value: Any) -> None:
    pss.findings({"kind": "Pod", "metadata": value, "spec": value} if isinstance(value, dict) else {"kind": "Pod", "spec": value})
