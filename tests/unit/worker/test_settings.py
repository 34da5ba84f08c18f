from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.setting_values import format_duration, format_size, parse_duration, parse_size
from worker.settings import PREFIX, Role, Settings, load_settings
from worker.settings_error import SettingsError, known_variables, unknown_variables
from worker.settings_table import settings_markdown, settings_rows
from worker.streams_read import stream_names, streams_taken

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def an_empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in known_variables(Settings, PREFIX).keys() & os.environ.keys():
        monkeypatch.delenv(name)


def problems(monkeypatch: pytest.MonkeyPatch, **environment: str) -> list[str]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(minutes=90)),
        (" 1h 30m ", timedelta(minutes=90)),
        ("7d", timedelta(days=7)),
        ("1.5s", timedelta(milliseconds=1500)),
        ("0s", timedelta()),
    ],
)
def test_a_duration_is_read_with_its_unit(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", "30", "s", "-5s", "1e3s", "5 minutes", "1h30", "٣s", 30, None]
)
def test_a_duration_without_its_unit_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="with its unit"):
        parse_duration(text)


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=10_000)))
def test_every_duration_is_read_back_as_it_is_written(duration: timedelta) -> None:
    whole = timedelta(milliseconds=duration // timedelta(milliseconds=1))

    assert parse_duration(format_duration(whole)) == whole


@given(st.integers(min_value=0, max_value=2**39))
def test_every_size_is_read_back_as_it_is_written(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize("text", ["", "1 parsec", "-1", "1.5MiB", "MiB", True, None])
def test_a_size_that_is_none_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="a size in bytes"):
        parse_size(text)


def test_without_any_variable_the_defaults_hold() -> None:
    settings = load_settings()

    assert settings.stream == ("workflow:events:global",)
    assert settings.group == "workflow-runtime-v2"
    assert settings.roles == frozenset(Role)
    assert settings.claim_idle == timedelta(minutes=1)
    assert settings.batch_bytes == 8 * 1024 * 1024


def test_variables_are_read_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_STREAM", "one, two ,")
    monkeypatch.setenv("POINTSMAN_ROLES", "consumer,sweeper")
    monkeypatch.setenv("POINTSMAN_BLOCK", "250ms")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "orders")
    monkeypatch.setenv("WORKFLOW_RUNTIME_V2_EVENT_CORRELATION_PATHS_JSON", '{"*": "id"}')

    settings = load_settings()

    assert settings.stream == ("one", "two")
    assert settings.roles == {Role.CONSUMER, Role.SWEEPER}
    assert settings.block == timedelta(milliseconds=250)
    assert settings.temporal_namespace == "orders"
    assert settings.correlation_paths_json == '{"*": "id"}'


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_BLOCK", "")

    assert load_settings().block == timedelta(seconds=2)


def test_two_processes_have_different_consumer_names() -> None:
    assert load_settings().consumer != load_settings().consumer


def test_what_is_given_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_ROLES", "sweeper")

    assert load_settings(roles="worker").roles == {Role.WORKER}
    assert load_settings(roles=None).roles == {Role.SWEEPER}


def test_every_wrong_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = problems(
        monkeypatch,
        POINTSMAN_BLOCK="3",
        POINTSMAN_BATCH_COUNT="many",
        POINTSMAN_CLAIM_IDLE="0s",
        POINTSMAN_MAX_ENTRY_BYTES="1 parsec",
        POINTSMAN_LOG_LEVEL="loud",
        TEMPORAL_ADDRESS="temporal",
    )

    assert [line.partition(":")[0] for line in found] == [
        "TEMPORAL_ADDRESS='temporal'",
        "POINTSMAN_BATCH_COUNT='many'",
        "POINTSMAN_MAX_ENTRY_BYTES='1 parsec'",
        "POINTSMAN_BLOCK='3'",
        "POINTSMAN_CLAIM_IDLE='0",
        "POINTSMAN_LOG_LEVEL='loud'",
    ]


