"""`pointsman demo`: a file of events through real servers, compared with what it should do."""

from __future__ import annotations

from worker.demo.course import demo

__all__ = ["demo"]
