"""`pointsman status` says of a server that is away where it was looked for, and why it is away."""

from __future__ import annotations

import pytest

from tests.docs.scenes import USUAL
from worker.cli.standing import reason_of, standing
from worker.embedded.processes import LOOPBACK, free_port
from worker.settings import load_settings

REFUSED_BY_TEMPORAL = (
    "Failed client connect: Server connection error: tonic::transport::Error(Transport, "
    'ConnectError(ConnectError("tcp connect error", 127.0.0.1:7233, '
    'Os { code: 111, kind: ConnectionRefused, message: "Connection refused" })))'
)


async def test_a_server_that_is_away_is_named_with_its_address_and_the_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    nobody = f"{LOOPBACK}:{free_port()}"
    for variable in USUAL.values():
        monkeypatch.delenv(variable, raising=False)
    settings = load_settings(
        redis_url=f"redis://{nobody}/0",
        database_url=f"postgresql://somebody:secret@{nobody}/nothing",
        temporal_address=nobody,
    )

    found = (await standing(settings))["servers"]

    assert [server["ready"] for server in found.values()] == [False, False, False]
    assert all(nobody in server["detail"] for server in found.values())
    assert found["temporal"]["detail"] == f"{nobody}: Connection refused"
    assert "refused" in found["postgres"]["detail"]
    assert "secret" not in str(found)
    assert caplog.records == [], "the pool's own lines would stand around the answer"


def test_an_error_without_anything_of_the_system_is_its_first_line() -> None:
    assert reason_of(RuntimeError(REFUSED_BY_TEMPORAL)) == "Connection refused"
    assert reason_of(ValueError("one\ntwo")) == "one"
    assert reason_of(ValueError()) == "ValueError"
