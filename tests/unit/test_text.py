"""Which characters may come in, what is trimmed, what can be seen, and what is alike."""

from time import process_time
from unicodedata import category, combining, normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from todo_domain import Invalid
from todo_domain import text as text_rules
from todo_domain.text import WHITE_SPACE, finder, fold, free_text, label, refuse_control_characters

ALLOWED = "\t\n\r"
MARKS = "\u0301\u0307\u0323\u0328\u0345\u05b0\u0f71\u1ab0\U0001d165"
LETTERS = st.characters(exclude_categories=["Cs"]) | st.sampled_from(
    "aSß\u0130\u0131Σςᾼ\u1f08ΐ\u1e9eǰﬃ가\u1100\u1161" + MARKS
)
TEXT = st.text(LETTERS, max_size=12)


def test_folding_twice_is_folding_once_for_every_code_point():
    for first in range(0, 0x110000, 0x100):
        apart = "|".join(map(chr, range(first, first + 0x100)))
        folded = fold(apart)
        assert fold(folded) == folded, f"one of the 256 from U+{first:04X}"
        assert max(map(len, folded.split("|"))) <= 3, f"one of the 256 from U+{first:04X}"


@given(TEXT)
@example("ᾳ\u0301")
@example("\u0345\u0301a\u0345")
def test_folding_twice_is_folding_once_for_every_text(text):
    assert fold(fold(text)) == fold(text)
    assert len(fold(text)) <= 3 * len(text)


@given(TEXT, st.sampled_from(["NFC", "NFD"]))
@example("ᾼ\u0301", "NFD")  # the accent comes before the iota, and must not end up behind it
def test_texts_that_are_canonically_the_same_fold_alike(text, form):
    assert fold(normalize(form, text)) == fold(text)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u0345")))
def test_a_text_folds_like_its_case_folding(text):
    assert fold(normalize("NFD", text).casefold()) == fold(text)


def canonical_caseless(text):
    """The form by its definition, which takes the square of the length of a run of marks."""
    return normalize("NFC", normalize("NFD", text).casefold())


DECOMPOSING_TO_MARKS = "\u0344\u0f73\u0f75\u0f81"
RUNS = st.lists(
    st.text(st.sampled_from(MARKS + DECOMPOSING_TO_MARKS), min_size=0, max_size=60)
    | st.text(st.sampled_from("aßé가\u1100\u1161ᾳ!😀…\u200d ")),
    max_size=6,
).map("".join)


@given(TEXT | RUNS)
@example("\u0327\u0344" * 20)  # a run without a letter before it
@example("\u0345\u0301a" + "\u0301" * 16)  # two such marks, and a long run later
@example("ᾂ" + "\u0345\u0327" * 20 + "\u200d" + "\u0327\u0301" * 20)
def test_folding_is_canonical_caseless_matching(text):
    assert fold(text) == canonical_caseless(text)


@given(st.text(st.characters(categories=["Mn", "Mc"]), min_size=40, max_size=120))
def test_folding_orders_a_long_run_of_any_marks_as_unicode_does(marks):
    assert fold("a" + marks) == canonical_caseless("a" + marks)


def test_what_makes_a_long_run_of_marks_is_seen_as_such():
    for code in range(0x110000):
        if combining(normalize("NFD", chr(code))[0]):
            assert text_rules._LONG_RUN.fullmatch(chr(code) * 16), f"U+{code:04X}"


def least_time(call):
    """The least processor time of three calls, in seconds: what others do on this machine does not count."""
    times = []
    for _ in range(3):
        begun = process_time()
        call()
        times.append(process_time() - begun)
    return min(times)


@pytest.mark.parametrize(
    "marks",
    ["\u0344" * 2_500 + "\u0327" * 2_499, "\u0f73" * 4_999, "\u0301\u0327" * 2_499, "\u0301\u0327\u200d" * 1_666],
    ids=["two runs", "decomposed", "in turns", "between joiners"],
)
def test_eight_times_as_many_marks_take_about_eight_times_as_long_to_fold(marks):
    once, eightfold = f"a{marks}", f"a{marks * 8}"
    assert least_time(lambda: fold(eightfold)) < 24 * least_time(lambda: fold(once))


PATTERNS = st.text(st.sampled_from("ab.*+?^$()[]{}|\\#&~- \n\t\u0301жß😀"), max_size=6)


