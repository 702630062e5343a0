"""Values over the layers: each tower of a model counts its own, from its first to its last."""

from __future__ import annotations

import pytest

from traitgraph.runtime.merging import MergeError, merge_state_dicts, merge_vectors
from traitgraph.runtime.vectors.extraction import layer_norms
from traitgraph.runtime.vectors.layers import Gradient, towers_of

TOWERS = {
    "model.language_model.layers": 4,
    "model.vision_tower.encoder.layers": 2,
    "model.audio_tower.blocks": 3,
    "decoder.block": 1,
}
NAMES = [f"{tower}.{layer}.w" for tower, layers in TOWERS.items() for layer in range(layers)]


def test_every_tower_runs_from_its_own_first_layer_to_its_own_last() -> None:
    towers = towers_of([*NAMES, "lm_head.weight"])
    found = [Gradient((0.0, 1.0)).at(name, towers) for name in NAMES]
    assert found == pytest.approx([0, 1 / 3, 2 / 3, 1, 0, 1, 0, 1 / 2, 1, 1])


def test_coefficients_densities_and_factors_over_the_layers_count_by_tower() -> None:
    import torch

    base = {name: torch.zeros(2) for name in NAMES}
    tuned = {name: torch.ones(2) for name in NAMES}
    found = merge_state_dicts(base, [tuned], method="task_arithmetic", weights=[1], layer_weights=[0, 1])
    assert [float(found[name][0]) for name in NAMES] == pytest.approx([0, 1 / 3, 2 / 3, 1, 0, 1, 0, 1 / 2, 1, 1])


def test_layers_that_a_vector_does_not_change_are_layers_of_the_base() -> None:
    """An adapter on the first two of four layers ends at a third of the way."""
    import torch

    from traitgraph.runtime.merging.composition import Composition
    from traitgraph.runtime.vectors.differences import TensorDifference
    from traitgraph.specs.study.merge_methods import TaskArithmetic

    names = [f"model.layers.{layer}.w" for layer in range(4)]
    vector = TensorDifference({name: torch.ones(2) for name in names[:2]}, "v")
    merge = Composition([vector], [1.0], TaskArithmetic(layer_weights=(0.0, 3.0)), base_names=names)
    assert [merge.coefficients(name) for name in names[:2]] == [[0.0], [1.0]]


def test_factors_over_the_layers_are_not_divided_out_of_a_mean_by_weight() -> None:
    import torch

    vector = {f"model.layers.{layer}.w": torch.ones(2) for layer in range(3)}
    found = merge_vectors([vector], method="ties", weights=[2], density=1.0, mean="weight", layer_weights=[0, 1])
    assert [float(each[0]) for each in found.values()] == [0.0, 0.5, 1.0]


def test_norms_by_layer_tell_towers_apart_where_there_are_several() -> None:
    assert layer_norms({"model.layers.0.w": 4.0, "lm_head.weight": 9.0}) == {"0": 2.0, "rest": 3.0}
    both = layer_norms({"model.layers.0.w": 4.0, "visual.blocks.0.w": 9.0})
    assert both == {"model.layers.0": 2.0, "visual.blocks.0": 3.0}


def test_ranks_of_a_tensor_with_more_axes_are_refused_where_mergekit_counts_them_otherwise() -> None:
    import torch

    vector = {"experts": torch.ones(2, 3, 4)}
    assert merge_vectors([vector], method="della_linear", weights=[1], density=1.0)["experts"].shape == (2, 3, 4)
    with pytest.raises(MergeError, match="della: 'experts' has 3 axes, which conventions 'mergekit' rank otherwise"):
        merge_vectors([vector], method="della", weights=[1], conventions="mergekit")
