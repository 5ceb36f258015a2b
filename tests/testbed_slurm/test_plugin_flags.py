"""How the plugin reads sbatch flags from the annotation."""

import pytest

from rayster_testbed.slurm_plugin.flags import deduplicate, flag_key, split_flags, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("  -p  padova\t--time=1 ", ["-p", "padova", "--time=1"], id="spaces"),
        pytest.param('--comment="two words"', ["--comment=two words"], id="double quotes vanish"),
        pytest.param("--comment='a \"b\" $c'", ['--comment=a "b" $c'], id="single quotes keep double ones"),
        pytest.param("'' x", ["", "x"], id="an empty quoted word is a word"),
        pytest.param(r"a\ b '\c' \\", ["a b", r"\c", "\\"], id="backslash"),
        pytest.param('a"b c', ["ab c"], id="an open quote runs to the end"),
        pytest.param("a\\", ["a\\"], id="backslash at the end"),
        pytest.param("a\nb\r\nc", ["a", "b", "c"], id="line ends separate"),
        pytest.param('"a\nb"', ["a\nb"], id="a quoted line end stays"),
        pytest.param("a\u00a0b\u2003c", ["a", "b", "c"], id="unicode spaces"),
        pytest.param("a\x1cb", ["a\x1cb"], id="Go takes no separator characters for spaces"),
    ],
)
def test_words_are_split_like_the_plugin_does(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        pytest.param(
            "--account=X --time=00:05:00 --gres=gpu:1 -p padova",
            ["--account=X", "--time=00:05:00", "--gres=gpu:1", "-p padova"],
            id="in order",
        ),
        pytest.param('--comment="two words"', ["--comment=two words"], id="a value with a space"),
        pytest.param("--time=1\ntouch x", ["--time=1 touch x"], id="a bare line end joins"),
        pytest.param("stray -p x", ["stray", "-p x"], id="a stray word stands alone"),
        pytest.param("-p '' x", ["-p  x"], id="an empty word leaves its space"),
    ],
)
def test_flags_are_grouped_with_the_words_behind_them(text: str, flags: list[str]) -> None:
    assert split_flags(text) == flags


@pytest.mark.parametrize(
    ("flag", "key"),
    [
        ("-t 10", "--time"),
        ("--time=10", "--time"),
        ("-p=x", "--partition"),
        ("-tx", "-tx"),
        ("--mem 5", "--mem"),
        ("", ""),
    ],
)
def test_a_flag_is_known_by_its_long_name(flag: str, key: str) -> None:
    assert flag_key(flag) == key


def test_of_duplicates_the_last_value_stands_at_the_first_place() -> None:
    given = ["--time=1", "-p a", "-t 2", "--partition=b", " "]
    assert deduplicate(given) == ["-t 2", "--partition=b"]
