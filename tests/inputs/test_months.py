"""Months of times against `strftime`."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from aifactory.inputs.months import month_of


@given(st.lists(st.datetimes(pd.Timestamp("1700-01-01"), pd.Timestamp("2200-12-31")) | st.none()))
def test_months_are_those_of_strftime(times):
    series = pd.Series(pd.to_datetime(times, utc=True), index=range(5, 5 + len(times)), dtype="datetime64[us, UTC]")
    pd.testing.assert_series_equal(month_of(series), series.dt.strftime("%Y-%m").astype("str"), check_names=False)
