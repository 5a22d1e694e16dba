"""VL4: quantities are exact, and printed as the server prints them."""

from __future__ import annotations

import pytest

from kubeplay.errors import InvalidInput
from kubeplay.kube import quantity


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("0.5", "500m"),
        ("1.5Gi", "1536Mi"),
        ("1000m", "1"),
        ("1024Mi", "1Gi"),
        ("0.1m", "100u"),
        ("500e-3", "500e-3"),
        ("129e6", "129e6"),
        (129e6, "129M"),
        (0.1, "100m"),
        (2, "2"),
        (None, "0"),
        ("-1", "-1"),
        ("0.5Ki", "512"),
        ("100k", "100k"),
        ("100000", "100k"),
        ("1500", "1500"),
        (".5", "500m"),
        ("5.", "5"),
        ("+1Ki", "1Ki"),
        ("12E", "12E"),
        ("1E3", "1e3"),
        ("1536Mi", "1536Mi"),
        ("0", "0"),
        ("999999999999999999999999999999", "999999999999999999999999999999"),
        ("16Ei", "9223372036854775807"),
        (".1n", "1n"),
        ("1023", "1023"),
    ],
)
def test_vl4_canonical(text: str | int | float | None, printed: str) -> None:
    assert quantity.parse(text).canonical() == printed


@pytest.mark.parametrize(
    "text", ["", "64mi", "1K", "1,5", "1e", "1 Mi", "1.2.3", "inf", "nan", "--1", "1Kib", "0x10", "1e99999", "9" * 600, True]
)
def test_vl4_refused(text: str | bool) -> None:
    with pytest.raises(InvalidInput):
        quantity.parse(text)


def test_vl4_rounds_up() -> None:
    assert quantity.parse("100n").milli() == 1
    assert quantity.parse("1001u").milli() == 2
    assert quantity.parse("-1001u").milli() == -2
    assert quantity.parse("1100m").value() == 2
    assert quantity.parse("0.1m").rounded_to_milli().canonical() == "1m"
    assert not quantity.parse("400m").whole()


def test_vl4_exact_where_a_float_is_not() -> None:
    assert quantity.parse("9007199254740993").value() == 9007199254740993
    assert quantity.parse("0.1").nanos * 3 == quantity.parse("0.3").nanos
    assert quantity.parse("1Gi").nanos == quantity.parse("1024Mi").nanos
