"""Demand: profiles, forecast, and the generator of the sample company."""
