from __future__ import annotations

from pathlib import Path

import pytest

from correlation.rules import NO_RULES, RulesError, compile_rules
from worker.rules_source import (
    MAX_RULES_BYTES,
    RULES_FILE_VARIABLE,
    RULES_VARIABLE,
    Kept,
    ReloadableRules,
    Reloaded,
    rules_from_environment,
    rules_from_file,
    rules_from_text,
)

EXPECTED = compile_rules({"INVOICE_PAID": ["invoice.id", "clientId"], "*": "ticketId"})


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path) -> RulesError:
    with pytest.raises(RulesError) as error:
        rules_from_file(path)
    assert error.value.source == str(path)
    return error.value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.json", '{"INVOICE_PAID": ["invoice.id", "clientId"], "*": "ticketId"}'),
        ("r.toml", 'INVOICE_PAID = ["invoice.id", "clientId"]\n"*" = "ticketId"\n'),
        ("r.yaml", 'INVOICE_PAID: [invoice.id, clientId]\n"*": ticketId\n'),
        ("r.YML", '\ufeffINVOICE_PAID:\n- invoice.id\n- clientId\n"*": ticketId\n'),
    ],
)
def test_a_rules_file_may_be_json_toml_or_yaml(tmp_path: Path, name: str, text: str) -> None:
    assert rules_from_file(written(tmp_path, name, text)) == EXPECTED


def test_rules_come_from_the_environment() -> None:
    text = '{"INVOICE_PAID": ["invoice.id", "clientId"], "*": "ticketId"}'

    assert rules_from_environment({RULES_VARIABLE: text}) == EXPECTED


def test_rules_come_from_the_file_that_the_environment_names(tmp_path: Path) -> None:
    path = written(tmp_path, "r.toml", '"*" = "ticketId"')

    rules = rules_from_environment({RULES_FILE_VARIABLE: str(path), RULES_VARIABLE: " "})

    assert rules == compile_rules({"*": "ticketId"})


@pytest.mark.parametrize("environment", [{}, {RULES_VARIABLE: ""}, {RULES_VARIABLE: " \n"}])
def test_unset_or_blank_means_no_rules(environment: dict[str, str]) -> None:
    assert rules_from_environment(environment) == NO_RULES


def test_two_sources_at_once_are_refused() -> None:
    with pytest.raises(RulesError, match="set only one"):
        rules_from_environment({RULES_VARIABLE: "{}", RULES_FILE_VARIABLE: "rules.toml"})


def test_a_wrong_entry_is_named_with_its_source() -> None:
    with pytest.raises(RulesError) as refusal:
        rules_from_text('{"INVOICE_PAID": ["invoice.id", "$..id"], "A": 7}')

    assert refusal.value.source == RULES_VARIABLE
    assert [error.split(":")[0] for error in refusal.value.errors] == ["INVOICE_PAID[1]", "A"]


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("r.json", '{"A": "x", "A": "y"}', "A: the name stands there twice"),
        ("r.yaml", "A: x\nB: y\nA: z\n", "A: the name stands there twice (line 3)"),
        ("r.toml", 'A = "x"\nA = "y"\n', "line 2"),
        ("r.json", '{"A":\n nope}', "invalid JSON in line 2, column 2"),
        ("r.json", "", "invalid JSON in line 1"),
        ("r.json", '{"A": ' + "1" * 5000 + "}", "invalid JSON"),
        ("r.json", "[" * 100_000, "nested too deeply"),
        ("r.yaml", "[" * 2_000, "nested too deeply"),
        ("r.yaml", "A: [x\nB: y", "invalid YAML"),
        ("r.yaml", "A: !!python/object/apply:os.system [id]", "invalid YAML"),
        ("r.yaml", "? {a: b}\n: x", "invalid YAML"),
        ("r.yaml", "a: &a {x: y}\nb:\n  <<: [*a, *a]\n", "merge key '<<' in line 3"),
        ("r.yaml", "NO: ticketId", "False: an event name must be a text; put it in quotes"),
        ("r.yaml", "- A\n- B\n", "must be an object"),
        ("r.toml", "A = 2024-01-01", "A: must be a path or a list of paths"),
        ("r.toml", "[A]\nB = 'x'", "A: must be a path or a list of paths, not an object"),
        ("r.json", '{"A": "' + "x" * MAX_RULES_BYTES + '"}', "larger than"),
        ("r.ini", "A=x", "must end in"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    assert complaint in str(refused(written(tmp_path, name, text)))


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    latin = tmp_path / "latin.json"
    latin.write_bytes(b'{"A": "gr\xf6\xdfe"}')

    assert "No such file" in str(refused(tmp_path / "missing.toml"))
    assert "directory" in str(refused(folder))
    assert "not UTF-8: byte 9" in str(refused(latin))


def test_an_empty_yaml_or_toml_file_holds_no_rules(tmp_path: Path) -> None:
    assert rules_from_file(written(tmp_path, "r.yaml", "# later\n")) == NO_RULES
    assert rules_from_file(written(tmp_path, "r.toml", "")) == NO_RULES


def test_a_reload_brings_the_new_rules_into_use(tmp_path: Path) -> None:
    path = written(tmp_path, "r.toml", 'A = "x"')
    rules = ReloadableRules(lambda: rules_from_file(path))

    unchanged = rules.reload()
    written(tmp_path, "r.toml", 'A = "y"')
    changed = rules.reload()

    assert unchanged == Reloaded(compile_rules({"A": "x"}), changed=False)
    assert changed == Reloaded(compile_rules({"A": "y"}), changed=True)
    assert rules.current == compile_rules({"A": "y"})


def test_a_reload_of_a_bad_file_keeps_the_old_rules(tmp_path: Path) -> None:
    path = written(tmp_path, "r.toml", 'A = "x"')
    rules = ReloadableRules(lambda: rules_from_file(path))

    written(tmp_path, "r.toml", 'A = "$..x"')
    bad = rules.reload()
    path.unlink()
    gone = rules.reload()

    assert isinstance(bad, Kept)
    assert "A: " in str(bad.error)
    assert isinstance(gone, Kept)
    assert rules.current == compile_rules({"A": "x"})


def test_a_start_with_bad_rules_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "r.toml", 'A = "$..x"')

    with pytest.raises(RulesError, match="search in all depths"):
        ReloadableRules(lambda: rules_from_file(path))
