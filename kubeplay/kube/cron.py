"""Schedules of CronJobs (CJ1): the grammar and the arithmetic of robfig/cron's standard parser, which Kubernetes uses.

No Python library speaks this dialect (docs/decisions/0603): 7 is no Sunday, `?` is `*`, `5/15` runs to the end, `1,,3` and `*-7` are
fine, `@every` takes Go's durations. Times are epoch seconds; `Zone` says how far from UTC a place is at an instant.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kubeplay.kube import duration
from kubeplay.record import Record

Zone = Callable[[int], int]  # epoch seconds -> seconds east of UTC

_STAR = 1 << 63
_YEARS = 5  # a schedule that has no time within these never comes
_DAY, _HOUR, _MINUTE = 86400, 3600, 60
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip


class Bounds(Record):
    """What a field may hold."""

    low: int
    high: int
    names: tuple[str, ...] = ()


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (Bounds(0, 59), Bounds(0, 23), Bounds(1, 31), Bounds(1, 12, _MONTHS), Bounds(0, 6, _DAYS))


class BadSchedule(ValueError):
    """A text that is no schedule; the message is the API server's."""


class Schedule(Record):
    """Bit sets of minutes, hours, days of the month, months and days of the week; or every `every` seconds."""

    minutes: int = 0
    hours: int = 0
    days: int = 0
    months: int = 0
    weekdays: int = 0
    every: int = 0


