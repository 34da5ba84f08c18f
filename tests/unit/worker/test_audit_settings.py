from __future__ import annotations

from datetime import timedelta

import pytest

from correlation.reason import Outcome
from worker.audit_settings import format_ages, parse_ages
from worker.settings import load_settings
from worker.settings_error import SettingsError


def test_ages_are_read_back_as_they_are_written() -> None:
    ages = {Outcome.UNRESOLVED: timedelta(days=30), Outcome.MALFORMED: timedelta(days=14)}

    assert parse_ages(format_ages(ages)) == ages
    assert parse_ages("") == {}


@pytest.mark.parametrize("text", ["unresolved", "lost=3d", "unresolved=3"])
def test_a_wrong_age_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|Outcome"):
        parse_ages(text)


def test_the_audit_is_kept_longer_than_events_are_buffered() -> None:
    with pytest.raises(SettingsError, match="RETENTION"):
        load_settings(retention_by_outcome="no_wait=1d", buffer_ttl="7d")


def test_the_audit_may_be_kept_for_ever() -> None:
    settings = load_settings(retention="0s", buffer_ttl="7d")

    assert settings.retention == timedelta()
