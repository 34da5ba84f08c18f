"""Hooks of MkDocs: links that leave docs/ lead to copies on the site, absent pages to nowhere."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(\]\()((?:\.\./)+[^)\s#]+)")
COPIES = "repository"


def on_config(config: Any) -> Any:
    """Leave out of the navigation what nobody has written yet."""
    config.nav = _present(config.nav, Path(config.docs_dir))
    return config


def on_files(files: Any, config: Any) -> Any:
    """Put on the site what pages link to in the repository around them."""
    wanted = {
        found
        for file in list(files.documentation_pages())
        for _, link in LINK.findall(file.content_string)
        if (found := _beyond(link, file.src_uri)) is not None
    }
    for path in sorted(wanted):
        # Markdown files, too, as they are: their own links are relative to their own places.
        copy = f"{COPIES}/{path}" if not path.endswith(".md") else f"{COPIES}/{path}.txt"
        files.append(File.generated(config, copy, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Lead links that leave docs/ to the copies."""

    def replaced(match: re.Match[str]) -> str:
        path = _beyond(match[2], page.file.src_uri)
        if path is None:
            return match[0]
        depth = page.file.src_uri.count("/")
        ending = ".txt" if path.endswith(".md") else ""
        return f"{match[1]}{'../' * depth}{COPIES}/{path}{ending}"

    return LINK.sub(replaced, markdown)


def _beyond(link: str, page: str) -> str | None:
    """The path in the repository of a link that leaves docs/; None when it does not."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))
    if path.startswith(("docs/", "..")) or not (ROOT / path).is_file():
        return None
    return path


def _present(entries: list[Any], folder: Path) -> list[Any]:
    kept: list[Any] = []
    for entry in entries:
        if isinstance(entry, str):
            kept += [entry] * (folder / entry).is_file()
            continue
        [(title, below)] = entry.items()
        if isinstance(below, list):
            kept.append({title: _present(below, folder)})
        elif (folder / below).is_file():
            kept.append(entry)
    return kept