@given(PATTERNS, PATTERNS, PATTERNS)
@example("", "", "")
@example("***=", "(?i)", "***=")
def test_a_finder_finds_what_is_in_a_text(before, searched, after):
    assert finder(searched)(before + searched + after)
    assert finder(searched)(before + after) is (searched in before + after)


@given(st.text(st.sampled_from("ab"), max_size=30), st.text(st.sampled_from("ab"), max_size=6))
def test_a_finder_finds_what_is_in_a_text_that_repeats_itself(text, searched):
    assert finder(searched)(text) is (searched in text)


@pytest.mark.parametrize("half", [49, 127])
def test_a_finder_takes_no_longer_for_a_longer_text_in_one_that_repeats_itself(half):
    texts = ["a" * 5_000] * 200
    short, long = (finder("a" * size + "b" + "a" * size) for size in (6, half))
    assert least_time(lambda: [*map(long, texts)]) < 3 * least_time(lambda: [*map(short, texts)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\xc9", "e\u0301"),
        ("Straße", "STRASSE"),
        ("ẞ", "ss"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("ﬃ", "FFI"),
        ("K", "\u212a"),
        ("Å", "\u212b"),
    ],
)
def test_these_are_the_same_ignoring_case(one, other):
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("e", "\xe9"), ("i", "\u0131"), ("i", "\u0130"), ("²", "2"), ("\uff21", "a"), ("a ", "a"), ("ﾊ", "ハ")],
)
def test_these_are_different_ignoring_case(one, other):
    assert fold(one) != fold(other)


def test_control_characters_and_surrogates_are_refused_and_named():
    for code in [*range(0x100), *range(0xD7F0, 0xE010), 0x2028, 0xFEFF, 0xFFFF, 0x10FFFF]:
        character = chr(code)
        if category(character) in {"Cc", "Cs"} and character not in ALLOWED:
            with pytest.raises(Invalid) as refusal:
                refuse_control_characters("title", f"ok {character}\x00")
            assert str(refusal.value) == f"title must not contain the character U+{code:04X}"
        else:
            refuse_control_characters("title", f"ok {character}")


def test_free_text_is_kept_as_it_is_up_to_its_limit():
    for text in ("", "  \n", "😀" * 5):
        assert free_text("description", text, 5) == text
    with pytest.raises(Invalid, match=r"^description must be at most 5,000 characters$"):
        free_text("description", "x" * 5_001, 5_000)


@given(st.text(st.sampled_from(WHITE_SPACE.replace("\v", "").replace("\f", "").replace("\x85", ""))))
def test_a_label_is_trimmed_of_every_white_space_and_of_nothing_else(space):
    for text in ("a", "a\u3000b", "\u200ba\u200b", "\ufeffa", "\u2060a"):
        assert label("title", space + text + space, 10) == text


def test_white_space_is_what_unicode_calls_so():
    assert set(WHITE_SPACE) == {chr(code) for code in range(0x110000) if chr(code).isspace()} - set("\x1c\x1d\x1e\x1f")


@pytest.mark.parametrize("size", [1, 255])
def test_a_label_is_measured_in_code_points_after_trimming(size):
    assert label("title", f" {'😀' * size}\n", 255) == "😀" * size


@pytest.mark.parametrize("text", ["", "   ", "\u3000\xa0", "x" * 256, "😀" * 256])
def test_a_label_that_is_empty_or_too_long_is_refused(text):
    with pytest.raises(Invalid, match=r"^title must be 1 to 255 characters$"):
        label("title", text, 255)


@pytest.mark.parametrize(
    "text", ["\u200b", "\u0301", "\ufeff\u2060", "\u3164", "\u2800\u115f", "\uffa0 \u1160", "\u20dd", "\U000e0041"]
)
def test_a_label_in_which_nothing_can_be_seen_is_refused(text):
    with pytest.raises(Invalid, match=r"^tags must contain a visible character$"):
        label("tags", text, 50)


@pytest.mark.parametrize("text", ["\u0301a", "\u200b.", "\ue000", "\u0903", "\uffff", "👩\u200d👧", "\u202eabc"])
def test_a_label_in_which_anything_can_be_seen_is_kept(text):
    assert label("tags", text, 50) == text


def test_control_characters_are_refused_before_anything_is_trimmed():
    for text in ("\x0b", "title\x0c", "\x85title", "\x1f"):
        with pytest.raises(Invalid, match=r"must not contain the character U\+"):
            label("title", text, 255)
