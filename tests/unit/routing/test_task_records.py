from __future__ import annotations

import pytest

from routing.task_records import Person, names_of_person


@pytest.mark.parametrize(
    ("name", "assignee", "expected"),
    [
        ("token:ada", "token:ada", True),
        ("token:ada", "ada", True),
        ("jwt:ada", "ada", True),
        ("jwt:ada", "token:ada", False),
        ("jwt:token:ada", "token:ada", False),
        ("jwt:token:ada", "ada", False),
        ("jwt:token:ada", "jwt:token:ada", True),
        ("jwt:jwt:ada", "jwt:ada", False),
        ("cli:root", "root", True),
        ("cli", "cli", True),
    ],
)
def test_a_person_is_an_assignee_in_full_or_for_short_and_never_as_another_kind(
    name: str, assignee: str, *, expected: bool
) -> None:
    assert Person(name, name).is_one_of([assignee]) is expected


def test_a_name_without_a_kind_has_one_form() -> None:
    assert names_of_person("ada") == ("ada",)
