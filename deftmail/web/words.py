"""Times as people say them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext


def relative(moment: datetime, now: datetime | None = None) -> str:
    """`moment` relative to now where it is within a week, else as a date."""
    now = now or timezone.now()
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 45:
        return _("just now") if seconds >= 0 else _("in a moment")
    past = seconds > 0
    away = timedelta(seconds=abs(seconds))
    minutes, hours, days = (
        round(away / timedelta(minutes=1)),
        round(away / timedelta(hours=1)),
        round(away / timedelta(days=1)),
    )
    if minutes < 60:
        text = ngettext("%d min ago", "%d min ago", minutes) if past else ngettext("in %d min", "in %d min", minutes)
        return text % minutes
    if hours < 24:
        text = ngettext("%d hour ago", "%d hours ago", hours) if past else ngettext("in %d hour", "in %d hours", hours)
        return text % hours
    if 0 < days < 7:
        text = ngettext("%d day ago", "%d days ago", days) if past else ngettext("in %d day", "in %d days", days)
        return text % days
    local = timezone.localtime(moment)
    return formats.date_format(local, "j M" if local.year == timezone.localtime(now).year else "j M Y")


def short(local: datetime) -> str:
    """A local time for a list row: 14:05 today, 3 Nov this year, 3 Nov 2024 before."""
    now = timezone.localtime()
    if local.date() == now.date():
        return formats.date_format(local, "H:i")
    return formats.date_format(local, "j M" if local.year == now.year else "j M Y")


EXACT = "j F Y, H:i:s T"


class Clock:
    """The times of one page: its zone, "now" and the words of a day are looked up once."""

    def __init__(self) -> None:
        self._zone = timezone.get_current_timezone()
        self._days: dict[str, tuple[str, str]] = {}

    def of(self, moment: datetime) -> tuple[str, str, str]:
        """A time for machines, as `short` says it, and in full as `EXACT`."""
        local = moment.astimezone(self._zone)
        machine = local.isoformat()
        day, clock = machine[:10], machine[11:19]
        if day not in self._days:
            today = local.date() == timezone.localtime().date()
            self._days[day] = ("" if today else short(local), formats.date_format(local, "j F Y"))
        said, exact = self._days[day]
        return machine, said or clock[:5], f"{exact}, {clock} {local.tzname()}"
