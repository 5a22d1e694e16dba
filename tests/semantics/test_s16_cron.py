"""Section 16, schedules (CJ1): robfig/cron's grammar and arithmetic."""

from __future__ import annotations

import calendar
import time

import pytest

from kubeplay.kube import cron, duration, zones


def at(text: str) -> int:
    return calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


def following(schedule: str, after: str, zone: str = "UTC", count: int = 1) -> list[str]:
    place = zones.zone(zone)
    assert place is not None
    found, now = [], float(at(after))
    for _ in range(count):
        when = cron.following(cron.parse(schedule), now, place)
        found.append("never" if when is None else zones.stamp(when, place))
        now = float(when or now)
    return found


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        ("*/15 * * * *", "2026-01-01T00:15:00Z"),
        ("5/15 * * * *", "2026-01-01T00:05:00Z"),
        ("1,,3 * * * *", "2026-01-01T00:01:00Z"),
        ("  0  0   *\t* *  ", "2026-01-02T00:00:00Z"),
        ("0 0 ? * ?", "2026-01-02T00:00:00Z"),
        ("30 9 * * MON-Fri", "2026-01-01T09:30:00Z"),
        ("0 0 * Feb *", "2026-02-01T00:00:00Z"),
        ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
        ("0 0 30 2 *", "never"),
        (", * * * *", "never"),
        ("0 0 13 * 5", "2026-01-02T00:00:00Z"),
        ("0 0 13 * */2", "2026-01-03T00:00:00Z"),
        ("0 0 13 * *", "2026-01-13T00:00:00Z"),
        ("*-7 * * * *", "2026-01-01T00:01:00Z"),
        ("+5 007 * * *", "2026-01-01T07:05:00Z"),
        ("@hourly", "2026-01-01T01:00:00Z"),
        ("@daily", "2026-01-02T00:00:00Z"),
        ("@midnight", "2026-01-02T00:00:00Z"),
        ("@weekly", "2026-01-04T00:00:00Z"),
        ("@monthly", "2026-02-01T00:00:00Z"),
        ("@annually", "2027-01-01T00:00:00Z"),
        ("@every 1h30m", "2026-01-01T01:30:00Z"),
        ("@every 1.5h", "2026-01-01T01:30:00Z"),
        ("@every -5m", "2026-01-01T00:00:01Z"),
        ("@every 100ms", "2026-01-01T00:00:01Z"),
        ("@every 90500ms", "2026-01-01T00:01:30Z"),
    ],
)
def test_cj1_schedules(schedule: str, wanted: str) -> None:
    assert following(schedule, "2026-01-01 00:00:00") == [wanted]


def test_cj1_a_time_is_later_than_the_one_asked_about() -> None:
    assert following("0 * * * *", "2026-01-01 00:00:00") == ["2026-01-01T01:00:00Z"]
    assert following("0 * * * *", "2025-12-31 23:59:59") == ["2026-01-01T00:00:00Z"]
    assert cron.following(cron.parse("0 * * * *"), at("2026-01-01 00:00:00") - 0.4, zones._utc) == at("2026-01-01 00:00:00")


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("0 * * * * *", "expected exactly 5 fields, found 6: [0 * * * * *]"),
        (" @daily", "expected exactly 5 fields, found 1: [@daily]"),
        ("@Daily", "unrecognized descriptor: @Daily"),
        ("@reboot", "unrecognized descriptor: @reboot"),
        ("@daily ", "unrecognized descriptor: @daily "),
        ("@every", "unrecognized descriptor: @every"),
        ("@every 5", 'failed to parse duration @every 5: time: missing unit in duration "5"'),
        ("@every 5d", 'failed to parse duration @every 5d: time: unknown unit "d" in duration "5d"'),
        ("@every x", 'failed to parse duration @every x: time: invalid duration "x"'),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* 24 * * *", "end of range (24) above maximum (23): 24"),
        ("0 0 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("0 0 * 13 *", "end of range (13) above maximum (12): 13"),
        ("0 0 * * 7", "end of range (7) above maximum (6): 7"),
        ("0 0 * * sat-sun", "beginning of range (6) beyond end of range (0): sat-sun"),
        ("0 0 * * monday", 'failed to parse int from monday: strconv.Atoi: parsing "monday": invalid syntax'),
        ("0 0 L * *", 'failed to parse int from L: strconv.Atoi: parsing "L": invalid syntax'),
        ("30-10 * * * *", "beginning of range (30) beyond end of range (10): 30-10"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("*/-1 * * * *", "negative number (-1) not allowed: -1"),
        ("\N{ARABIC-INDIC DIGIT ONE} * * * *", None),
    ],
)
def test_cj1_what_is_no_schedule(schedule: str, message: str | None) -> None:
    with pytest.raises(cron.BadSchedule) as caught:
        cron.parse(schedule)
    assert message is None or str(caught.value) == message


