"""Merge tensors in memory: two pure functions over mappings name -> tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from traitgraph.runtime.tensors.checkpoint import FLOATS, MergeError, dtype_name, matrix_shape
from traitgraph.runtime.tensors.rounding import check_finite
from traitgraph.runtime.vectors.differences import (
    Difference,
    TensorDifference,
    have_equal_bits,
    is_float,
    piece_size,
    pieces,
    rows_of,
)
from traitgraph.specs.study.merge_methods import MergeMethod

from .composition import Composition
from .methods import merge_options

if TYPE_CHECKING:
    import torch


Tensors = Mapping[str, "torch.Tensor"]
_FORMATS = "float32, bfloat16, float16 or float64"


def merge_state_dicts(
    base: Tensors,
    tuned: Sequence[Tensors],
    *,
    method: str | MergeMethod,
    weights: Sequence[float],
    density: float | None = None,
    scale: float = 1.0,
    conventions: str = "paper",
    seed: int = 0,
    dtype: torch.dtype | str | None = None,
    **options: Any,
) -> dict[str, torch.Tensor]:
    """The merged model: every tensor of `base`, changed by the fine-tunes `tuned` with one weight (alpha) each.

    method       a name ("task_arithmetic", "ties", "dare_ties", ...) or options made before (`Ties(density=0.2)`)
    density      share of the elements that is kept, for methods that take elements out; absent: the method's own
    scale        lambda, one factor after the merge
    conventions  paper | authors | mergekit | peft | mergelm | personality-vector-repo
    seed         of the random masks; a mask depends on it, on the fine-tune's values and on the tensor's name alone
    dtype        float32, bfloat16, float16 or float64 of the result, or its name; absent: each tensor keeps the base's
    options      further options of the method, see `traitgraph.specs.study.merge_methods`

    Shapes are those of `base`, tensors may be on any device and are not changed; the arithmetic is float32, rounded
    once. weights 0 give the base bit for bit, one fine-tune at weight 1 with a linear method gives that fine-tune bit
    for bit (but for the sign of zeros, and in float64 what float32 cannot hold). Integer and float8 tensors must be
    equal in all and are copied. Raises MergeError: other names or shapes, float against integer, NaN or infinity,
    unknown options, anything but tensors and numbers where these are needed.

    >>> import torch
    >>> base, tuned = {"w": torch.zeros(2)}, {"w": torch.tensor([1.0, -2.0])}
    >>> merge_state_dicts(base, [tuned], method="task_arithmetic", weights=[0.5])["w"]
    tensor([ 0.5000, -1.0000])
    """
    tuned, form = tuple(tuned), _number_format(dtype)
    _tensors(base, "the base")
    for place, each in enumerate(tuned):
        _check_same_tensors(base, _tensors(each, f"fine-tune {place}"))
    chosen = _options(method, density, scale, conventions, seed, options)
    vectors = [TensorDifference(each, base=base) for each in tuned]
    merge = Composition(
        vectors, _numbers(weights), chosen, base=lambda name, *rows: rows_of(base[name], *rows), base_names=base
    )
    return {
        name: _merged(merge, name, tensor, form)
        if name in merge.names
        else tensor.detach().clone().to(form if form and is_float(tensor) else tensor.dtype)
        for name, tensor in base.items()
    }


def merge_vectors(
    vectors: Sequence[Tensors | Difference],
    *,
    method: str | MergeMethod,
    weights: Sequence[float],
    density: float | None = None,
    scale: float = 1.0,
    conventions: str = "paper",
    seed: int = 0,
    **options: Any,
) -> dict[str, torch.Tensor]:
    """What a merge adds to the base, from the differences alone: float32, in the shapes of the vectors.

    `vectors` are mappings name -> tensor, or vectors loaded by `load_vector` of the room `vectors`; a tensor that
    a vector does not have counts as zero. Options as in `merge_state_dicts`. Raises MergeError, also for methods that
    need the base itself (slerp, linear without normalise).

    >>> import torch
    >>> merge_vectors([{"w": torch.tensor([3.0, 1.0])}, {"w": torch.tensor([1.0, -2.0])}],
    ...               method="ties", weights=[1, 1], density=1.0)["w"]
    tensor([ 2., -2.])
    """
    import torch

    chosen = _options(method, density, scale, conventions, seed, options)
    differences = [_as_difference(each, f"vector {place}") for place, each in enumerate(vectors)]
    merge = Composition(differences, _numbers(weights), chosen)
    changes = {}
    for name in merge.names:
        change = torch.cat([torch.empty(0), *(merge.change(name, *rows) for rows in pieces(merge.shape(name)))])
        check_finite(change, name)
        changes[name] = change.reshape(merge.shape(name))
    return changes


def _options(
    method: str | MergeMethod, density: float | None, scale: float, conventions: str, seed: int, more: Mapping[str, Any]
) -> MergeMethod:
    """Options of the method; arguments at their defaults neither ask for an option nor change ready-made ones."""
    given = {"density": density, "scale": None if scale == 1.0 else scale, "seed": seed or None, **more}
    return merge_options(method, {"conventions": None if conventions == "paper" else conventions, **given})


def _as_difference(vector: Tensors | Difference, where: str) -> Difference:
    if isinstance(vector, Difference):
        return vector
    tensors = _tensors(vector, where)
    for name, tensor in tensors.items():
        if not is_float(tensor):
            raise MergeError(f"tensor '{name}' of {where} is {tensor.dtype}: a difference is {_FORMATS}")
    return TensorDifference(tensors)


def _number_format(dtype: torch.dtype | str | None) -> torch.dtype | None:
    import torch

    if dtype is None:
        return None
    if (name := dtype_name(dtype)) not in FLOATS:
        raise MergeError(f"dtype: the result is {_FORMATS}, not {dtype}")
    found: torch.dtype = getattr(torch, name)
    return found


def _numbers(weights: Sequence[float] | str) -> list[float]:
    """The coefficients as plain numbers; elements of arrays and tensors are numbers too."""
    try:
        if not isinstance(weights, str):
            return [float(weight) for weight in weights]
        raise TypeError("a text is not a list of numbers")
    except (TypeError, ValueError, RuntimeError) as error:
        raise MergeError(f"weights: a list with one number for each vector is needed, not {weights!r}") from error


def _tensors(tensors: object, where: str) -> Tensors:
    """The mapping as it is. Raises MergeError unless it leads from names to tensors with values."""
    import torch

    if not isinstance(tensors, Mapping):
        raise MergeError(f"{where} is a {type(tensors).__name__}: a mapping from names to tensors is needed")
    for name, tensor in tensors.items():
        if not isinstance(tensor, torch.Tensor):
            raise MergeError(f"'{name}' of {where} is a {type(tensor).__name__}: a torch tensor is needed")
        if tensor.is_meta or tensor.layout is not torch.strided or tensor.is_quantized:
            kind = "on the device meta" if tensor.is_meta else "sparse or quantised"
            raise MergeError(f"tensor '{name}' of {where} is {kind}: a tensor with all its values is needed")
    return tensors


def _check_same_tensors(base: Tensors, tuned: Tensors) -> None:
    if missing := [name for name in base if name not in tuned] + [name for name in tuned if name not in base]:
        side = "base" if missing[0] in tuned else "fine-tune"
        raise MergeError(f"tensor '{missing[0]}' is missing in the {side}: both must hold the same tensors")
    for name, tensor in base.items():
        other = tuned[name]
        if tensor.shape != other.shape:
            raise MergeError(
                f"tensor '{name}' has shape {list(tensor.shape)} in the base, {list(other.shape)} in a fine-tune"
            )
        if is_float(tensor) != is_float(other):
            raise MergeError(f"tensor '{name}' is {tensor.dtype} in the base and {other.dtype} in a fine-tune")
        if not is_float(tensor) and not have_equal_bits(tensor, other):
            raise MergeError(
                f"tensor '{name}' is {tensor.dtype} and differs: integers, float8 and packed weights are not subtracted"
            )


def _merged(merge: Composition, name: str, base: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    import torch

    result = torch.empty(base.shape, dtype=dtype or base.dtype, device=base.device)
    flat, width = result.view(-1), matrix_shape(tuple(base.shape))[1]
    for first, last in pieces(tuple(base.shape), piece_size(base.device)):
        made = merge.rounded(name, first, last, rows_of(base, first, last), result.dtype)
        flat[first * width : last * width] = made
    return result
