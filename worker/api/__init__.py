"""The HTTP API: events in, the audit out, and what operators do by hand."""
