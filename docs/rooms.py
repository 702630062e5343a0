"""The rooms of the house in `architecture.md`, drawn from the code: who is there, what for, and who imports whom.

`python docs/rooms.py` writes them again (`make docs`); a test fails while they are out of date. A room is a folder of
modules, and what it is for is the docstring of its `__init__.py`; the rooms inside `runtime/assessment` count as one.
Only arrows that follow from no others are drawn: who imports `study` through `checks` needs no arrow of its own.
"""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
FLOORS = ("cli", "api", "launchers", "compiler", "runtime", "specs")
Arrows = dict[str, set[str]]


def written(page: str) -> str:
    """The page with its rooms between the two marks as they are in the code."""
    imports = room_imports()
    floors: Arrows = {floor: set() for floor in FLOORS}
    for room, others in imports.items():
        floors[_floor(room)] |= {_floor(other) for other in others} - {_floor(room)}
    parts = [_picture(without_detours(floors)), *(_section(floor, imports) for floor in FLOORS)]
    return re.sub(r"(?<=<!-- rooms -->\n).*(?=<!-- end of rooms -->)", "\n".join(parts), page, flags=re.DOTALL)


def room_imports() -> Arrows:
    """The rooms that each room imports.

    No room: the modules beside the floors, which are names for others, and a folder that only holds rooms. Single
    imports that the walls let through as exceptions, each with its reason in `pyproject.toml`, are not drawn.
    """
    graph = grimp.build_graph("traitgraph", cache_dir=None)
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]:
        for importer, _, imported in (line.partition(" -> ") for line in contract.get("ignore_imports", ())):
            if "*" not in importer + imported:
                graph.remove_import(importer=importer, imported=imported)
    found: Arrows = {}
    for module in graph.modules:
        others = {_room(other) for other in graph.find_modules_directly_imported_by(module)}
        found.setdefault(_room(module), set()).update(others - {_room(module), ""})
    found.pop("")
    alone = {room for room in found if not found[room] and all(room not in others for others in found.values())}
    return {room: others for room, others in found.items() if room not in alone - set(FLOORS)}


def _room(module: str) -> str:
    """`specs.study` of `traitgraph.specs.study.traits`; nothing for a module that lies in no floor."""
    folder = ROOT / module.replace(".", "/")
    parts = (folder if folder.is_dir() else folder.parent).relative_to(ROOT / "traitgraph").parts
    return ".".join(parts if parts[:1] == ("launchers",) else parts[:2])


def _floor(room: str) -> str:
    return room.partition(".")[0]


def without_detours(arrows: Arrows) -> Arrows:
    """The arrows that say something new. Raises ValueError when they run in a circle."""
    beyond: Arrows = {}

    def reach(room: str, path: tuple[str, ...] = ()) -> set[str]:
        if room in path:
            raise ValueError(f"rooms import each other: {' -> '.join([*path, room])}")
        if room not in beyond:
            beyond[room] = set().union(*({other, *reach(other, (*path, room))} for other in sorted(arrows[room])))
        return beyond[room]

    return {
        room: {other for other in others if not any(other in reach(each) for each in sorted(others))}
        for room, others in sorted(arrows.items())
    }


def _section(floor: str, imports: Arrows) -> str:
    rooms = {room for room in imports if _floor(room) == floor and (room != floor or imports[room])}
    inside = {room: imports[room] & rooms for room in sorted(rooms)} if len(rooms) > 1 else {}
    text = f"\n### `{floor}`\n\n{_about(floor)}\n"
    if inside:
        text += "\n" + _picture({_inner(a): {*map(_inner, others)} for a, others in without_detours(inside).items()})
        text += "\n| room | |\n|---|---|\n"
        text += "".join(
            f"| `{_inner(room).replace('.', '/')}` | {_about(room)} |\n" for room in inside if room != floor
        )
    return text


def _inner(room: str) -> str:
    return room.partition(".")[2] or room


def _about(room: str) -> str:
    """What the room says of itself, its first paragraph."""
    file = ROOT / "traitgraph" / room.replace(".", "/") / "__init__.py"
    about = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(about.split("\n\n")[0].split()).replace("|", "\\|")


def _picture(arrows: Arrows) -> str:
    lines = [f"  {_node(room)} --> {_node(other)}" for room in sorted(arrows) for other in sorted(arrows[room])]
    alone = set(arrows) - {each for room, others in arrows.items() if others for each in (room, *others)}
    lines += [f"  {_node(room)}" for room in sorted(alone)]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```", ""])


def _node(room: str) -> str:
    return f"{room.replace('.', '_')}[{room.replace('.', '/')}]" if "." in room else room


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
