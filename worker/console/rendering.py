"""From values to pages: the templates, what they may call, and the headers of every page."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from fastapi import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from correlation.exact_writing import text_json
from routing.reach import woke_words
from worker.api.exact_writing import write_json
from worker.console.differences import difference
from worker.console.visits import FORM_TOKEN, Visit, bound_tenants
from worker.console.wording import OUTCOME_WORDS, STATE_WORDS, STATUS_WORDS, span_text

FOLDER: Final = Path(__file__).parent
ROOT: Final = "/console"
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    # With `no-referrer` a browser would send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
}
_STATIC_KINDS: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def page(
    template: str,
    found: Visit,
    /,
    *,
    status: int = HTTPStatus.OK,
    **values: Any,
) -> Response:
    """A page for somebody who is known."""
    settings = found.parts.settings
    context = {
        "visit": found,
        "link": _Links(found.tenant),
        "temporal_ui": _TemporalLinks(settings.temporal_ui_url or "", settings.temporal_namespace),
        "form_token": found.form_token,
        "insecure": settings.insecure_dev,
        "actor": found.principal.actor,
        "own_tenants": bound_tenants(found.principal),
        "rules_version": found.parts.rules().version,
        **values,
    }
    return bare_page(template, status=status, **context)


def bare_page(template: str, *, status: int = HTTPStatus.OK, **values: Any) -> Response:
    """A page for nobody in particular."""
    text = _environment().get_template(template).render(**values)
    return Response(text, status, media_type="text/html", headers=dict(HEADERS))


def local_link(path: str, parameters: Mapping[str, Any]) -> str:
    """An address within the console; parameters without a value are left out."""
    given = {name: value for name, value in parameters.items() if value is not None and value != ""}
    return f"{ROOT}{path}{'?' if given else ''}{urlencode(given)}"


def pretty_json(value: Any) -> str:
    """Decoded JSON, indented for reading; numbers stay digit for digit."""
    return _indented(value, "")


class _Links:
    """Links that keep the tenant which is being looked at."""

    def __init__(self, tenant: str | None) -> None:
        self._tenant = tenant

    def __call__(self, path: str, **parameters: Any) -> str:
        return local_link(path, {"tenant": self._tenant, **parameters})


class _TemporalLinks:
    """Addresses within Temporal's own console; empty where it is not known."""

    def __init__(self, address: str, namespace: str) -> None:
        self._workflows = (
            f"{address.rstrip('/')}/namespaces/{quote(namespace, safe='')}/workflows"
            if address
            else ""
        )

    def __call__(self, workflow_id: str, run_id: str | None = None) -> str:
        if not self._workflows:
            return ""
        if run_id:
            return f"{self._workflows}/{quote(workflow_id, safe='')}/{quote(run_id, safe='')}"
        wanted = f'WorkflowId="{workflow_id}"'
        return f"{self._workflows}?{urlencode({'query': wanted})}"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words: dict[str, Any] = {
        "asset": _asset,
        "root": ROOT,
        "form_token_name": FORM_TOKEN,
        "product_version": version("pointsman-service"),
        "outcome_words": OUTCOME_WORDS,
        "status_words": STATUS_WORDS,
        "state_words": STATE_WORDS,
        "woke_words": woke_words,
        "difference": difference,
    }
    environment.globals |= words
    environment.filters.update(
        moment=_moment,
        clock=_clock,
        iso=_iso,
        ago=_ago,
        span=span_text,
        pretty=pretty_json,
        number=_number,
    )
    return environment


def _asset(name: str) -> str:
    return f"{ROOT}/static/{name}?v={static_files()[name][1]}"


@lru_cache(maxsize=1)
def static_files() -> Mapping[str, tuple[bytes, str, str]]:
    """Name → content, a digest of it, and its media type."""
    return {
        path.name: (
            content := path.read_bytes(),
            hashlib.sha256(content).hexdigest()[:12],
            _STATIC_KINDS[path.suffix],
        )
        for path in sorted((FOLDER / "static").iterdir())
        if path.suffix in _STATIC_KINDS
    }


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _clock(moment: datetime) -> str:
    text = moment.astimezone(UTC)
    return text.strftime("%H:%M:%S.") + f"{text.microsecond // 1000:03d}"


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _ago(moment: datetime) -> str:
    distance = datetime.now(UTC) - moment
    distance = timedelta(seconds=round(distance.total_seconds()))
    if distance == timedelta():
        return "just now"
    if distance >= timedelta():
        return f"{span_text(distance)} ago"
    return f"in {span_text(-distance)}"


def _number(value: int) -> str:
    return f"{value:,}"


def _indented(value: Any, indent: str) -> str:
    deeper = indent + "  "
    match value:
        case Mapping() if value:
            inner = (
                f"{deeper}{text_json(str(name))}: {_indented(part, deeper)}"
                for name, part in value.items()
            )
            return "{\n" + ",\n".join(inner) + f"\n{indent}}}"
        case list() | tuple() if value:
            return "[\n" + ",\n".join(deeper + _indented(p, deeper) for p in value) + f"\n{indent}]"
        case _:
            return write_json(value)
