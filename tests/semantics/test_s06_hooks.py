"""LH1-LH4: what a hook's failure says, and in virtual time what a container's status shows around its postStart hook."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from kubeplay.engine import exec as execs
from kubeplay.engine.container import signal_number
from kubeplay.engine.host.processes import Result
from kubeplay.engine.store.runtime import ContainerRow, PodRow
from kubeplay.kube.status import ContainerView, Instance, PodView, pod_status
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.probe import ExecAction, Handler, HttpGet, Sleep, TcpSocket
from kubeplay.reconcile import hooks
from kubeplay.reconcile.decide import decide
from kubeplay.reconcile.handlers import http
from kubeplay.reconcile.handlers.steps import Answer
from kubeplay.reconcile.model import Begin, Observed, Seen
from tests.support.simulator import pod

ROW = ContainerRow("id", "uid-1", "s", "main", "app", 0, "running", "boot", 0, 0, "i", "", 0.0)
SEEN = SimpleNamespace(addresses=("10.88.0.2",), host_ip="192.0.2.2", plan=pod(ContainerPlan("main", "i")))
FOUND: Any = SimpleNamespace(row=PodRow("uid-1", "default", "p", "", "run", True, None, 0, False), seen=SEEN)
WHERE = 'for Container "main" in Pod "p_default(uid-1)" failed - error: '


def failure(handler: Handler) -> str:
    plan = ContainerPlan("main", "i", pre_stop=handler)
    engine: Any = SimpleNamespace(net=SimpleNamespace(socket=None))
    with pytest.raises(hooks.HookFailed) as caught:
        hooks.pre_stop(engine, FOUND, ROW, plan, 5)
    return str(caught.value)


def test_lh3_a_command_that_fails_as_record_204_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execs, "capture", lambda *_: Result(1, b"", b""))
    assert failure(ExecAction(("false",))) == f"Exec lifecycle hook ([false]) {WHERE}command 'false' exited with 1: , message: \"\""


def test_lh3_what_it_said_is_part_of_it_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execs, "capture", lambda *_: Result(3, b'out"\n', b"x" * 50_000))
    text = failure(ExecAction(("sh", "-c", "exit 3")))
    assert text.startswith(f"Exec lifecycle hook ([sh -c exit 3]) {WHERE}command 'sh -c exit 3' exited with 3: xxx")
    assert '"out\\"\\nxxx' in text and len(text) < 25_000


def test_lh3_an_exec_hook_has_no_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    monkeypatch.setattr(execs, "capture", lambda _e, _r, _a, seconds: given.append(seconds) or Result(0, b"", b""))
    hooks.pre_stop(SimpleNamespace(), FOUND, ROW, ContainerPlan("main", "i", pre_stop=ExecAction(("true",))), 5)  # type: ignore[arg-type]
    assert given[0] > 86400


def test_lh3_of_a_get_only_no_answer_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def get(*given: Any, **named: Any) -> Answer:
        asked.append((given, named))
        return Answer(False, "connection refused")

    monkeypatch.setattr(http, "get", get)
    assert failure(HttpGet(80, "/bye")) == f"HTTP lifecycle hook (/bye) {WHERE}connection refused"
    (address, _, _, seconds, agent), named = asked[0]
    assert (address, seconds, agent, named["status_counts"]) == ("10.88.0.2", 5, "kube-lifecycle/1.36", False)


def test_lh3_a_socket_is_no_hook() -> None:
    assert "invalid handler" in failure(TcpSocket(80))


def test_lh3_a_sleep_ends_with_its_container() -> None:
    # ROW's process is none: the container has ended
    hooks.pre_stop(SimpleNamespace(), FOUND, ROW, ContainerPlan("main", "i", pre_stop=Sleep(100_000)), 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "number"), [
    ("SIGUSR1", 10), ("USR1", 10), ("15", 15), ("RTMIN+3", 37), ("SIGRTMAX", 64), ("nonsense", 15), ("", 15), ("SIG_DFL", 15), ("99", 15),
])  # fmt: skip
def test_lh4_the_stop_signal_by_name_or_number(text: str, number: int) -> None:
    assert signal_number(text) == number


def _seen(state: str) -> Observed:
    plan = ContainerPlan("main", "i", post_start=Sleep(5))
    one = Seen(plan, Instance("a0", 0, state), here=True)
    return Observed("uid-1", pod(plan), "run", sandbox="s", sandbox_ready=True, containers=(one,), initialized=True)


def test_lh1_a_start_whose_hook_was_cut_off_is_gone_on_with() -> None:
    # observe() shows an instance that runs as created until its hook is through
    assert decide(_seen("created"), 0.0).actions == (Begin("main"),)
    assert decide(_seen("running"), 0.0).actions == ()


def test_lh1_until_the_hook_is_through_the_container_waits() -> None:
    plan = ContainerPlan("main", "i", post_start=Sleep(5))
    status = pod_status(PodView(pod(plan), 0.0, (ContainerView(plan, Instance("a0", 0, "created")),), sandbox_ready=True), 1.0)
    main = status["containerStatuses"][0]
    assert status["phase"] == "Pending" and main["state"] == {"waiting": {"reason": "ContainerCreating"}} and main["started"] is False


def test_lh1_a_failed_hook_is_why_the_container_waits() -> None:
    plan = ContainerPlan("main", "i", post_start=Sleep(5))
    ended = Instance("a0", 0, "exited", started=1.0, finished=2.0, exit_code=137)
    status = pod_status(
        PodView(pod(plan), 0.0, (ContainerView(plan, ended, None, hooks.POST_START_ERROR, "why"),), True, initialized=True), 3.0
    )
    main = status["containerStatuses"][0]
    assert main["state"]["waiting"]["reason"] == "PostStartHookError" and main["lastState"]["terminated"]["exitCode"] == 137
    assert json.dumps(status).count("why") == 1
