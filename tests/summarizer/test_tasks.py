"""Tasks: what each prompt says, which sections there are, what a run record changes."""

import pytest

from summarizer.tasks import (
    MAX_SECTION_CHARACTERS,
    TASKS,
    Decoding,
    UnknownTask,
    build_prompt,
    decoding_words,
    for_run,
    get_task,
    prompt_parts,
    section_name,
)


def test_the_three_tasks_ask_in_the_words_the_adapters_are_trained_on():
    assert list(TASKS) == ["radiology", "dialogue", "question"]
    assert build_prompt(get_task("radiology"), "Clear lungs.") == "summarize: Clear lungs."
    assert build_prompt(get_task("question"), "Why?") == "question: Why?"
    dialogue = get_task("dialogue")
    assert build_prompt(dialogue, "Doctor: Hi.", "CC") == "note chief complaint: Doctor: Hi."
    assert build_prompt(dialogue, "Doctor: Hi.") == "note: Doctor: Hi."


def test_an_unknown_task_is_refused_in_one_sentence_that_lists_the_tasks():
    with pytest.raises(UnknownTask) as refused:
        get_task("cardiology")
    assert str(refused.value) == (
        "There is no task 'cardiology': choose from radiology, dialogue, question."
    )


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("GENHX", "history of present illness"),
        ("genhx", "history of present illness"),
        ("FAM/SOCHX", "family and social history"),
        ("objective_exam", "objective exam"),
        ("Objective exam", "objective exam"),
        ("  assessment   AND plan ", "assessment and plan"),
        ("Sleep  Study", "sleep study"),
        ("a\nnew\nline", "a new line"),
        ("", None),
        ("   ", None),
        (None, None),
    ],
)
def test_a_section_is_known_by_code_label_or_name(raw, name):
    assert section_name(get_task("dialogue"), raw) == name


def test_every_label_of_a_section_leads_to_its_name():
    task = get_task("dialogue")
    assert len(task.sections) == 25
    for name, label in task.sections:
        assert section_name(task, label) == section_name(task, name) == name


def test_a_section_is_a_label_and_not_a_second_input():
    assert len(section_name(get_task("dialogue"), "x" * 5000)) == MAX_SECTION_CHARACTERS


def test_a_task_without_sections_ignores_one():
    assert section_name(get_task("radiology"), "GENHX") is None
    assert build_prompt(get_task("radiology"), "A", "GENHX") == "summarize: A"


def test_braces_in_a_text_or_section_are_text():
    dialogue = get_task("dialogue")
    assert build_prompt(dialogue, "{section} {0}", "{input}") == "note {input}: {section} {0}"
    before, after = prompt_parts(dialogue, "plan")
    assert (before, after) == ("note plan: ", "")


def test_a_run_record_changes_prompt_limits_and_decoding():
    run = {
        "recipe": {
            "prompt": "{section} of: {input} =",
            "prompt_without_section": None,
            "max_input_tokens": 77,
            "decoding": {"num_beams": 4, "max_new_tokens": None},
        }
    }
    task = for_run(get_task("dialogue"), run)
    assert build_prompt(task, "A", "plan") == "plan of: A ="
    assert build_prompt(task, "A") == " of: A ="
    assert task.max_input_tokens == 77
    assert task.decoding == Decoding(num_beams=4, max_new_tokens=448)


@pytest.mark.parametrize("run", [None, {}, {"recipe": {}}, {"recipe": {"prompt": None}}])
def test_a_run_record_that_says_nothing_changes_nothing(run):
    assert for_run(get_task("radiology"), run) == get_task("radiology")


@pytest.mark.parametrize("prompt", ["no input", "{input} {input}", "{input} {other}"])
def test_a_prompt_that_cannot_be_filled_is_refused(prompt):
    with pytest.raises(ValueError, match="must hold"):
        for_run(get_task("radiology"), {"recipe": {"prompt": prompt}})


def test_decoding_round_trips_and_refuses_what_it_does_not_know():
    decoding = Decoding(num_beams=4, max_new_tokens=20, length_penalty=0.8, min_new_tokens=3)
    assert Decoding.from_dict(decoding.to_dict()) == decoding
    with pytest.raises(ValueError, match="temperature"):
        Decoding.from_dict({"temperature": 1.0})


@pytest.mark.parametrize(
    "values",
    [
        {"num_beams": 0},
        {"num_beams": True},
        {"num_beams": 2.0},
        {"max_new_tokens": 0},
        {"max_new_tokens": 10**9},
        {"length_penalty": float("nan")},
        {"length_penalty": "1"},
        {"end_bias": float("nan")},
        {"end_bias": 11},
        {"copy_bias": -10.5},
        {"least_windows": -0.1},
        {"least_windows": 1.1},
        {"least_windows": True},
        {"lexicon": 1},
        {"lexicon": "yes"},
        {"flag": 1},
        {"no_repeat_ngram_size": -1},
        {"max_new_tokens": 5, "min_new_tokens": 6},
    ],
)
def test_decoding_out_of_range_is_refused_by_name(values):
    with pytest.raises(ValueError, match=next(iter(reversed(values)))):
        Decoding(**values)


@pytest.mark.parametrize("tokens", [-5, 0, "many", 2.5, True])
def test_an_adapter_whose_record_gives_an_impossible_length_is_refused(tokens):
    with pytest.raises(ValueError, match="max_input_tokens is .*: it must be a whole number"):
        for_run(get_task("radiology"), {"recipe": {"max_input_tokens": tokens}})


@pytest.mark.parametrize(
    ("settings", "windows", "words"),
    [
        (
            {"no_repeat_ngram_size": 3},
            None,
            "greedy, no 3 tokens in a row twice, at most 64 tokens",
        ),
        ({}, 40, "greedy, at most 64 tokens in each window of 40 words"),
        ({}, 25, "greedy, at most 64 tokens in each window of 25 to 40 words"),
        ({}, 1_200, "greedy, at most 64 tokens in each window of 1,200 words"),
        ({"end_bias": -0.5}, None, "greedy, end mark -0.5, at most 64 tokens"),
        ({"copy_bias": 1.5}, None, "greedy, what the text says next +1.5, at most 64 tokens"),
        ({"flag": True}, None, "greedy, findings first, at most 64 tokens"),
        (
            {"least_windows": 0.1},
            25,
            "greedy, 10% of a text's windows never silent, at most 64 tokens in each window of 25 to "
            "40 words",
        ),
        (
            {"lexicon": True},
            None,
            "greedy, real words and the text's numbers and sides only, at most 64 tokens",
        ),
        (
            {"num_beams": 4, "length_penalty": 0.6, "min_new_tokens": 1},
            None,
            "4 beams, length penalty 0.6, at least 1 token, at most 64 tokens",
        ),
    ],
)
def test_decoding_is_told_whole(settings, windows, words):
    assert decoding_words(Decoding(max_new_tokens=64, **settings).to_dict(), windows) == words


def test_decoding_that_nobody_recorded_is_said_so():
    assert decoding_words({}) == "decoding not recorded"
