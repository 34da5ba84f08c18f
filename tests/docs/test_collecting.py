"""The collector sees every block, and what it compares with is strict."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import Block, Declaration, read_blocks
from tests.docs.data import WrongBlock, check_data
from tests.docs.runners import Way, is_part_of, targets_of, way_of
from tests.docs.shell import Shell, commands_of, differs

PAGE = """\
Text.

```console
$ true
```

- a list

  <!-- block: file="a b.toml" as=rules -->
  ```toml title="a"
  X = "id"
  ```

````text
```
````
"""


def a_block(language: str, text: str = "x\n", **said: str) -> Block:
    return Block("docs/x.md", 1, language, text, said)


def test_every_fence_is_found_with_what_is_said_above_it() -> None:
    console, toml, text = read_blocks("docs/x.md", PAGE)

    assert (console.place, console.language, console.text) == ("docs/x.md:3", "console", "$ true\n")
    assert (toml.text, toml.said) == ('X = "id"\n', {"file": "a b.toml", "as": "rules"})
    assert text.text == "```\n"


@pytest.mark.parametrize("page", ["```sh\ntrue\n", "<!-- block: flie=x -->\n```sh\ntrue\n```\n"])
def test_a_block_without_end_or_with_a_misspelt_word_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match=r"docs/x\.md:1"):
        list(read_blocks("docs/x.md", page))


@pytest.mark.parametrize("language", ["", "text", "go", "rust", "mermaid", "bash"])
def test_a_block_of_an_unknown_language_has_no_way_to_be_tested(language: str) -> None:
    assert way_of(a_block(language), []) is None


def test_a_declared_block_is_known_by_its_page_and_its_first_line() -> None:
    declared = [Declaration("docs/x.md", "x")]

    assert way_of(a_block("text"), declared) is Way.DECLARED
    assert way_of(a_block("text", "y\n"), declared) is None


def test_a_document_without_a_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongBlock, match="as=KIND"):
        check_data(a_block("json", "{}"), tmp_path)


@pytest.mark.parametrize(
    ("language", "text", "kind"),
    [
        ("toml", 'INVOICE_PAID = "$..id"\n', "rules"),
        ("toml", "[triggers.t]\nevent = 1\n", "triggers"),
        ("json", '{"event_type": "X"}', "entry"),
        ("json", '{"tenant": "acme"}', "contract:register_wait"),
        ("json", "{}", "http:EventIn"),
    ],
)
def test_a_document_that_is_wrong_is_refused(
    language: str, text: str, kind: str, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match=r"."):
        check_data(a_block(language, text, **{"as": kind}), tmp_path)


def test_commands_and_their_output_are_told_apart() -> None:
    first, second, third = commands_of("$ a \\\n    b\nout\n\nmore\n$ c\n$ d 'e\nf'\ng\n")

    assert (first.text, first.shown) == ("a \\\n    b", "out\n\nmore")
    assert (second.text, second.shown) == ("c", "")
    assert (third.text, third.shown) == ("d 'e\nf'", "g")


@pytest.mark.parametrize(
    ("shown", "output"),
    [
        ("a b", "a   b\n"),
        ("wait …, key 'x'", "wait 17-8, key 'x'"),
        ("a\n…\nd", "a\nb\nc\nd"),
        ("a\n…", "a"),
        ("pmt_…", "pmt_secret"),
    ],
)
def test_an_output_that_fits_is_no_difference(shown: str, output: str) -> None:
    assert not differs(shown, output)


@pytest.mark.parametrize(("shown", "output"), [("a", "a\nb"), ("a … c", "a b\nc"), ("a.c", "abc")])
def test_any_other_output_is_a_difference(shown: str, output: str) -> None:
    assert differs(shown, output)


def test_a_shell_keeps_what_is_exported_and_ends_what_it_started(tmp_path: Path) -> None:
    shell = Shell(tmp_path, {"PATH": "/usr/bin:/bin"})
    try:
        shell.start("echo begun; sleep 600", "begun", tmp_path / "log")
        exported = shell.run("export X=7; (exit 3)")
        kept = shell.run("echo $X >&2; cat")
    finally:
        shell.close()

    assert exported.exit_code == 3
    assert (kept.exit_code, kept.output) == (0, "7")


def test_targets_are_read_without_their_arguments() -> None:
    block = a_block("sh", "make demo KEEP=1  # shows\n./dev chaos --alone\nmake\n")

    assert targets_of(block) == {"demo", "chaos", "help"}


def test_an_excerpt_is_consecutive_lines(tmp_path: Path) -> None:
    file = tmp_path / "file.go"
    file.write_text("one\n\ttwo\n\tthree\nfour\n")

    assert is_part_of("two\nthree\n", file)
    assert not is_part_of("two\nfour\n", file)
