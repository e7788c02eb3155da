"""The template language: holes are errors."""

import pytest

from deftmail.stack.errors import StackError
from deftmail.stack.render import fill


def test_values_stand_among_the_signs_of_mail_servers() -> None:
    assert fill("a = @{x} $x {x} 100% me@@{host}", {"x": 1, "host": "h"}) == "a = 1 $x {x} 100% me@h\n"


@pytest.mark.parametrize(("flag", "expected"), [(True, "a\nb\nd\n"), (False, "a\nc\nd\n")])
def test_switches_choose_lines(flag: bool, expected: str) -> None:
    assert fill("a\n%if flag\nb\n%else\nc\n%end\nd", {"flag": flag}) == expected


def test_switches_nest_and_negate() -> None:
    template = "%if a\n%if !b\nx\n%end\ny\n%end"
    assert fill(template, {"a": True, "b": False}) == "x\ny\n"
    assert fill(template, {"a": True, "b": True}) == "y\n"
    assert fill(template, {"a": False, "b": False}) == "\n"


def test_a_value_in_a_branch_not_taken_is_not_asked_for() -> None:
    assert fill("%if a\n@{missing}\n%end\nx", {"a": False}) == "x\n"


@pytest.mark.parametrize("template", ["@{missing}", "%if missing\n%end", "%if a\nx", "%end", "%else"])
def test_a_hole_names_its_line(template: str) -> None:
    with pytest.raises(StackError, match="spot"):
        fill(template, {"a": True}, "spot")
