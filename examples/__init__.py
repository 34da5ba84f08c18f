"""Workflows that wait for business events; see README.md."""