def test_a_role_that_does_not_exist_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    [line] = problems(monkeypatch, POINTSMAN_ROLES="consumer,king")

    assert line.startswith("POINTSMAN_ROLES=")
    assert "'api'" in line


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "pointsman.example"])  # noqa: S104 - each is refused
def test_the_development_switch_is_refused_where_others_could_reach_it(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    [line] = problems(monkeypatch, POINTSMAN_INSECURE_DEV="true", POINTSMAN_HTTP_HOST=host)

    assert "asks nobody for a token" in line


def test_keys_of_an_issuer_are_not_fetched_unprotected(monkeypatch: pytest.MonkeyPatch) -> None:
    [line] = problems(
        monkeypatch,
        POINTSMAN_JWT_ISSUER="i",
        POINTSMAN_JWT_AUDIENCE="a",
        POINTSMAN_JWT_JWKS="http://login.example/jwks",
    )

    assert "https://" in line


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"POINTSMAN_MAX_ENTRY_BYTES": "9MiB"}, "POINTSMAN_MAX_ENTRY_BYTES must be less"),
        ({"POINTSMAN_BACKOFF_INITIAL": "1h"}, "POINTSMAN_BACKOFF_INITIAL must be less"),
        ({"POINTSMAN_SIGNAL_TIMEOUT": "1m"}, "is twice POINTSMAN_SIGNAL_TIMEOUT (1m)"),
        ({"POINTSMAN_LOCK_TIMEOUT": "1m"}, "POINTSMAN_LOCK_TIMEOUT must be less"),
        (
            {
                "POINTSMAN_RULES_FILE": "rules.toml",
                "WORKFLOW_RUNTIME_V2_EVENT_CORRELATION_PATHS_JSON": "{}",
            },
            "are both set",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    [line] = problems(monkeypatch, **environment)

    assert said in line


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("POINTSMAN_REDIS_URL", "http://user:hunter2@host"),
        ("POINTSMAN_REDIS_URL", "redis://:hunter2@host:port"),
        ("POINTSMAN_DATABASE_URL", "mysql://user:hunter2@host/db"),
        ("POINTSMAN_DATABASE_URL", "mysql://user:hun@ter2/hunter2@host/db"),
        ("POINTSMAN_DATABASE_URL", "host=db password=hunter2"),
        ("POINTSMAN_DATABASE_URL", "mysql://host/db?password=hunter2"),
    ],
)
def test_no_error_shows_a_password(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    [line] = problems(monkeypatch, **{variable: value})

    assert line.startswith(f"{variable}=")
    assert "hunter2" not in line


def test_no_representation_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_DATABASE_URL", "postgresql://user:hunter2@host/db")
    monkeypatch.setenv("TEMPORAL_API_KEY", "hunter2")

    settings = load_settings()
    shown = repr(settings) + str(settings_rows(settings)) + settings.model_dump_json()

    assert "hunter2" not in shown
    assert "postgresql://user:***@host/db" in shown
    assert settings.database_url.get_secret_value() == "postgresql://user:hunter2@host/db"


def test_a_misspelt_variable_is_named_with_what_it_may_have_meant() -> None:
    known = known_variables(Settings, PREFIX)

    [first, second] = unknown_variables(
        ["POINTSMAN_STREMA", "POINTSMAN_BLOCK", "PATH", "POINTSMAN_XYZZY"], known, PREFIX
    )

    assert (first.name, first.nearest) == ("POINTSMAN_STREMA", "POINTSMAN_STREAM")
    assert second.nearest is None
    assert "did you mean POINTSMAN_STREAM?" in str(first)


def test_the_connection_to_temporal_follows_the_variables_of_its_sdks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "cloud:7233")
    plain = load_settings().temporal_connection()
    monkeypatch.setenv("TEMPORAL_API_KEY", "key")
    with_key = load_settings().temporal_connection()
    monkeypatch.setenv("TEMPORAL_TLS", "false")
    without_tls = load_settings().temporal_connection()

    assert plain == {"target_host": "cloud:7233", "namespace": "default"}
    assert with_key.get("tls") is True
    assert without_tls.get("tls") is False


def test_every_setting_is_documented() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
    assert DOCUMENT.read_text(encoding="utf-8") == settings_markdown(), (
        "write it anew: pointsman settings --markdown > docs/settings.md"
    )


def test_a_process_takes_the_shards_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_STREAM", "events,orders")
    monkeypatch.setenv("POINTSMAN_STREAM_SHARDS", "4")
    monkeypatch.setenv("POINTSMAN_SHARDS_TAKEN", "0, 2-3")

    settings = load_settings()

    assert list(streams_taken(settings)) == [
        f"{stream}:{shard}-of-4" for stream in ("events", "orders") for shard in (0, 2, 3)
    ]
    assert len(stream_names(settings)) == 8


def test_without_shards_a_process_reads_the_stream_itself() -> None:
    settings = load_settings()

    assert list(streams_taken(settings)) == list(stream_names(settings)) == [settings.stream[0]]


@pytest.mark.parametrize("taken", ["4", "0-9", "3-1", "one", "-1", "0,,1"])
def test_shards_that_do_not_exist_are_refused(monkeypatch: pytest.MonkeyPatch, taken: str) -> None:
    monkeypatch.setenv("POINTSMAN_STREAM_SHARDS", "4")
    monkeypatch.setenv("POINTSMAN_SHARDS_TAKEN", taken)

    with pytest.raises(SettingsError, match="SHARDS_TAKEN"):
        load_settings()


def test_no_password_of_an_address_is_shown_whatever_setting_it_stands_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = "canary-7f3a"
    for variable, value in {
        "POINTSMAN_JWT_ISSUER": "https://issuer",
        "POINTSMAN_JWT_AUDIENCE": "pointsman",
        "POINTSMAN_JWT_JWKS": f"https://user:{secret}@issuer/keys?access_token={secret}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://{secret}@collector",
        "POINTSMAN_DATABASE_URL": f"postgresql://u:p@ss{secret}@/db?host=/a&password={secret}",
        "POINTSMAN_REDIS_URL": f"redis://:{secret}@h:6379/0?password={secret}",
    }.items():
        monkeypatch.setenv(variable, value)

    rows = settings_rows(load_settings())

    assert not [row.variable for row in rows if secret in row.value]
