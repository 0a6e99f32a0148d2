"""The governance calendar as an iCalendar file: all-day events that keep their identity."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import pandas as pd


def write_calendar(path: str | Path, governance: pd.DataFrame, *, organisation: str, as_of: str) -> None:
    """Write one all-day event per row of `governance` (date, event, owner_role, rule).

    An event keeps its UID as long as its name and date stay, so a calendar that imports the file
    again updates it instead of doubling it. The time stamp is `as_of`, not the clock.
    """
    from icalendar import Calendar, Event

    calendar = Calendar()
    calendar.add("prodid", "-//aifactory//buy plan//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", f"{organisation}: accelerator buy plan")
    stamp = dt.datetime.fromisoformat(as_of[:10]).replace(tzinfo=dt.UTC)
    for row in governance.sort_values(["date", "event"]).itertuples(index=False):
        day = pd.Timestamp(row.date).date()
        event = Event()
        event.add("uid", event_uid(organisation, day, row.event))
        event.add("dtstamp", stamp)
        event.add("dtstart", day)
        event.add("dtend", day + dt.timedelta(days=1))
        event.add("summary", f"{row.event} ({row.owner_role})")
        event.add("description", str(row.rule))
        event.add("transp", "TRANSPARENT")
        calendar.add_component(event)
    Path(path).write_bytes(calendar.to_ical())


def event_uid(organisation: str, day: dt.date, event: str) -> str:
    """Identity of an event: a hash of organisation, day and name.

    >>> event_uid("Example", dt.date(2026, 12, 1), "Price refresh")
    'cbc337a3de6b4c10e463@aifactory'
    """
    digest = hashlib.sha256("|".join([organisation, day.isoformat(), event]).encode()).hexdigest()
    return f"{digest[:20]}@aifactory"