def parse(text: str) -> Schedule:
    """Raises BadSchedule."""
    if not text:
        raise BadSchedule("empty spec string")
    if text.startswith(("TZ=", "CRON_TZ=")):  # a zone in the schedule has the grammar's blessing, but not the API's
        text = text.partition(" ")[2].strip()
    if text.startswith("@"):
        return _descriptor(text)
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise BadSchedule(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    return Schedule(*[_field(field, bounds) for field, bounds in zip(fields, _FIELDS)])


def _descriptor(text: str) -> Schedule:
    if text in _DESCRIPTORS:
        return parse(_DESCRIPTORS[text])
    if text.startswith("@every "):
        try:
            nanoseconds = duration.parse(text.removeprefix("@every "))
        except ValueError as error:
            raise BadSchedule(f"failed to parse duration {text}: {error}") from None
        return Schedule(every=max(1, nanoseconds // 1_000_000_000))
    raise BadSchedule(f"unrecognized descriptor: {text}")


def _field(text: str, bounds: Bounds) -> int:
    bits = 0
    for part in filter(None, text.split(",")):
        bits |= _range(part, bounds)
    return bits


def _range(part: str, bounds: Bounds) -> int:
    span, *steps = part.split("/")
    ends = span.split("-")
    star = _STAR if ends[0] in ("*", "?") else 0
    if star:
        low, high = bounds.low, bounds.high
    else:
        if len(ends) > 2:
            _number(ends[0], bounds.names)
            raise BadSchedule(f"too many hyphens: {part}")
        low, high = _number(ends[0], bounds.names), _number(ends[-1], bounds.names)
    if len(steps) > 1:
        raise BadSchedule(f"too many slashes: {part}")
    step = _number(steps[0]) if steps else 1
    if steps and len(ends) == 1:
        high = bounds.high
    _check(part, low, high, step, bounds)
    return sum(1 << at for at in range(low, high + 1, step)) | (star if step == 1 else 0)


def _check(part: str, low: int, high: int, step: int, bounds: Bounds) -> None:
    if low < bounds.low:
        raise BadSchedule(f"beginning of range ({low}) below minimum ({bounds.low}): {part}")
    if high > bounds.high:
        raise BadSchedule(f"end of range ({high}) above maximum ({bounds.high}): {part}")
    if low > high:
        raise BadSchedule(f"beginning of range ({low}) beyond end of range ({high}): {part}")
    if step == 0:
        raise BadSchedule(f"step of range should be a positive number: {part}")


def _number(text: str, names: tuple[str, ...] = ()) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + (1 if names is _MONTHS else 0)
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits or not (digits.isascii() and digits.isdigit()):
        raise BadSchedule(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    if len(digits.lstrip("0")) > 18:
        raise BadSchedule(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": value out of range')
    if int(text) < 0:
        raise BadSchedule(f"negative number ({int(text)}) not allowed: {text}")
    return int(text)


# when
def following(schedule: Schedule, after: float, zone: Zone) -> int | None:
    """The first time of the schedule later than `after`; None when there is none within five years (30 February)."""
    if schedule.every:
        return int(after // 1) + schedule.every
    if not (schedule.minutes and schedule.hours and schedule.months):
        return None  # `,` is a field that nothing fits: nobody needs to look through five years for it
    at = int(after // 1) + 1
    limit = _local(at, zone).tm_year + _YEARS
    clean = False  # whether the smaller units have been set back to their beginning
    while _local(at, zone).tm_year <= limit:
        for step in (_month, _day, _hour, _minute, _second):
            at, clean, whole = step(schedule, at, clean, zone)
            if not whole:
                break  # a larger unit has changed: begin again with it
        else:
            return at
    return None


_Step = tuple[int, bool, bool]


def _month(schedule: Schedule, at: int, clean: bool, zone: Zone) -> _Step:
    while not schedule.months >> _local(at, zone).tm_mon & 1:
        now = _local(at, zone)
        at = _instant(now.tm_year + now.tm_mon // 12, now.tm_mon % 12 + 1, 1, 0, zone)
        clean = True
        if _local(at, zone).tm_mon == 1:
            return at, clean, False
    return at, clean, True


def _day(schedule: Schedule, at: int, clean: bool, zone: Zone) -> _Step:
    while not _day_matches(schedule, _local(at, zone)):
        now = _local(at, zone)
        at = _instant(now.tm_year, now.tm_mon, now.tm_mday + 1, 0, zone)
        clean = True
        hour = _local(at, zone).tm_hour
        if hour:  # a place whose clock has no midnight that day
            at += (24 - hour if hour > 12 else -hour) * _HOUR
        if _local(at, zone).tm_mday == 1:
            return at, clean, False
    return at, clean, True


def _day_matches(schedule: Schedule, now: time.struct_time) -> bool:
    """Both a day of the month and one of the week: either will do (CJ1)."""
    month = bool(schedule.days >> now.tm_mday & 1)
    week = bool(schedule.weekdays >> (now.tm_wday + 1) % 7 & 1)
    if (schedule.days | schedule.weekdays) & _STAR:
        return month and week
    return month or week


def _hour(schedule: Schedule, at: int, clean: bool, zone: Zone) -> _Step:
    while not schedule.hours >> _local(at, zone).tm_hour & 1:
        if not clean:
            now = _local(at, zone)
            at, clean = _instant(now.tm_year, now.tm_mon, now.tm_mday, now.tm_hour, zone), True
        at += _HOUR
        if _local(at, zone).tm_hour == 0:
            return at, clean, False
    return at, clean, True


def _minute(schedule: Schedule, at: int, clean: bool, zone: Zone) -> _Step:
    while not schedule.minutes >> _local(at, zone).tm_min & 1:
        at += _MINUTE - (0 if clean else at % _MINUTE)
        clean = True
        if _local(at, zone).tm_min == 0:
            return at, clean, False
    return at, clean, True


def _second(schedule: Schedule, at: int, clean: bool, zone: Zone) -> _Step:
    """Only whole minutes: anything else is the minute before."""
    if at % _MINUTE == 0:
        return at, clean, True
    at += _MINUTE - at % _MINUTE
    return at, True, False


def _local(at: int, zone: Zone) -> time.struct_time:
    return time.gmtime(at + zone(at))


def _instant(year: int, month: int, day: int, hour: int, zone: Zone) -> int:
    """The instant that a clock on the wall shows so; one that it leaves out is taken as Go takes it."""
    import calendar

    wall = calendar.timegm((year, month, 1, hour, 0, 0)) + (day - 1) * _DAY
    return wall - zone(wall - zone(wall))
