"""What every method has. The methods themselves stand in `methods.py` and `prompts.py`."""

from __future__ import annotations

from typing import ClassVar

from traitgraph.specs.fields.base import Spec


class Method(Spec):
    """One way to induce personality, with its parameters.

    `uses` lists the keys of an arm that change its subjects, `needs` those it cannot do without; any other key of the
    arm has no effect and is an error. A plugin's method is a subclass with a `kind` of its own.
    """

    kind: str
    uses: ClassVar[frozenset[str]] = frozenset()
    needs: ClassVar[tuple[str, ...]] = ()
    trains_by: ClassVar[str | None] = None
    """The only training method that fits, if there is one."""

    makes_vectors: ClassVar[bool] = False
    """Whether personality vectors come into being, which analyses may compare."""

    def own_axes(self) -> dict[str, tuple[object, ...]]:
        """Axes among the method's own parameters, by name: intensity, layer, coefficient."""
        return {}
