"""The governance calendar as an iCalendar file: all-day events that keep their identity."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import pandas as pd

#: Sequence numbers count days from here.
FIRST_DAY = dt.date(2020, 1, 1)


def write_calendar(path: str | Path, governance: pd.DataFrame, *, organisation: str, as_of: str) -> None:
    """Write one all-day event per row of `governance` (date, event, owner_role, rule, event_id).

    An event keeps its UID as long as its `event_id` stays (without one: its name and date), so a calendar that
    imports a later file moves and rewords it instead of doubling it. Time stamp and sequence are of `as_of`, not
    of the clock, so that the later report wins and the same report gives the same bytes.
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
        identity = str(getattr(row, "event_id", "") or f"{day.isoformat()}|{row.event}")
        event.add("uid", event_uid(organisation, identity))
        event.add("dtstamp", stamp)
        event.add("last-modified", stamp)
        event.add("sequence", max((stamp.date() - FIRST_DAY).days, 0))
        event.add("dtstart", day)
        event.add("dtend", day + dt.timedelta(days=1))
        event.add("summary", f"{row.event} ({row.owner_role})")
        event.add("description", str(row.rule))
        event.add("transp", "TRANSPARENT")
        calendar.add_component(event)
    Path(path).write_bytes(calendar.to_ical())


def event_uid(organisation: str, identity: str) -> str:
    """UID of an event: a hash of organisation and identity.

    >>> event_uid("Example", "2026-12-01|Price refresh")
    'cbc337a3de6b4c10e463@aifactory'
    """
    digest = hashlib.sha256(f"{organisation}|{identity}".encode()).hexdigest()
    return f"{digest[:20]}@aifactory"
