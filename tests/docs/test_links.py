"""No link of the documentation leads nowhere: files and headings exist, addresses are well-formed.

`make docs` checks the same once more for the site. Nothing is asked over the network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.docs.blocks import ROOT, pages
from tests.docs.runners import links_of

OUTSIDE = [
    "CHANGELOG.md",
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "examples").rglob("*.md"))),
]


class SiteLoader(yaml.SafeLoader):
    """Reads mkdocs.yml without what its tags stand for."""


SiteLoader.add_multi_constructor("", lambda *_: None)


@cache
def anchors_of(path: Path) -> frozenset[str]:
    """The anchors of the headings, as the site and the usual viewers of a repository make them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return frozenset(
        re.sub(r"[^\w\- ]", "", name).strip().lower().replace(" ", "-") for name in plain
    )


def faults_of(page: str) -> Iterator[str]:
    for link in links_of((ROOT / page).read_text(encoding="utf-8")):
        parts = urlsplit(link)
        if parts.scheme:
            if parts.scheme not in {"https", "http"} or "." not in parts.netloc.split(":")[0]:
                yield f"{link}: no address"
            continue
        target = (ROOT / page).parent / parts.path if parts.path else ROOT / page
        if not target.exists():
            yield f"{link}: no such file"
        elif parts.fragment and parts.fragment not in anchors_of(target):
            yield f"{link}: no such heading"


def nav_entries(entries: list[object]) -> Iterator[str]:
    for entry in entries:
        below = next(iter(entry.values())) if isinstance(entry, dict) else entry
        if isinstance(below, list):
            yield from nav_entries(below)
        else:
            yield str(below)


@pytest.mark.parametrize("page", [*pages(), *OUTSIDE])
def test_every_link_leads_somewhere(page: str) -> None:
    assert list(faults_of(page)) == []


def test_every_page_stands_once_in_the_navigation() -> None:
    site = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader=SiteLoader)  # noqa: S506 - a safe one

    listed = list(nav_entries(site["nav"]))
    written = [page.removeprefix("docs/") for page in pages() if page.startswith("docs/")]

    assert sorted(set(written) - set(listed)) == []
    assert sorted(listed) == sorted(set(listed))
