"""A Record is a NamedTuple in everything we use of one."""

from __future__ import annotations

import pickle
from typing import NamedTuple

import pytest

from kubeplay.record import Record


class Slow(NamedTuple):
    """Text."""

    a: int
    b: str = "x"
    c: tuple[int, ...] = ()

    @property
    def twice(self) -> int:
        return self.a * 2

    def more(self, by: int) -> int:
        return self.a + by


class Fast(Record):
    """Text."""

    a: int
    b: str = "x"
    c: tuple[int, ...] = ()

    @property
    def twice(self) -> int:
        return self.a * 2

    def more(self, by: int) -> int:
        return self.a + by


def test_construction_in_every_way() -> None:
    for cls in (Slow, Fast):
        assert tuple(cls(1)) == (1, "x", ())
        assert tuple(cls(1, "y", (2,))) == (1, "y", (2,))
        assert tuple(cls(c=(3,), a=1)) == (1, "x", (3,))
        assert tuple(cls._make([1, "z", ()])) == (1, "z", ())


@pytest.mark.parametrize("cls", [Slow, Fast])
def test_wrong_construction(cls: type[Slow]) -> None:
    for call in (lambda: cls(), lambda: cls(1, "x", (), 4), lambda: cls(1, d=2), lambda: cls(1, a=2), lambda: cls._make([1])):  # type: ignore[call-arg, misc]
        with pytest.raises(TypeError):
            call()


def test_the_rest_of_the_interface() -> None:
    slow, fast = Slow(1, c=(2,)), Fast(1, c=(2,))
    assert repr(slow).replace("Slow", "Fast") == repr(fast)
    assert (slow.twice, slow.more(3), slow._asdict(), slow._fields) == (fast.twice, fast.more(3), fast._asdict(), fast._fields)
    assert tuple(fast._replace(b="q")) == (1, "q", (2,)) and fast.b == "x"
    assert Slow.__doc__ == Fast.__doc__ and Slow._field_defaults == Fast._field_defaults
    assert Fast.__match_args__ == Slow.__match_args__ and issubclass(Fast, tuple)
    assert hash(fast) == hash(tuple(fast)) and fast == Fast(1, c=(2,)) and fast != Fast(2)
    assert pickle.loads(pickle.dumps(fast)) == fast
    with pytest.raises(ValueError, match="no field"):
        fast._replace(z=1)  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        fast.a = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        fast.new = 2  # type: ignore[attr-defined]
