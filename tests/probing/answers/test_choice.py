"""Parser of answers to questions with options: a table of cases, and invariants."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe.probing.answers import parse_choice

OPTIONS = ["a bird", "a song bird", "a dog", "weather"]
CASES = {
    0: [
        "a BIRD", "Bird, not dog", "A", "a", "A.", "Answer A", "**Answer: A**", "a.", "Answer: A",
        "A bird.", "bird", "A) a bird",
    ],
    1: [
        "The correct answer is (B).", "**B**", "B) a song bird", "B: a song bird", "song-bird",
        "songbird", "It is a song bird.", "B", "The answer is b", "A song bird",
    ],
    2: [
        "Answer: C", "**C**", "(C)", "C)", "C.", "[C]", "Option C", "option c.", "\\\\boxed{C}",
        "\\\\boxed{\\\\text{C}}", "{\"answer\": \"C\"}",
        "{\"choice\": \"C\", \"reason\": \"a dog barks\"}", "<answer>C</answer>",
        "<answer>a dog</answer>", "The answer is C.", "The answer is (C) a dog.",
        "The correct option is C.", "I choose C.", "I would choose C.", "I would pick option C.",
        "I pick C", "My choice is C.", "It's C.", "C: a dog", "C - a dog",
        "C) a dog. Because it barks.", "c", "The answer is: C", "Final Answer: C",
        "Answer: C. a dog", "Answer:C", "Answer is C", "Antwort: C", "Réponse : C", "答案：C",
        "选项C", "正解はC", "정답: C", "Ответ: C", "Option C, not option B.", "I think C",
        "I think it's C.", "The sound is a dog barking.", "It sounds like a dog.", "Sure! A dog.",
        "It is definitely a dog.", "Only a dog", "a dog and not a bird", "not a bird, but a dog",
        "Answer: C (a dog)", "A dog is heard", "C is correct.", "C is the right answer.",
        "C is the best option", "The correct answer is option C: a dog.", "Letter C",
        "the letter C", "The answer is C) dog", "Answer: **C**", "C", "option (c)", "(C) a dog",
        "\\boxed{C}", "$C$", "C. It is a dog", "C - dog", "C\n\nExplanation: barks",
        "C because it barks", "The third option.", "It is not a bird but a dog.",
        "It is a dog, not a bird.", "A dog, no bird", "I think it's a dog. Is that right?",
        "A dog. Do you want more?", "dogs", "a dog's bark", "Dogs barking",
        "<think>A bird? no, a dog barks.</think> A dog.", "<think>could be a bird</think>C",
        "{\"answer\": \"a dog\"}", "```\nC\n```", "A dog", "DOG!", "(c)", "It's a dog, I think.",
    ],
    3: [
        "Weather", "Option D.",
    ],
    None: [
        "Not C.", "It is not C.", "C is wrong.", "C or B", "Either B or C", "B, no wait, C",
        "Option B or option C", "Maybe C", "C?", "Of the options, a dog.",
        "I don't think it is a dog.", "I don't think it's C", "This is not a dog.",
        "Das ist kein dog", "Ce n'est pas a dog", "No dog here", "Without a dog",
        "A dog. Scratch that, a bird.", "Please provide the audio. Is it a dog?",
        "As an AI I cannot hear. A dog", "A dog, but maybe a bird", "A dog but also a bird",
        "None of the above", "All of the above", "a birdhouse", "neither", "Not sure. C",
        "Definitely not a dog", "The answer is C because a dog barks and a bird sings.",
        "Dog > bird", "A is correct.", "I hear C", "Vitamin C", "C major", "D minor", "B flat",
        "Plan B", "C or D", "C, D", "B and C", "a dog rather than a bird", "puppy", "A cat.",
        "A: a cat", "I", "I. ", "Not a bird.", "It isn't a bird.", "It is no bird.",
        "It does not sound like a dog.", "There is no dog", "cannot be a dog",
        "I don't hear a dog.", "never a dog", "It's not really a dog", "anything but a dog",
        "neither a dog nor a bird", "neither a dog", "I am not sure, maybe a dog",
        "I cannot tell. A dog?", "It could be a dog.", "a song bird or a bird",
        "a bird; a song bird", "It is a bird, a song bird.", "A bird or a dog", "a cat", "",
        "Not a dog.", "Is it a dog?", "E", "dogma",
    ],
}  # fmt: skip


@pytest.mark.parametrize("position", CASES)
def test_each_case_has_its_option(position: int | None) -> None:
    read = {text: parse_choice(text, OPTIONS) for text in CASES[position]}
    assert read == dict.fromkeys(CASES[position], position)


OTHER_OPTIONS = [
    ("It is not (B)", ["a dog", "a cat"], None),
    ("(B), not (A)", ["a dog", "a cat"], 1),
    ("It is not a dog or a cat", ["a dog", "a cat"], None),
    ("It isn't a bird or a cat", ["a dog", "a cat"], None),
    ("A cat and not a dog", ["a dog", "a cat"], 1),
    ("a dog can be excluded", ["a dog", "a cat"], None),
    ("答えはBです", ["a dog", "a cat"], 1),
    ("\ue001", [""], None),
    ('{"answer": "\\ue001"}', ["a dog", "a cat"], None),
    ("Café", ["a café", "a cafe", "a bar", "rain"], 0),
    ("café", ["a café", "a bar"], 0),
    ("STRASSE", ["a straße", "a bar"], 0),
    ("İstanbul", ["İstanbul", "x"], 0),
    ("鸟", ["鸟", "狗"], 0),
    ("狗叫声", ["鸟", "狗"], 1),
    ("是狗。", ["鸟", "狗"], 1),
    ("答案是B", ["鸟", "狗"], 1),
    ("犬です", ["鳥", "犬"], 1),
    ("собака", ["птица", "собака"], 1),
    ("C++", ["c", "c++"], 1),
    ("It is (loud).", ["(loud)", "quiet"], 0),
    ("a bird (crow)", ["a bird (crow)", "a bird (owl)"], 0),
    ("rock & roll", ["rock & roll", "rock"], 0),
    ("rock & roll", ["rock", "rock & roll"], 1),
    ("*", ["*", "x"], 0),
    ("R&B", ["R&B", "B"], 0),
    ("an _underscore_", ["an _underscore_", "x"], 0),
    ('the "bell"', ['the "bell"', "x"], 0),
    ("snare_drum", ["snare_drum", "bass_drum"], 0),
    ("a hi-hat", ["a hat", "a hi-hat"], 1),
    ("hi hat", ["a hat", "a hi hat"], 1),
    ("Dog", ["Dog", "dog"], None),
    ("a dog", ["a dog", "the dog"], None),
    ("an apple", ["an apple", "a pineapple"], 0),
    ("a pineapple", ["an apple", "a pineapple"], 1),
    ("E", ["a", "b", "c"], None),
    ("a", ["a", "b", "c"], 0),
    ("b", ["c", "b", "a"], 1),
    ("A", ["b", "a"], None),
    ("B", ["b", "a"], None),
    ("", [], None),
    ("x", [""], None),
    ("a", ["the a", "b"], 0),
    ("1", ["one", "two"], None),
    ("2", ["2", "1"], 0),
    ("1.", ["2", "1"], 1),
    ("Option 2", ["a dog", "a cat"], 1),
    ("2. a cat", ["a dog", "a cat"], 1),
    ("1) a dog", ["a dog", "a cat"], 0),
    ("是狗", ["鸟", "狗"], 1),
    ("不是狗", ["鸟", "狗"], None),
    ("是狗，不是鸟", ["鸟", "狗"], 1),
    ("개입니다", ["새", "개"], 1),
    ("개가 아닙니다", ["새", "개"], None),
    ("犬ではありません", ["鳥", "犬"], None),
    ("Das ist ein Hund.", ["ein Vogel", "ein Hund"], 1),
    ("C++", ["C", "C++", "C#"], 1),
    ("C#", ["C", "C++", "C#"], 2),
    ("C", ["C", "C++", "C#"], None),
    ("rock'n'roll", ["rock'n'roll", "rock"], 0),
    ("no bird", ["a bird", "no bird"], 1),
    ("half note", ["half note", "x"], 0),
    ("not sure", ["not sure", "sure"], 0),
    ("a snare-drum", ["a snare_drum", "x"], 0),
    ("2", ["1", "2"], 1),
    ("Option 2", ["1", "2"], 1),
    ("10", ["1", "10"], 1),
    ("café", ["café", "x"], 0),
    ("3", ["3", "4", "5"], 0),
    ("A, B", ["A", "B"], None),
    ("A", ["A", "B"], 0),
    ("Yes", ["yes", "no"], 0),
    ("No", ["yes", "no"], 1),
    ("it", ["it", "x"], 0),
    ("AC/DC", ["AC/DC", "ABBA"], 0),
    ("St. Bernard", ["St. Bernard", "x"], 0),
    ("Mr. Ed's horse", ["x", "Mr. Ed's horse"], 1),
    (".NET", [".NET", "x"], 0),
    ("NET", [".NET", "NET"], None),
]


@pytest.mark.parametrize(("text", "options", "position"), OTHER_OPTIONS)
def test_answers_to_other_options(text: str, options: list[str], position: int | None) -> None:
    assert parse_choice(text, options) == position


NAMES = [
    "a drum (bass)", "bass_drum", "a *star*", 'the "bell"', "C++", "rock & roll", "Käuzchen", "鸟",
    "狗", "собака", "half note", "may bug", "no bird", "St. Bernard", "AC/DC", "hi-hat", "(loud)",
]  # fmt: skip
AROUND = (
    "{}", "{}.", "**{}**", "It is {}.", "The answer is {}.", "<answer>{}</answer>", "Answer: {}",
    "<think>Perhaps not {}</think>{}", "{}. Do you want to know more?", "Sure! {}", "{} Thanks!",
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.permutations(NAMES), st.sampled_from(AROUND), st.sampled_from(("NFC", "NFD", "NFKC")))
def test_a_repeated_option_is_chosen_for_any_name(
    options: list[str], around: str, form: str
) -> None:
    for n, option in enumerate(options):
        text = unicodedata.normalize(form, around.format(option, option))  # type: ignore[arg-type]
        assert parse_choice(text, options) == n


@given(st.text(), st.lists(st.text(), max_size=5))
def test_any_text_gives_an_option_or_none(text: str, options: list[str]) -> None:
    position = parse_choice(text, options)
    assert position is None or 0 <= position < len(options)
