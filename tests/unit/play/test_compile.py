"""Manifests to plans, area by area."""

from __future__ import annotations

import pytest

from kubeplay.config import Settings
from kubeplay.plan import codec
from kubeplay.plan.container import Port, Resources
from kubeplay.plan.env import EnvField, EnvFrom, EnvKeyRef, EnvLiteral, EnvResource
from kubeplay.plan.pod import Attachment, Dns, HostAlias
from kubeplay.plan.security import AppArmor, Seccomp, SELinuxOptions
from kubeplay.plan.volumes import Claim, EmptyDir, HostPath, ImageVolume, KeyPath, ObjectFiles
from tests.support.manifests import container, pod

DEFAULT_PROFILES = Settings().seccomp_profile_root
ONE = "containers: [{name: c, image: 'i:1'}]"


def test_the_smallest_pod() -> None:
    plan = pod(ONE)
    assert (plan.namespace, plan.name, plan.restart_policy, plan.grace_seconds) == ("default", "p", "Always", 30)
    assert plan.sandbox.hostname == "p"
    assert plan.sandbox.attachments == (Attachment(""),)
    assert codec.loads(codec.dumps(plan)) == plan


def test_cm1_command_and_args() -> None:
    assert (container("").command, container("").args) == (None, None)
    made = container("command: [sh, -c], args: ['echo $(A)', '']")
    assert (made.command, made.args) == (("sh", "-c"), ("echo $(A)", ""))
    assert container("command: [], args: []").command is None


def test_en1_env_entries_keep_order_and_kind() -> None:
    made = container(
        "env: [{name: A, value: '$(B)'}, {name: B}, {name: C, valueFrom: {configMapKeyRef: {name: m, key: k, optional: true}}},"
        " {name: D, valueFrom: {secretKeyRef: {name: s, key: k}}}, {name: E, valueFrom: {fieldRef: {fieldPath: status.podIP}}},"
        " {name: F, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}, {name: G, value: '', valueFrom: {secretKeyRef: {name: s, key: k}}}],"  # noqa: E501
        " envFrom: [{prefix: P_, configMapRef: {name: m}}, {secretRef: {name: s, optional: true}}]"
    )
    assert made.env == (
        EnvLiteral("A", "$(B)"), EnvLiteral("B", ""), EnvKeyRef("C", "ConfigMap", "m", "k", True), EnvKeyRef("D", "Secret", "s", "k"),
        EnvField("E", "status.podIP"), EnvResource("F", "limits.cpu", "", "1m"), EnvKeyRef("G", "Secret", "s", "k"),
    )  # fmt: skip
    assert made.env_from == (EnvFrom("ConfigMap", "m", "P_"), EnvFrom("Secret", "s", "", True))


@pytest.mark.parametrize(
    ("image", "policy"), [("i", "Always"), ("i:latest", "Always"), ("i:1", "IfNotPresent"), ("i:latest@sha256:" + 64 * "a", "Always")]
)
def test_df2_pull_policy(image: str, policy: str) -> None:
    made = pod(f"containers: [{{name: c, image: '{image}'}}]").containers[0]
    assert (made.pull_policy, made.pull_policy_set) == (policy, False)


def test_df2_a_policy_that_differs_from_the_default_was_set() -> None:
    assert container("imagePullPolicy: Never").pull_policy_set
    assert container("imagePullPolicy: Never").pull_policy == "Never"


def test_pull_secrets_and_podmans_newer() -> None:
    plan = pod(f"imagePullSecrets: [{{name: a}}, {{name: ''}}, {{name: b}}], {ONE}")
    assert plan.pull_secrets == ("a", "b")
    newer = "name: p, annotations: {kubeplay.io/image-pull-policy: newer}"
    plan = pod("containers: [{name: c, image: 'i:1'}, {name: d, image: 'i:1', imagePullPolicy: Never}]", newer)
    assert [(c.pull_policy, c.pull_policy_set) for c in plan.containers] == [("Always", False), ("Never", True)]


def test_hp1_ports() -> None:
    made = container("ports: [{containerPort: 80, hostPort: 8080, hostIP: 127.0.0.1, name: web}, {containerPort: 53, protocol: UDP}]")
    assert made.ports == (Port(80, "TCP", "web", 8080, "127.0.0.1"), Port(53, "UDP"))


