"""Who may open the console: somebody with a JWT, and anybody where the switch says so."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.async_api import expect

from tests.browser.conftest import Console, chromium, keep

ISSUER, AUDIENCE = "https://login.example/", "pointsman"
KEY: Final = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def further_settings(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    given: dict[str, Any] | None = getattr(request, "param", None)
    if given is not None:
        return given
    key: dict[str, Any] = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key()))
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": [{**key, "kid": "one", "use": "sig", "alg": "ES256"}]}))
    return {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks": str(keys)}


def signed(**changes: Any) -> str:
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "exp": int(time.time()) + 600,
        "scope": "operate",
        "tenants": ["acme"],
        **changes,
    }
    return jwt.encode(claims, KEY, algorithm="ES256", headers={"kid": "one"})


async def log_in(console: Console, token: str) -> Any:
    page = await console.page()
    await page.goto("/console/login")
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="Log in").click()
    return page


async def test_a_jwt_of_the_trusted_issuer_opens_the_console_for_its_tenants(
    console: Console,
) -> None:
    page = await log_in(console, signed())

    await page.wait_for_url("**/console")
    mine = await page.goto("/console/event?of=acme&id=evt-paid-1001")
    theirs = await page.goto("/console/event?of=globex&id=globex-paid-1")

    assert (mine.status, theirs.status) == (200, 404)


@pytest.mark.parametrize(
    "changes",
    [{"exp": int(time.time()) - 3600}, {"aud": "another"}, {"scope": "publish"}],
    ids=["expired", "of another service", "may not read"],
)
async def test_a_jwt_that_may_not_read_opens_nothing(
    console: Console, changes: dict[str, Any]
) -> None:
    page = await log_in(console, signed(**changes))

    await expect(page.get_by_role("alert")).to_contain_text("This token")
    assert await page.context.cookies() == []


@pytest.mark.parametrize("further_settings", [{"insecure_dev": True}], indirect=True)
async def test_the_development_switch_opens_the_console_at_once_and_says_so(
    console: Console,
) -> None:
    page = await console.page()

    await page.goto("/console")
    await keep(page, "development-light")
    await expect(page.get_by_text("Development mode")).to_be_visible()
    await page.goto("/console/login")
    await page.wait_for_url("**/console")
    await page.goto("/console/wait?of=acme&id=w-quote-7")
    await page.get_by_text("Close this wait by hand").click()

    assert await page.context.cookies() == []
    await expect(page.get_by_label("Reason")).to_be_visible()


def test_without_a_chromium_the_tests_are_skipped_and_where_all_must_run_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("CI", "POINTSMAN_STRICT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        chromium()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no Chromium on PATH"):
        chromium()
