"""What a model may be, and what is said of one that may not."""

import json
import math

import pytest
import torch

from herd_tracking.events import TrackingError
from herd_tracking.model import PRESETS, HitClassifier, ModelConfig, best_precision
from herd_tracking.model.config import preset


@pytest.mark.parametrize("name", PRESETS)
def test_a_config_survives_json(name):
    # given a preset, when written and read, then it is the same
    assert ModelConfig.from_dict(json.loads(json.dumps(PRESETS[name].to_dict()))) == PRESETS[name]


def test_presets_are_eighteen_layers_of_128():
    assert {(p.layers, p.hidden) for p in PRESETS.values()} == {(18, 128)}
    assert (PRESETS["slides"].residual, PRESETS["slides"].norm) == (False, "none")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ModelConfig(layers=0), "layers is 0, but must be at least 1"),
        (lambda: ModelConfig(hidden=-1), "hidden is -1"),
        (lambda: ModelConfig(norm="batch", residual=True), "norm is 'batch'; allowed are none, layer"),
        (lambda: ModelConfig(init="zero"), "init is 'zero'; allowed are pyg, he"),
        (lambda: ModelConfig(norm="layer"), "needs residual=True"),
        (lambda: ModelConfig(features=()), "no features named"),
        (lambda: preset("wide"), "no preset 'wide'; there are slides, deep"),
        (lambda: ModelConfig.from_dict({"layers": 2, "depth": 3}), "fields depth, .*unknown or missing"),
        (lambda: HitClassifier(PRESETS["slides"], "fp16"), "precision is 'fp16'; allowed are fp32, bf16"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(make, says):
    with pytest.raises(TrackingError, match=says):
        make()


def test_pyg_and_he_initial_weights_have_their_bounds():
    # given both ways to begin
    pyg, he = (HitClassifier(preset("slides", init=init)).convs[5] for init in ("pyg", "he"))
    # then uniform weights fill their ranges: 1/sqrt(128), and sqrt(6/256)
    assert 0.99 < pyg.lin_l.weight.abs().max().item() * math.sqrt(128) <= 1
    assert 0.99 < he.lin_r.weight.abs().max().item() / math.sqrt(6 / 256) <= 1
    assert not he.lin_l.bias.any()


def test_best_precision_is_one_of_the_two():
    assert best_precision("cpu") == ("bf16" if torch.cpu._is_avx512_bf16_supported() else "fp32")
