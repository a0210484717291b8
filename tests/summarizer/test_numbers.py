"""The numbers that a text says, in figures and in words."""

import pytest

from summarizer.numbers import numbers_of


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It measures 2.5 x 13 cm at L4-L5.", {"2.5", "5", "13", "4"}),
        ("1,200 mg, 35000 IU", {"1,200", "1200", "35,000", "35000"}),
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
    assert numbers_of("For a day and a half, two and a half tablets") == {"1.5", "2.5"}
    assert numbers_of("twelve and a half, 3 and a half") == {"12.5", "3.5"}
    assert "2" in numbers_of("at this point two of them")
    assert "15" not in numbers_of("Five of them. Ten of those.")
    assert "65" not in numbers_of("Sixty, and five of them.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("between fifty and a hundred", {"50", "100"}),
        ("sixty and a hundred and ten over seventy", {"60", "110", "70"}),
        ("he is sixty and two of his sons", {"60", "2"}),
        ("on June fifteenth, and on the twenty-first", {"15", "21"}),
        (".5 mg (.25)", {"0.5", "0.25"}),
        ("98 point six", {"98.6"}),
        ("it was two-point-five", {"2.5"}),
        ("one point oh five", {"1.05"}),
        ("zero point five", {"0.5"}),
        ("one point five million", {"1500000", "1,500,000"}),
        ("5 hundred, six of the five hundreds", {"500", "6"}),
        ("platelets of 150 thousand", {"150000", "150,000"}),
        ("three to four hundred", {"3", "300", "400"}),
        ("a couple of hundred, two dozen, half a dozen", {"200", "24", "6"}),
        ("two hundred and fifty thousand", {"250000", "250,000"}),
        ("a hundred and fifty-five point two", {"155.2"}),
        ("a few hundred of them, a hundred over seventy", {"100", "70"}),
        ("thirty second rest", {"30", "32", "2"}),
        ("one second", {"1", "2"}),
        ("two and three quarters, an inch and a half", {"2.75", "1.5"}),
        ("in his sixties, with two thirds of it gone", {"60", "2", "3"}),
        ("12,345.67", {"12345.67", "12,345.67"}),
        ("levels 4,5", {"4", "5", "4,5"}),
        ("in 2021, not 03.2021", {"2021", "03.2021"}),
        ("C five six", {"5", "6"}),
        ("Oh, I see. Two of them left.", {"2"}),
        ("a three oh suture", {"3", "0"}),
        ("one-ten, one-twenty", {"1", "10", "110", "20", "120"}),
        ("nineteen hundred and eighty", {"1980"}),
        ("five hundred twice a day", {"500", "2"}),
    ],
)
def test_a_text_says_these_numbers_and_no_others(text, said):
    assert numbers_of(text) == said


def test_no_text_is_too_much():
    assert numbers_of("hundred " * 3000) == {"100"}
    assert numbers_of("one " * 3000) >= {"1", "111", "111111"}
    for words in ("one hundred and ", "thousand million ", "one point ", "three to ", "- "):
        assert len(numbers_of(words * 3000)) < 20
    assert numbers_of("9" * 100_000) == {"9" * 100_000}
    assert "1999.2000" in numbers_of(".".join(map(str, range(1, 3000))))
