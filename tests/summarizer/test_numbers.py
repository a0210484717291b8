"""The numbers that a text says, in figures and in words."""

import pytest

from summarizer.numbers import numbers_of


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It measures 2.5 x 13 cm at L4-L5.", {"2.5", "5", "13", "4"}),
        ("1,200 mg", {"1", "200", "1200"}),
        ("on 03/04/2021", {"03", "3", "04", "4", "2021"}),
        ("on 03.04.2021", {"03.04.2021", "03", "3", "04", "4", "2021"}),
        ("2.0 cm, 0.50 mg", {"2.0", "2", "0.50", "0.5"}),
        ("6 point 8", {"6.8"}),
        ("ninety nine point four", {"99.4"}),
        ("I'm sixty-nine.", {"69"}),
        ("a hundred and eighteen over seventy", {"118", "70"}),
        ("Pressure was eighty six over fifty, pulse one ten.", {"86", "50", "110"}),
        ("two thousand three hundred forty five", {"2345"}),
        ("a thousand twice a day", {"1000", "2"}),
        ("your A one C was six point eight", {"1", "6.8"}),
        ("one oh five", {"105"}),
        ("back in nineteen eighty four, or twenty twenty-one", {"1984", "2021"}),
        ("the second one, for a couple of weeks", {"2"}),
        ("two and a half liters, 12 and a half mg", {"2.5", "12.5"}),
        ("the mass was point four by two centimeters", {"0.4", "2"}),
        (
            "On June thirty two thousand and four, October thirtieth two thousand seven",
            {"30", "2004", "2007"},
        ),
        ("1.2.2 cm nodule", {"1", "2.2"}),
    ],
)
def test_a_number_is_found_as_it_is_said(text, said):
    assert said <= numbers_of(text)


def test_what_is_not_said_is_not_found():
    assert numbers_of("The heart is normal, and a nodule is seen.") == set()
    assert numbers_of("I smoked a pack a day for twenty years. I quit ten years ago.") == {
        "20", "10",
    }  # fmt: skip
    assert numbers_of("Both lungs, a single view; half of the left hemithorax.") == set()
    assert numbers_of("4.6 x 3.8 cm.") == {"4.6", "3.8"}
    assert numbers_of("The point is that two are left at this point. Four went.") == {"2", "4"}
    assert numbers_of("It is a hundred and eighteen over seventy.") == {"118", "70"}
    assert numbers_of("eighty six over fifty, and two hundred of them") == {"86", "50", "200"}
    assert numbers_of("sixty-nine") == {"69"}
    assert numbers_of("one hundred and two hundred and six") >= {"100", "206"}
    assert {"1", "60", "160"} <= numbers_of("one sixty") and "2" in numbers_of("sixty, two of them")
    assert "2" in numbers_of("a thousand twice a day")
    assert numbers_of("The A one C is eight point four.") == {"1", "8.4"}
    assert numbers_of("For a day and a half, two and a half tablets") == {"2.5"}
    assert numbers_of("twelve and a half, 3 and a half") == {"12.5", "3.5"}
    assert "2" in numbers_of("at this point two of them")
    assert "15" not in numbers_of("Five of them. Ten of those.")
    assert "65" not in numbers_of("Sixty, and five of them.")


def test_no_text_is_too_much():
    assert numbers_of("hundred " * 3000) == set()
    assert numbers_of("one " * 3000) >= {"1", "11", "111111"}
    assert "1999.2000" in numbers_of(".".join(map(str, range(1, 3000))))