def test_cj1_clocks_put_forward_and_back() -> None:
    """As robfig's: what a clock leaves out does not come that day, what it shows twice comes twice."""
    assert following("30 2 * * *", "2026-03-28 00:00:00", "Europe/Warsaw", 2) == ["2026-03-28T02:30:00+01:00", "2026-03-30T02:30:00+02:00"]
    assert following("30 2 * * *", "2026-10-24 12:00:00", "Europe/Warsaw", 3) == [
        "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-26T02:30:00+01:00"
    ]  # fmt: skip


def test_cj1_a_place_whose_day_has_no_midnight() -> None:
    assert following("0 1 4 11 *", "2018-11-03 00:00:00", "America/Sao_Paulo") == ["2018-11-04T01:00:00-02:00"]
    assert following("0 3 5 11 *", "2018-11-03 00:00:00", "America/Sao_Paulo") == ["2018-11-05T03:00:00-02:00"]


@pytest.mark.parametrize("zone", ["Europe/Warsaw", "Asia/Kathmandu", "Pacific/Apia", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("schedule", ["*/7 * * * *", "0 0 * * *", "15 3 1 * *", "59 23 31 12 0", "0 12 * * 1,3,5"])
def test_cj1_every_time_shows_what_the_schedule_says(schedule: str, zone: str) -> None:
    place, parsed = zones.zone(zone), cron.parse(schedule)
    assert place is not None
    now = at("2025-12-27 05:06:07")
    for _ in range(60):
        found = cron.following(parsed, now, place)
        assert found is not None and found > now and found % 60 == 0
        wall = time.gmtime(found + place(found))
        assert parsed.minutes >> wall.tm_min & 1 and parsed.hours >> wall.tm_hour & 1 and parsed.months >> wall.tm_mon & 1
        now = found


@pytest.mark.parametrize("name", ["UTC", "Europe/Warsaw", "CET", "EST5EDT", "Etc/GMT+5", "Asia/Calcutta"])
def test_cj1_zones(name: str) -> None:
    assert zones.faults(name) == []


@pytest.mark.parametrize(
    "name", ["", "Local", "local", "europe/warsaw", "+02:00", "Mars/Base", "../etc/passwd", "/etc/localtime", "Europe", "a\0b", "x" * 9999]
)
def test_cj1_what_is_no_zone(name: str) -> None:
    assert zones.faults(name)


@pytest.mark.parametrize(("text", "wanted"), [("1h2m3.5s", 3723.5), ("-1.5h", -5400), ("0", 0), ("1us", 1e-6), ("1µs", 1e-6), (".5s", 0.5)])
def test_cj1_durations(text: str, wanted: float) -> None:
    assert duration.parse(text) == pytest.approx(wanted * 1e9)


@pytest.mark.parametrize("text", ["", "-", ".", "1", "s", "1 s", "1s ", "9999999999h", "9" * 400 + "s", "1e3s"])
def test_cj1_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="time: "):
        duration.parse(text)