def test_hp1_no_mapping_for_host_network_and_init_containers() -> None:
    plan = pod("hostNetwork: true, containers: [{name: c, image: 'i:1', ports: [{containerPort: 80}]}]")
    assert plan.containers[0].ports == (Port(80),)
    plan = pod(f"initContainers: [{{name: a, image: 'i:1', ports: [{{containerPort: 80, hostPort: 80}}]}}], {ONE}")
    assert plan.containers[0].ports == (Port(80),)


def test_in1_init_containers_come_first() -> None:
    plan = pod(f"initContainers: [{{name: z, image: 'i:1'}}, {{name: a, image: 'i:1'}}], {ONE}")
    assert [(c.name, c.kind) for c in plan.containers] == [("z", "init"), ("a", "init"), ("c", "app")]


def test_rs1_resources() -> None:
    made = container("resources: {limits: {cpu: 1500m, memory: 64Mi}, requests: {cpu: 100n}}")
    assert made.resources == Resources(cpu_request=1, cpu_limit=1500, memory_request=64 << 20, memory_limit=64 << 20)
    assert container("").resources == Resources()


VOLUMES = [
    ("emptyDir: {medium: Memory, sizeLimit: 1.5Mi}", EmptyDir("Memory", 1572864)),
    ("emptyDir: null", EmptyDir()),
    ("hostPath: {path: /x, type: DirectoryOrCreate}", HostPath("/x", "DirectoryOrCreate")),
    (
        "configMap: {name: m, optional: true, defaultMode: 0400, items: [{key: a, path: b/c, mode: 0}, {key: d, path: e}]}",
        ObjectFiles("ConfigMap", "m", (KeyPath("a", "b/c", 0), KeyPath("d", "e")), 0o400, True),
    ),
    ("secret: {secretName: s}", ObjectFiles("Secret", "s")),
    ("persistentVolumeClaim: {claimName: c, readOnly: true}", Claim("c", True)),
    ("image: {reference: i}", ImageVolume("i", "Always", False)),
]


@pytest.mark.parametrize(("text", "source"), VOLUMES)
def test_vo1_vo12_volume_sources(text: str, source: object) -> None:
    (volume,) = pod(f"volumes: [{{name: v, {text}}}], {ONE}").volumes
    assert (volume.name, volume.source) == ("v", source)


def test_vo10_parents_are_mounted_before_what_is_in_them() -> None:
    made = container(
        "volumeMounts: [{name: v, mountPath: /a/b/c}, {name: v, mountPath: /a/}, {name: v, mountPath: rel}, {name: w, mountPath: /a/b, subPath: s}]",  # noqa: E501
        "volumes: [{name: v}, {name: w, secret: {secretName: s}}]",
    )
    assert [(m.path, m.read_only, m.sub_path) for m in made.mounts] == [
        ("/a/", False, ""), ("/rel", False, ""), ("/a/b", True, "s"), ("/a/b/c", False, ""),
    ]  # fmt: skip


def test_sc1_container_beats_pod() -> None:
    made = container(
        "securityContext: {runAsUser: 5, runAsNonRoot: false, seLinuxOptions: {level: s0}, capabilities: {add: [SYS_ADMIN, net_raw], drop: [all]}}",  # noqa: E501
        "securityContext: {runAsUser: 1, runAsGroup: 2, runAsNonRoot: true, fsGroup: 3, supplementalGroups: [4], supplementalGroupsPolicy: Strict,"  # noqa: E501
        " seLinuxOptions: {user: u}, appArmorProfile: {type: Unconfined}, seccompProfile: {type: Localhost, localhostProfile: p.json}}",
    ).security
    assert (made.run_as_user, made.run_as_group, made.run_as_non_root, made.fs_group) == (5, 2, False, 3)
    assert (made.supplemental_groups, made.supplemental_groups_policy) == ((4,), "Strict")
    assert made.selinux == SELinuxOptions(level="s0")
    assert (made.cap_add, made.cap_drop) == (("SYS_ADMIN", "NET_RAW"), ("ALL",))
    assert (made.apparmor, made.seccomp) == (AppArmor("Unconfined"), Seccomp("Localhost", "p.json"))


