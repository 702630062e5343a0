"""Which files of a folder transformers and peft load, and why none can be: by names and JSON alone, without torch.

The one reading of a folder: `check` refuses by it, the loader and the reader of merges take the same files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from traitgraph.specs.source.hashing import is_hidden
from traitgraph.specs.source.library import package_folder

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
VOCABULARIES = ("tokenizer.json", "*.model", "vocab.*", "*.tiktoken", "tekken.json")
_CAUSAL = "\nMODEL_FOR_CAUSAL_LM_MAPPING_NAMES = "

PLAIN = "give the model in float32, bfloat16 or float16"

PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts", "num_moe_experts")
"""Keys of config.json that say how many experts a layer has."""
LOADED_AS_STORED = ("gpt_oss", "llama4", "llama4_text", "dbrx", "granitemoe", "granitemoeshared", "granitemoehybrid")
"""Types of mixtures of experts whose files hold all experts of a layer in one tensor, as the loaded model does."""

READ_BY = {"gptq": ("optimum", "gptqmodel"), "awq": ("gptqmodel",), "bitsandbytes": ("bitsandbytes",)}
"""How weights were quantised -> the packages with which transformers loads them."""

PARTLY = ("mxfp4",)
"""Of these the experts alone: what is trained and merged beside them is plain."""


class ModelFolderError(ValueError):
    """A folder cannot be loaded as what it is named as: why, and what to do."""

    def __init__(self, folder: Path, reason: str, repair: str) -> None:
        super().__init__(f"{folder} {reason}; {repair}")
        self.reason, self.repair = reason, repair


def check_model(folder: Path, *, trusted: bool = False, needs_tokenizer: bool = True) -> None:
    """Raise ModelFolderError unless transformers finds a whole model in the folder, and nothing else on top of it."""
    check_weights(folder)
    if not (folder / "config.json").is_file():
        raise ModelFolderError(folder, "has no config.json", "copy it from where the weights come from")
    files = [(file, _ends_early(file)) for file in weight_files(folder)[0]]
    if (vocabulary := folder / "tokenizer.json").is_file():
        text = vocabulary.read_bytes().strip()
        files.append((vocabulary, not text.startswith(b"{") or not text.endswith(b"}")))
    if broken := [file.relative_to(folder) for file, is_broken in files if is_broken]:
        what = f"has a {broken[0]} that is cut off, or a pointer of git-lfs"
        raise ModelFolderError(folder, what, "download it again (`git lfs pull`)")
    config = read_config(folder)
    code = config.get("auto_map")
    if not code and "model_type" not in config:
        what = "has a config.json without `model_type`: the folder's own name would decide what it is"
        raise ModelFolderError(folder, what, "add it, as transformers calls the architecture")
    if not code and not _knows(config["model_type"]):
        what = f"is of an architecture that the installed transformers does not know: {config['model_type']!r}"
        raise ModelFolderError(folder, what, "correct `model_type` in its config.json, or install a newer transformers")
    if not code and needs_tokenizer and not _knows(config["model_type"], _CAUSAL):
        what = f"is a {config['model_type']} model, which transformers does not load as one that continues texts"
        raise ModelFolderError(folder, what, "name a causal language model (AutoModelForCausalLM)")
    method = quantised_by(config)
    if lacking := [each for each in READ_BY.get(method or "", ()) if find_spec(each) is None]:
        what = f"is quantised by {method} (`quantization_config` in config.json), and {' and '.join(lacking)}, "
        what += "with which transformers loads it, is not installed"
        raise ModelFolderError(folder, what, f"install it, or {PLAIN}")
    if code and not trusted and not _knows(config.get("model_type")):
        what = "needs the Python files that come with it (`auto_map` in config.json)"
        raise ModelFolderError(folder, what, "read them, then allow it: {path: ..., trust_remote_code: true}")
    if code and trusted and "--" in json.dumps(code):
        what = "takes Python files from another repository (`auto_map` in config.json), which no digest covers"
        raise ModelFolderError(folder, what, "copy them into the folder and name them without `owner/name--`")
    if needs_tokenizer and not trusted and not _found(folder, VOCABULARIES):
        what = f"has no tokenizer ({', '.join(VOCABULARIES)})"
        raise ModelFolderError(folder, what, "save the tokenizer of the base into it: `tokenizer.save_pretrained`")


def check_weights(folder: Path) -> None:
    """Raise ModelFolderError unless the folder holds the weights of a model, and no adapter."""
    if not folder.is_dir():
        raise ModelFolderError(folder, "is a file", "a model is a folder, or one file that ends in .gguf")
    if (folder / ADAPTER_CONFIG).is_file():
        beside = (folder / "config.json").is_file()
        what = f"holds {ADAPTER_CONFIG} beside the model" if beside else "is a LoRA adapter and no model"
        repair = "merge it into its base (peft: merge_and_unload); a merge file names it under `adapter`"
        raise ModelFolderError(folder, what, repair)
    weight_files(folder)


def check_adapter(folder: Path) -> None:
    """Raise ModelFolderError unless peft finds an adapter in safetensors in the folder."""
    if not (folder / ADAPTER_CONFIG).is_file():
        is_model = (folder / "config.json").is_file()
        repair = "name a checkpoint under `model`" if is_model else "name the very folder that holds it"
        raise ModelFolderError(folder, f"is no LoRA adapter (no {ADAPTER_CONFIG})", repair)
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise _no_weights(folder, ADAPTER_WEIGHTS)


def weight_files(folder: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The files with a model's weights, and the tensors that their index names (of one whole file none).

    As transformers chooses them: one whole file before an index with its shards, which may lie in folders inside.

    Raises ModelFolderError when there is none, a shard is missing, or the index leads out of the folder.
    """
    own = read_config(folder).get("transformers_weights")
    name = next((each for each in ((str(own),) if own else (SINGLE, INDEX)) if (folder / each).is_file()), None)
    if name is None:
        raise _no_weights(folder, SINGLE)
    about = read_json(folder / name) if name.endswith(".json") else {}
    index = about.get("weight_map", {})
    if name.endswith(".json") and not index:
        raise ModelFolderError(folder, f"has a {name} without a `weight_map`", "download it again")
    names = sorted(set(map(str, index.values()))) or [name]
    if outside := [each for each in (name, *names) if _leads_out(folder, each)]:
        what = f"names a file outside the folder: {outside[0]}"
        raise ModelFolderError(folder, what, "save the model again, as one folder")
    if missing := [each for each in names if not (folder / each).is_file()]:
        what = f"lacks shards that {name} names: {', '.join(missing[:5])}"
        raise ModelFolderError(folder, what, "download them again")
    if index and not isinstance(about.get("metadata"), dict):
        what = f"has a {name} without `metadata`, which transformers does not load"
        raise ModelFolderError(folder, what, 'download it again, or add `"metadata": {}`')
    return tuple(folder / each for each in names), tuple(index)


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a folder, empty where there is none. Raises ModelFolderError when it cannot be read."""
    path = folder / "config.json"
    return read_json(path) if path.is_file() else {}


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a model. Raises ModelFolderError when it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        found = problem
    if not isinstance(found, dict) or not isinstance(found.get("weight_map", {}), dict):
        raise ModelFolderError(path.parent, f"has a {path.name} that cannot be read", "copy or download it again")
    return found


def quantised_by(config: Mapping[str, Any]) -> str | None:
    """The method by which config.json says that the weights were quantised, or None."""
    for part in (config, config.get("text_config")):
        if isinstance(part, Mapping) and (about := part.get("quantization_config")):
            return str(about.get("quant_method", "an unknown method") if isinstance(about, dict) else about)
    return None


def fuses_experts(config: Mapping[str, Any]) -> bool:
    """Whether transformers puts the experts of a layer together when it loads a model of this config.json.

    Their tensors in memory are then none of those on disk, and peft adapts parameters, not modules.
    """
    if config.get("model_type") in LOADED_AS_STORED:
        return False
    counts = [config.get(key) for key in EXPERTS]
    parts = [part for part in config.values() if isinstance(part, dict)]
    return any(isinstance(count, int) and count > 1 for count in counts) or any(map(fuses_experts, parts))


def _no_weights(folder: Path, wanted: str) -> ModelFolderError:
    if not any(folder.iterdir()):
        return ModelFolderError(folder, "is empty", "name the folder that holds the model")
    if shards := _found(folder, ("*-of-*.safetensors",)):
        return ModelFolderError(folder, f"holds shards ({shards[0]}, ...) and no {INDEX}", "download the index too")
    if pickled := _found(folder, PICKLED):
        what = f"has pickled weights ({pickled[0]}), and unpickling may run any code"
        repair = "convert them: load them where you trust them; save_pretrained writes safetensors"
        return ModelFolderError(folder, what, repair)
    if gguf := _found(folder, ("*.gguf",)):
        return ModelFolderError(folder, f"has no {wanted}", f"name the file itself, {folder.name}/{gguf[0]}")
    inner = [each.parent.name for each in sorted(folder.glob(f"*/{wanted}"))]
    hint = f"name the folder inside it, {inner[0]}" if inner else "other formats must be converted first"
    return ModelFolderError(folder, f"has no {wanted}", hint)


def _leads_out(folder: Path, name: str) -> bool:
    """Whether a name leads to what no digest of the folder covers: outside it, hidden, or in a folder that is a link.

    A file may be a link, as all of the hub's cache are: its content counts.
    """
    path = Path(name)
    linked = any((folder / each).is_symlink() for each in path.parents if each.name)
    return not path.name or path.is_absolute() or is_hidden(path) or linked


def _ends_early(file: Path) -> bool:
    """Whether a safetensors file lacks a part of its header or of its tensors."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        try:
            header = json.loads(stream.read(length)) if 0 < length <= size - 8 else None
        except ValueError:
            return True
    if not isinstance(header, dict):
        return True
    tensors = (each for name, each in header.items() if name != "__metadata__")
    return 8 + length + max((each["data_offsets"][1] for each in tensors), default=0) > size


def _found(folder: Path, patterns: tuple[str, ...]) -> list[str]:
    names = sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
    return [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]


def _knows(architecture: object, table: str = "") -> bool:
    """Whether the installed transformers has classes of its own for it (in this table): it leaves a model's code alone.

    Its tables are read as text, since importing it takes seconds; without it nobody can tell here, and the run will.
    """
    library = package_folder("transformers")
    if library is None:
        return True
    texts = (file.read_text(encoding="utf-8") for file in (library / "models" / "auto").glob("*.py"))
    return any(
        f'"{architecture}"' in (text.partition(table)[2].partition("\n)")[0] if table else text) for text in texts
    )
