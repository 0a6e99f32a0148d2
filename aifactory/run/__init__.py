"""Validate, execute, export and publish the stages."""
