"""Reading from the hub: whatever goes wrong names what was asked for, and a hub that does not answer is asked once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FILES = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.py"]
SECONDS = 10.0
"""Patience with the hub's first answer; its own library tries for five minutes before it looks into its cache."""


class HubError(OSError):
    """Something of the hub could not be read; the message begins with its name."""


@contextmanager
def named(name: str, revision: str) -> Iterator[None]:
    """Raise HubError for every fault of the block, which reads something of the hub, with its name."""
    try:
        yield
    except OSError as problem:
        from huggingface_hub.constants import HF_HUB_OFFLINE

        where = "HF_HUB_OFFLINE is set, and this machine's cache lacks it: " if HF_HUB_OFFLINE else ""
        reason = str(problem).strip().partition("\n")[0]
        raise HubError(f"{name} at {revision}: {where}{type(problem).__name__}: {reason}") from problem


def pinned(name: str, revision: str) -> dict[str, Any]:
    """Arguments for transformers and huggingface_hub: the commit of a revision, so that all files are of one commit.

    Where the hub does not answer, the one in this machine's cache, and nothing else.
    """
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return {"revision": HfApi().model_info(name, revision=revision, timeout=SECONDS).sha or revision}
    except HfHubHTTPError:  # an answer: what it means is told where the files are asked for
        return {"revision": revision}
    except Exception:  # offline, no route, no answer: each version of the library raises its transport's own errors
        cached = try_to_load_from_cache(name, "config.json", revision=revision)
        return {"revision": Path(cached).parent.name if isinstance(cached, str) else revision, "local_files_only": True}


def hub_folder(name: str, revision: str = "main") -> Path:
    """The hub's snapshot of a model, downloaded when it is not in the cache; never pickled weights.

    `owner/name` is the hub's also where one stands beside a folder of that name.
    """
    from huggingface_hub import snapshot_download

    with named(name, revision):
        return Path(snapshot_download(name, allow_patterns=_FILES, **pinned(name, revision)))
