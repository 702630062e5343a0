"""Named things that a package outside may add to: methods, benchmarks, merge methods, and what runs them.

Knows names and how to import; must not know what the things are. Built-ins are listed by the registry's
owner, so a reader finds them in one place; plugins come from entry points and are looked for only when a name is not
built in (reading the entry points of an environment costs more than checking a spec).

An entry point of the group `traitgraph.plugins` names a module, or an object with attributes: each registry takes the
members that are its own. Each registry has a group of its own as well, whose entry points name one thing each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar, Generic, TypeVar

T = TypeVar("T")

PLUGINS = "traitgraph.plugins"
"""The group of entry points whose modules may hold anything that a registry takes."""


class UnknownNameError(KeyError):
    """A name that no built-in and no plugin has; says which names are near and which there are."""

    def __init__(self, noun: str, name: str, names: tuple[str, ...]) -> None:
        self.noun, self.name, self.names = noun, name, names
        super().__init__(f"unknown {noun} {name!r}; there are: {', '.join(names)}")


class Registry(Generic[T]):
    """Things of one kind by name.

    `builtin` lists them, each by the name that it declares, or is a table of names whose targets may be
    "module:attribute", which is imported on first use.
    `noun` is for messages ("merge method"), `group` the group of entry points of plugins ("traitgraph.merge_methods").
    `base` says which members of a plugin belong here: its subclasses, by the name that they declare in `tag`, and its
    instances, by their `name`, else by that of the attribute.
    """

    every: ClassVar[list[Registry[Any]]] = []
    """All registries there are, for who tells what plugins add."""

    def __init__(
        self,
        noun: str,
        group: str,
        builtin: Mapping[str, T | str] | Sequence[T],
        *,
        base: type | None = None,
        tag: str = "kind",
    ) -> None:
        self.noun, self.group, self.base, self.tag = noun, group, base, tag
        named = builtin if isinstance(builtin, Mapping) else {self._declared(each): each for each in builtin}
        self.builtin: dict[str, T | str] = dict(named)
        self.every.append(self)
        self.restart()

    def restart(self) -> None:
        """Hold what is built in and nothing else: plugins are looked for again when one is wanted."""
        self._targets = dict(self.builtin)
        self._plugins_read = False
        self.problems: list[str] = []
        """One sentence for each plugin that could not be loaded; the others still work."""

    def register(self, name: str, target: T | str) -> None:
        """Add a thing by hand. Raises ValueError when the name is taken."""
        if name in self._targets:
            first = self._targets[name]
            raise ValueError(f"{self.noun} {name!r} is registered twice: by {first} and by {target}")
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

        from traitgraph.moved import find_moved_modules

        find_moved_modules()
        for entry in entry_points(group=self.group):
            if self._is_free(entry.name, entry.value):
                try:
                    self._targets[entry.name] = entry.load()
                except Exception as problem:  # a plugin may fail in any way, and must not take the program with it
                    self.problems.append(f"{self.noun} {entry.name!r} of {entry.value} cannot be loaded: {problem}")
        for entry in entry_points(group=PLUGINS) if self.base else ():
            try:
                members = dict(vars(entry.load()))
            except Exception as problem:  # the same
                self.problems.append(f"plugin {entry.name!r} of {entry.value} cannot be loaded: {problem}")
                continue
            for attribute, member in members.items():
                name = self._name_of(member, attribute)
                if name and self._targets.get(name) is not member and self._is_free(name, entry.value):
                    self._targets[name] = member

    def _name_of(self, member: Any, attribute: str) -> str | None:
        """The name of a plugin's member here; None where it belongs elsewhere, as what it imported from us does."""
        if self.base is None or not isinstance(member, type):
            mine = isinstance(member, self.base or ()) and member not in self._targets.values()
            return self._declared(member, attribute) if mine else None
        from inspect import get_annotations

        ours = member.__module__.startswith("traitgraph.")
        if ours or not issubclass(member, self.base) or self.tag not in get_annotations(member):
            return None
        return self._declared(member)

    def _declared(self, member: Any, otherwise: str = "") -> str:
        """The name that a class has in its tag, an instance in `name`."""
        if not isinstance(member, type):
            return str(getattr(member, "name", otherwise))
        field = getattr(member, "model_fields", {}).get(self.tag)
        return str(field.default if field else getattr(member, self.tag))

    def _is_free(self, name: str, origin: str) -> bool:
        if name in self._targets:
            self.problems.append(f"{self.noun} {name!r} of {origin} is ignored: the name is taken")
        return name not in self._targets


def problems() -> list[str]:
    """A sentence for each plugin that was looked for and could not be used."""
    return list(dict.fromkeys(problem for registry in Registry.every for problem in registry.problems))


def imported(target: str) -> T:  # type: ignore[type-var]  # the table's owner vouches for the type
    """What "module:attribute" names."""
    module, _, attribute = target.partition(":")
    found: T = getattr(import_module(module), attribute)
    return found
