"""`docs/commands.md`: every command of `pointsman`, with its arguments and options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import typer
import typer.main

PAGE: Final = """\
# Commands

Every command of `pointsman`, as `--help` shows them. A command that fails says in one line what was
wrong and what to do, and exits with 1, or with 2 for wrong settings or usage.

This page is made by `pointsman reference commands`.
"""

_KINDS: Final[Mapping[object, str]] = {int: "NUMBER", float: "NUMBER", Path: "FILE"}


def commands_markdown(app: Any) -> str:
    """The page, of the typer application `app`."""
    root = typer.main.get_command(app)
    return PAGE + "".join(_sections("pointsman", root))


def _sections(path: str, command: Any) -> Iterator[str]:
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        yield _section(path, command)
        return
    for name in sorted(subcommands):
        if not subcommands[name].hidden:
            yield from _sections(f"{path} {name}", subcommands[name])


def _section(path: str, command: Any) -> str:
    context = typer.Context(command, info_name=path)
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    text = f"\n## {path}\n\n`{usage}`\n\n{_cell(command.help or '').replace('<br>', chr(10))}\n"
    rows = [_row(_argument_name(each), each, context) for each in arguments]
    rows += [_row(_option_name(each), each, context) for each in options]
    if not rows:
        return text
    return text + "\n| argument or option | default | meaning |\n|---|---|---|\n" + "".join(rows)


def _row(name: str, parameter: Any, context: typer.Context) -> str:
    return f"| {name} | {_default(parameter, context)} | {_cell(parameter.help or '')} |\n"


def _argument_name(argument: Any) -> str:
    return f"`{argument.metavar or argument.name.upper()}`"


def _option_name(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    return names if option.is_flag else f"{names} `{option.metavar or _kind(option)}`"


def _kind(option: Any) -> str:
    annotation = option.type_descriptor.annotation
    return _KINDS.get(annotation, "TEXT")


def _default(parameter: Any, context: typer.Context) -> str:
    default = parameter.get_default(context, call=False)
    if parameter.required:
        return "required"
    hides = getattr(parameter, "show_default", None) is False
    if default in {None, False, ""} or callable(default) or hides or isinstance(default, list):
        return ""
    return f"`{default}`"


def _cell(text: str) -> str:
    paragraphs = text.replace("\b", "").strip().split("\n\n")
    return "<br>".join(" ".join(each.split()) for each in paragraphs).replace("|", "\\|")