def test_sc4_sc5_privileges_and_seccomp() -> None:
    assert container("securityContext: {allowPrivilegeEscalation: false}").security.no_new_privileges
    assert not container("securityContext: {allowPrivilegeEscalation: true}").security.no_new_privileges
    assert container("").security.seccomp == Seccomp("RuntimeDefault")
    assert container("", seccomp_default=False).security.seccomp == Seccomp("Unconfined")
    assert container("securityContext: {privileged: true}").security.seccomp == Seccomp("Unconfined")
    local = "securityContext: {seccompProfile: {type: Localhost, localhostProfile: a/b.json}}"
    assert container(local, seccomp_profile_root="/prof/").security.seccomp == Seccomp("Localhost", "a/b.json", "/prof")
    assert container(local, seccomp_profile_root=DEFAULT_PROFILES).security.seccomp == Seccomp("Localhost", "a/b.json")


HOSTNAMES = [
    ("", "p"),
    ("hostname: web", "web"),
    ("hostnameOverride: db.example.com, subdomain: s", "db.example.com"),
    ("hostNetwork: true", "node1"),
]


@pytest.mark.parametrize(("spec", "name"), HOSTNAMES)
def test_dn3_hostname(spec: str, name: str) -> None:
    sandbox = pod(f"{spec}{', ' if spec else ''}{ONE}", node_name="node1").sandbox
    assert sandbox.hostname == name


def test_dn3_a_long_name_is_cut_and_its_edge_cleaned() -> None:
    long = "a" * 62 + "-b" + "c" * 20
    assert pod(ONE, f"name: {long}").sandbox.hostname == "a" * 62


def test_dn3_domain() -> None:
    assert pod(f"subdomain: s, setHostnameAsFQDN: true, {ONE}").sandbox.domain == "s.default.svc.cluster.local"
    assert pod(f"hostname: h, {ONE}").sandbox.domain == ""


@pytest.mark.parametrize(
    ("spec", "dns"),
    [
        ("", Dns()),
        ("hostNetwork: true", Dns("ClusterFirst")),
        ("hostNetwork: true, dnsPolicy: ClusterFirstWithHostNet", Dns("ClusterFirstWithHostNet")),
        ("dnsPolicy: Default", Dns("Default")),
        (
            "dnsPolicy: None, dnsConfig: {nameservers: [1.1.1.1], searches: [a.b], options: [{name: ndots, value: '2'}, {name: edns0}]}",
            Dns("None", ("1.1.1.1",), ("a.b",), (("ndots", "2"), ("edns0", ""))),
        ),
    ],
)
def test_dn1_dns(spec: str, dns: Dns) -> None:
    assert pod(f"{spec}{', ' if spec else ''}{ONE}").sandbox.dns == dns


def test_sandbox_flags() -> None:
    sandbox = pod(
        f"hostPID: true, hostIPC: true, hostAliases: [{{ip: 10.0.0.1, hostnames: [a, b]}}], enableServiceLinks: false,"
        f" securityContext: {{sysctls: [{{name: net.ipv4.tcp_syncookies, value: '1'}}]}}, {ONE}"
    ).sandbox
    assert (sandbox.host_pid, sandbox.host_ipc, sandbox.host_aliases) == (True, True, (HostAlias("10.0.0.1", ("a", "b")),))
    assert sandbox.sysctls == (("net.ipv4.tcp_syncookies", "1"),)
    assert pod(f"shareProcessNamespace: true, {ONE}").sandbox.share_pid


def test_te1_grace() -> None:
    assert pod(f"terminationGracePeriodSeconds: 0, {ONE}").grace_seconds == 0
    assert pod(f"terminationGracePeriodSeconds: -5, {ONE}").grace_seconds == 1


def test_podman_limits_reach_only_their_own_container() -> None:
    meta = "name: p, annotations: {io.podman.annotations.pids-limit/c: '100', io.podman.annotations.cpuset/c: 0-1, io.podman.annotations.memory-nodes/d: '0'}"  # noqa: E501
    first, second = pod("containers: [{name: c, image: 'i:1'}, {name: d, image: 'i:1'}]", meta).containers
    assert (first.pids_limit, first.cpuset, first.mems) == (100, "0-1", "")
    assert (second.pids_limit, second.cpuset, second.mems) == (0, "", "0")


def test_termination_message_and_tty() -> None:
    made = container("tty: true, stdin: true, stdinOnce: true, terminationMessagePath: /t, terminationMessagePolicy: FallbackToLogsOnError, workingDir: /w")  # noqa: E501
    assert (made.tty, made.stdin, made.stdin_once, made.termination_path, made.termination_policy, made.working_dir) == (
        True, True, True, "/t", "FallbackToLogsOnError", "/w",
    )  # fmt: skip
