"""Many handlers in one thread: whose time is over, how many programs start and run at once, descriptors whose numbers come again."""

from __future__ import annotations

import os
import time

import pytest

from kubeplay.reconcile.handlers.steps import POLLIN, Answer, OutOfTime, Steps, Wait
from kubeplay.supervisor import tasks
from kubeplay.supervisor.tasks import Task, Tasks


@pytest.fixture
def many() -> Tasks:
    return Tasks(os.eventfd(0, os.EFD_CLOEXEC))


def run(many: Tasks, count: int, answers: list[Answer], seconds: float = 100) -> None:
    """Turn until there are that many answers."""
    deadline = time.monotonic() + seconds
    while len(answers) < count:
        assert time.monotonic() < deadline
        many.turn(time.monotonic() + 0.5)


def reading(fd: int) -> Steps:
    while True:
        yield Wait(((fd, POLLIN),))
        return Answer(True, os.read(fd, 100).decode())


def test_hundreds_wait_side_by_side(many: Tasks) -> None:
    pipes = [os.pipe() for _ in range(200)]
    answers: list[Answer] = []
    for read, _ in pipes:
        many.add(Task(lambda read=read: reading(read), 100, False, answers.append))  # type: ignore[misc]
    many.turn(time.monotonic())
    assert len(many.running) == 200 and not answers
    for number, (_, write) in enumerate(pipes):
        os.write(write, str(number).encode())
    run(many, 200, answers)
    assert sorted(int(answer.text) for answer in answers) == list(range(200)) and not many.running
    for pair in pipes:
        os.close(pair[0])
        os.close(pair[1])


def test_time_is_counted_from_the_start_and_a_handler_says_what_became_of_it(many: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    def late() -> Steps:
        try:
            yield Wait()
        except OutOfTime:
            return Answer(False, "too late")
        raise AssertionError

    def stuck() -> Steps:
        while True:
            try:
                yield Wait()
            except OutOfTime:
                continue

    answers: list[Answer] = []
    many.add(Task(late, 0.05, False, answers.append))
    run(many, 1, answers)
    assert answers == [Answer(False, "too late")]
    monkeypatch.setattr(tasks, "CLEANING", 0.05)
    many.add(Task(stuck, 0.05, False, answers.append))
    run(many, 2, answers)
    assert answers[1].errored and not many.running


def test_a_handlers_own_fault_is_an_answer(many: Tasks) -> None:
    def broken() -> Steps:
        yield Wait(seconds=0.0)
        raise ValueError("why")

    answers: list[Answer] = []
    many.add(Task(broken, 100, False, answers.append))
    run(many, 1, answers)
    assert answers == [Answer(False, "ValueError: why", errored=True)]


def test_programs_start_few_at_a_time_and_others_do_not_wait_for_them(many: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "STARTING", 2)
    monkeypatch.setattr(tasks, "RUNNING", 3)
    monkeypatch.setattr(tasks, "FRESH", 0.05)
    begun: list[int] = []
    ends = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_SEMAPHORE)

    def program(number: int) -> Steps:
        begun.append(number)
        while not _ready(ends):
            yield Wait(seconds=0.01)
        os.eventfd_read(ends)
        return Answer(True)

    answers: list[Answer] = []
    for number in range(5):
        many.add(Task(lambda number=number: program(number), 100, True, answers.append))  # type: ignore[misc]
    light: list[Answer] = []
    many.add(Task(lambda: reading(_full()), 100, False, light.append))
    many.turn(time.monotonic())
    assert begun == [0, 1]  # the third waits until these have started
    run(many, 1, light)
    deadline = time.monotonic() + 100
    while len(begun) < 3:
        assert time.monotonic() < deadline
        many.turn(time.monotonic() + 0.01)
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        many.turn(time.monotonic() + 0.01)
    assert begun == [0, 1, 2]  # three run at once
    for _ in range(5):
        os.eventfd_write(ends, 1)
    run(many, 5, answers)
    assert sorted(begun) == [0, 1, 2, 3, 4]
    os.close(ends)


def _ready(fd: int) -> bool:
    import select

    return bool(select.select((fd,), (), (), 0)[0])


def _full() -> int:
    read, write = os.pipe()
    os.write(write, b"x")
    os.close(write)
    return read


def test_a_dropped_task_leaves_nothing(many: Tasks) -> None:
    closed: list[bool] = []

    def waiting() -> Steps:
        try:
            yield Wait()
        finally:
            closed.append(True)
        return Answer(True)

    running, queued = Task(waiting, 100, False, print), Task(waiting, 100, False, print)
    many.add(running)
    many.turn(time.monotonic())
    many.add(queued)
    many.drop(running)
    many.drop(queued)
    assert closed == [True] and not many.running and not many.queue and not many.owners
