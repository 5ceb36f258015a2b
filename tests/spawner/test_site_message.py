"""The site's own words, taken out of what they are wrapped in."""

import pytest

from rayster_spawner.life.site_message import MAX_MESSAGE_CHARACTERS, site_words, why_it_failed

WRAPPED = (
    "error creating pod (HTTP 504): HTTP InterLink session CreatePod#7:  call exit status: 500. Body: {}"
)

WORDS = {
    "plain": ("out of memory", "out of memory"),
    "wrapped": (WRAPPED.format("sbatch: error: no"), "sbatch: error: no"),
    "wrapped twice": (WRAPPED.format(WRAPPED.format("inner")), "inner"),
    "html": (WRAPPED.format("a &lt;b&gt; &#39;c&#39;"), "a <b> 'c'"),
    "html twice": ("&amp;#34;x&amp;#34;", '"x"'),
    "lines": ("one\ntwo\r\n\n three ", "one; two; three"),
    "control characters": ("a\x1b[31mb\x00c\u202ed", "a [31mb c d"),
    "empty body": (WRAPPED.format(""), WRAPPED.format("").strip().replace("  ", " ")),
}


@pytest.mark.parametrize(("message", "words"), WORDS.values(), ids=WORDS)
def test_words(message, words):
    assert site_words(message) == words


def test_length_is_bounded():
    assert len(site_words("x" * 10**7)) == MAX_MESSAGE_CHARACTERS


WHY = {
    "sbatch": (
        ("ProviderFailed", WRAPPED.format("sbatch: error: invalid partition specified: nosuch")),
        "SLURM refused the job: sbatch: error: invalid partition specified: nosuch",
    ),
    "htcondor": (
        ("ProviderFailed", WRAPPED.format("condor_submit: ERROR: no such pool")),
        "HTCondor refused the job: condor_submit: ERROR: no such pool",
    ),
    "some plugin": (("ProviderFailed", "boom"), "The site refused the job: boom"),
    "silent plugin": (("ProviderFailed", ""), "The site refused the job and does not say why."),
    "exit status": (("Error: 15", ""), "The job ended with exit status 15."),
    "container": (("Error", "", 2), "The server ended with exit status 2."),
    "other": (("Evicted", "low on memory"), "Evicted: low on memory"),
    "nothing": (("", ""), "The pod failed and does not say why."),
}


@pytest.mark.parametrize(("said", "sentence"), WHY.values(), ids=WHY)
def test_why(said, sentence):
    assert why_it_failed(*said) == sentence
