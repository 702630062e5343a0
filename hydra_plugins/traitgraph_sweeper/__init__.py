"""What Hydra finds of traitgraph in every Hydra application: our presets, and a sweeper that plans before it runs.

Hydra imports this module at the start of every application in the environment, so it imports nothing of ours until it
is used. The folder above has no `__init__.py`: `hydra_plugins` is a namespace that several packages share.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.plugins.sweeper import Sweeper

if TYPE_CHECKING:
    from hydra.core.config_search_path import ConfigSearchPath
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig


class TraitgraphPresets(SearchPathPlugin):  # type: ignore[misc]  # Hydra is not typed for us
    """Our presets on the search path: `defaults: [model: llama-3.1-8b-instruct]` works in any application."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the library, after the application's own folders."""
        search_path.append("traitgraph", "pkg://traitgraph.specs.library")


SETTINGS = {
    "_target_": "hydra_plugins.traitgraph_sweeper.TraitgraphSweeper",
    "command": "run",  # run, plan or check: what is done with the graph of all members
    "store": ".traitgraph",  # where results are kept
    "params": None,  # what is swept, as in Hydra's own sweeper: {alpha: "0.1,0.2"}
}
ConfigStore.instance().store(group="hydra/sweeper", name="traitgraph", node=SETTINGS, provider="traitgraph")


class TraitgraphSweeper(Sweeper):  # type: ignore[misc]  # Hydra is not typed for us
    """Hands the whole sweep to traitgraph, which compiles its members into one graph and runs each job once.

    The application's primary config is the spec; its task function is not called.
    """

    def __init__(self, command: str, store: str, params: dict[str, Any] | None = None, **unknown: object) -> None:
        self.command, self.store, self.params, self.unknown = command, store, params, unknown
        self.spec, self.launcher = Path(), ""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Find the file of the primary config."""
        sources: Any = config.hydra.runtime.config_sources
        folder = next(source.path for source in sources if source.provider == "main")
        self.launcher = config.hydra.runtime.choices.get("hydra/launcher") or "basic"
        self.spec = Path(folder) / f"{str(config.hydra.job.config_name).removesuffix('.yaml')}.yaml"

    def sweep(self, arguments: list[str]) -> None:
        """Do `traitgraph COMMAND SPEC -m ARGUMENTS...`; leaves with its exit code when that is not 0."""
        from traitgraph.cli.main import main
        from traitgraph.specs.composition.compose import more_swept

        if self.unknown or self.launcher != "basic":
            settings = [f"hydra.sweeper.{name}" for name in self.unknown]
            refused = settings or [f"hydra/launcher={self.launcher}"]
            known = "it starts its jobs itself, and hydra.sweeper has command, store and params"
            print(f"error: traitgraph does not use {', '.join(refused)}: {known}", file=sys.stderr)
            sys.exit(2)
        store = [] if self.command == "check" else ["--store", self.store]
        code = main([self.command, str(self.spec), "-m", *store, *arguments, *more_swept(self.params, arguments)])
        if code:
            sys.exit(code)
