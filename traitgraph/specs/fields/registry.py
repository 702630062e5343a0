"""Named things that a package outside may add to: methods, benchmarks, merge methods, and what runs them.

Knows names and how to import; must not know what the things are. Built-ins are given as a table by the registry's
owner, so a reader finds them in one place; plugins come from entry points and are looked for only when a name is not
built in (reading the entry points of an environment costs more than checking a spec).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar

T = TypeVar("T")


class UnknownNameError(KeyError):
    """A name that no built-in and no plugin has; says which names are near and which there are."""

    def __init__(self, noun: str, name: str, names: tuple[str, ...]) -> None:
        self.noun, self.name, self.names = noun, name, names
        super().__init__(f"unknown {noun} {name!r}; there are: {', '.join(names)}")


class DuplicateNameError(ValueError):
    """Two places claim one name."""

    def __init__(self, noun: str, name: str, first: object, second: object) -> None:
        super().__init__(f"{noun} {name!r} is registered twice: by {first} and by {second}")


class Registry(Generic[T]):
    """Things of one kind by name; a target may be "module:attribute" and is then imported on first use.

    `noun` is for messages ("merge method"), `group` the group of entry points of plugins ("traitgraph.merge_methods").
    """

    def __init__(self, noun: str, group: str, builtin: Mapping[str, T | str]) -> None:
        self.noun, self.group = noun, group
        self.problems: list[str] = []
        """One sentence for each plugin that could not be loaded; the others still work."""
        self.builtin = frozenset(builtin)
        self._targets: dict[str, T | str] = dict(builtin)
        self._plugins_read = False

    def register(self, name: str, target: T | str) -> None:
        """Add a thing by hand. Raises DuplicateNameError when the name is taken."""
        if name in self._targets:
            raise DuplicateNameError(self.noun, name, self._targets[name], target)
        self._targets[name] = target

    def get(self, name: str) -> T:
        """The thing of that name. Raises UnknownNameError, or what importing it raises."""
        if name not in self._targets:
            self._read_plugins()
        if name not in self._targets:
            raise UnknownNameError(self.noun, name, self.names())
        target = self._targets[name]
        if isinstance(target, str):
            self._targets[name] = target = imported(target)
        return target

    def __contains__(self, name: str) -> bool:
        """Whether the name is known without looking for plugins."""
        return name in self._targets

    def names(self) -> tuple[str, ...]:
        """Every name, built-ins first, then plugins."""
        self._read_plugins()
        return tuple(self._targets)

    def items(self) -> Iterator[tuple[str, T]]:
        """Every name with its thing."""
        return ((name, self.get(name)) for name in self.names())

    def _read_plugins(self) -> None:
        if self._plugins_read:
            return
        self._plugins_read = True
        from importlib.metadata import entry_points

        for entry in entry_points(group=self.group):
            self._add_plugin(entry.name, entry.value)

    def _add_plugin(self, name: str, value: str) -> None:
        if name in self._targets:
            self.problems.append(f"{self.noun} {name!r} of {value} is ignored: the name is taken")
            return
        try:
            self._targets[name] = imported(value)
        except Exception as problem:  # a plugin may fail in any way, and must not take the program with it
            self.problems.append(f"{self.noun} {name!r} of {value} cannot be loaded: {problem}")


def imported(target: str) -> T:  # type: ignore[type-var]  # the table's owner vouches for the type
    """What "module:attribute" names."""
    module, _, attribute = target.partition(":")
    found: T = getattr(import_module(module), attribute)
    return found
