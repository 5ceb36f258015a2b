"""What may enter a site's script: every other character is refused, and whatever enters is one word."""

import shlex
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayster_spawner import interlink

LETTERS = string.ascii_letters + string.digits
# Pattern, a text that it allows, and the characters that may stand in the middle of it besides letters and digits.
WHITELISTS = {
    "image": (interlink.IMAGE_PATTERN, "a/b:1", "._/:@+-"),
    "sif": (interlink.SIF_PATTERN, "/opt/x.sif", "._/+@-"),
    "path": (interlink.PATH_PATTERN, "/opt/x", "._/+@=-"),
    "user-path": (interlink.USER_PATH_PATTERN, "/home/{username}/x", "._/+@=-"),
    "environment-name": (interlink.ENV_NAME_PATTERN, "ABC", "_"),
    "slurm-word": (interlink.SLURM_WORD_PATTERN, "boost_usr", "._+-"),
    "constraint": (interlink.SLURM_CONSTRAINT_PATTERN, "a100", "._,&|+-"),
    "gres": (interlink.GRES_PATTERN, "gpu:a100:{n}", "._-"),
    "sbatch-option": (interlink.SLURM_FLAG_PATTERN, "--exclude=abcdef", "._,:/@%+=[]-"),
    "apptainer-option": (interlink.APPTAINER_OPTION_PATTERN, "--nv", "._,:/@%+=-"),
    "annotation": (interlink.ANNOTATION_VALUE_PATTERN, "docker://", "._,:/@%+=- "),
    "label": (interlink.LABEL_VALUE_PATTERN, "abc", "._-"),
}
OTHERS = [*string.printable, "\x00", "\x7f", "\x85", "\u2028", "\u00a0", "é", "١", "ａ"]


@pytest.mark.parametrize("pattern,good,marks", WHITELISTS.values(), ids=WHITELISTS)
def test_no_other_character_is_let_in(pattern, good, marks):
    assert interlink.matches(pattern, good)
    middle = good.rindex("00") if "00" in good else good.rindex(good[-1])
    for character in OTHERS:
        if character not in LETTERS + marks:
            assert not interlink.matches(pattern, good[:middle] + character + good[middle:]), repr(character)
        if character in string.whitespace or character in "$`;'\"\\#<>()*?~!\x00":
            assert not interlink.matches(pattern, good + character), repr(character)
            assert not interlink.matches(pattern, character + good), repr(character)


@pytest.mark.parametrize(
    "name", ["image", "sif", "path", "user-path", "slurm-word", "constraint", "annotation"]
)
def test_a_value_cannot_be_taken_for_an_option(name):
    pattern, good, _ = WHITELISTS[name]
    assert not interlink.matches(pattern, f"-{good}")


def test_a_word_among_words_cannot_be_taken_for_an_option():
    assert not interlink.matches(interlink.ANNOTATION_VALUE_PATTERN, "a --uid=0")


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\x00"))))
def test_any_words_come_out_of_the_shell_as_they_went_in(words):
    assert shlex.split(interlink.render_words(words)) == words
    assert shlex.split(interlink.render_flags(words)) == words


def test_a_home_is_one_word_of_the_lines_that_make_it():
    for script in (interlink.render_pre_exec("", "/a b;id"), interlink.render_command_prefix("", "/a b;id")):
        assert "'/a b;id'" in script.replace("'\"'\"'", "'")
