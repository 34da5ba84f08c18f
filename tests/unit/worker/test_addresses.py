from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.addresses import Listener, Pages, pages_of, shared_settings
from worker.embedded import Part, Servers
from worker.embedded.processes import LOOPBACK, free_port
from worker.operator_error import OperatorError

ADDRESSES = {
    Part.REDIS: "redis://127.0.0.1:1/0",
    Part.POSTGRES: "postgresql://pointsman@127.0.0.1:2/pointsman",
    Part.TEMPORAL: "127.0.0.1:3",
}


@pytest.fixture(autouse=True)
def no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("POINTSMAN_"):
            monkeypatch.delenv(name)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        yield listener.getsockname()[1]


def pages(ui_url: str = "") -> Pages:
    return pages_of(Servers(ADDRESSES, {}, temporal_ui_url=ui_url))


def test_the_service_listens_on_this_machine_alone_and_asks_for_no_token() -> None:
    found = pages("http://127.0.0.1:8233")

    assert found.api is not None
    assert found.api.host == LOOPBACK
    assert found.settings == {
        "POINTSMAN_HTTP_PORT": str(found.api.port),
        "POINTSMAN_METRICS_PORT": str(found.metrics.port),
        "POINTSMAN_INSECURE_DEV": "true",
        "POINTSMAN_TEMPORAL_UI_URL": "http://127.0.0.1:8233",
    }
    assert f"http://127.0.0.1:{found.api.port}/console\n" in found.lines
    assert found.lines.endswith(" http://127.0.0.1:8233")


def test_a_usual_port_that_is_taken_is_exchanged_for_a_free_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.addresses.listen_on", _refuse)

    found = pages()

    assert found.api is not None
    assert found.api.port not in (0, 8088)
    assert found.metrics.port not in (0, 9464, found.api.port)


def _refuse(host: str, port: int) -> socket.socket:
    raise OSError(f"{host}:{port} is taken")


def test_a_port_that_was_chosen_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("POINTSMAN_HTTP_PORT", str(port))

    found = pages()

    assert found.api == Listener(LOOPBACK, port)


def test_a_chosen_port_that_is_taken_is_refused_and_not_exchanged(
    monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    # The service itself would wait for it, beside pages of another program at this address.
    monkeypatch.setenv("POINTSMAN_HTTP_PORT", str(taken))

    with pytest.raises(OperatorError, match=f"POINTSMAN_HTTP_PORT={taken}: another program"):
        pages()


def test_another_terminal_is_told_the_rules_and_the_stream_but_no_port(tmp_path: Path) -> None:
    environment = {
        "POINTSMAN_RULES_FILE": "rules.toml",
        "POINTSMAN_STREAM": "orders",
        "POINTSMAN_HTTP_PORT": "8088",
        "POINTSMAN_GROUP": " ",
    }

    shared = shared_settings(environment, tmp_path)

    assert shared == {
        "POINTSMAN_RULES_FILE": str(tmp_path / "rules.toml"),
        "POINTSMAN_STREAM": "orders",
    }


def test_a_service_that_others_can_reach_still_asks_for_a_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POINTSMAN_HTTP_HOST", "0.0.0.0")  # noqa: S104 - that is the point
    monkeypatch.setenv("POINTSMAN_HTTP_PORT", str(free_port()))

    found = pages()

    assert found.settings["POINTSMAN_INSECURE_DEV"] == "false"


def test_without_the_role_there_is_no_console(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_ROLES", "consumer,delivery")

    found = pages()

    assert found.api is None
    assert "console" not in found.lines
    assert "POINTSMAN_INSECURE_DEV" not in found.settings


async def test_a_listener_answers_only_while_somebody_listens(taken: int) -> None:
    assert await Listener(LOOPBACK, taken).answers()
    assert not await Listener(LOOPBACK, free_port()).answers()


def test_an_address_of_the_newer_kind_stands_in_brackets() -> None:
    assert Listener("::1", 80).url == "http://[::1]:80"
