"""Readers of files as others write them, into the tables of a workspace.

Each reader checks the columns it needs as strictly as a workspace's own table and returns a frame
in the columns of a contract; `write_table` puts it into a workspace. Nothing is imported here: who
reads a log does not wait for the readers of bills.
"""
