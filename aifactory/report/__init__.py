"""Charts, tables and text of the reports, and their export; computes nothing."""
