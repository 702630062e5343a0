"""What merging costs: on disk, in memory, with ten vectors, beside mergekit where an interpreter with it is given.

A random Llama of about 0.37 billion parameters in bfloat16 and ten fine-tunes of it (noise of 1e-3 on every weight) are
made once in a folder. Every measurement runs in a process of its own; CPU seconds and peak memory are the operating
system's. Inputs are read from the disk: what the system keeps of them in memory is dropped before each measurement.

    python benchmarks/merging.py --dir /tmp/merging                         ours
    python benchmarks/merging.py --dir /tmp/merging --peer VENV/bin/python  and mergekit's
    python benchmarks/merging.py --dir /tmp/merging --only "in memory, float32" ...  some of them, by their names
    python benchmarks/merging.py --dir /tmp/merging --tiny                  seconds, to see that it runs
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ALPHAS = [round(0.1 * step, 1) for step in range(1, 21)]
VECTORS = 10
DENSITY = 0.2


class Cost(NamedTuple):
    """What a process used."""

    wall: float
    cpu: float
    mib: float
    said: dict[str, float]


def main() -> int:
    """Make the models, run every measurement, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, help="folder for models and outputs (12 GiB, and 16 GiB for a while)")
    parser.add_argument("--peer", type=Path, help="interpreter in which mergekit is installed")
    parser.add_argument("--only", nargs="*", help="names of measurements")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = options.dir or Path(tempfile.mkdtemp(prefix="merging-"))
    if options.child in ("models", "tiny models"):
        make_models(folder, tiny=options.child != "models")
        return 0
    if options.child:
        CHILDREN[options.child](folder)
        return 0
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    if not (folder / "base").is_dir():  # in a process of its own: its memory would count as that of later ones
        measure("tiny models" if options.tiny else "models", Path(sys.executable), folder)
    print(f"{platform.machine()}, {os.cpu_count()} processors, {options.threads} thread(s); {describe(folder)}")
    print(f"{'':44}{'wall s':>8}{'CPU s':>8}{'MiB':>7}")
    for name, interpreter in measurements(options.peer):
        if options.only and name not in options.only:
            continue
        shutil.rmtree(folder / "out", ignore_errors=True)
        forget_pages(folder)
        cost = measure(name, interpreter, folder)
        said = ", ".join(f"{key} {value:.4g}" for key, value in cost.said.items())
        print(f"{name:44}{cost.wall:8.2f}{cost.cpu:8.2f}{cost.mib:7.0f}  {said}", flush=True)
        shutil.rmtree(folder / "out", ignore_errors=True)
    return 0


def measurements(peer: Path | None) -> list[tuple[str, Path]]:
    """Names of the measurements with the interpreter of each; those of the peer only when it is given."""
    ours = Path(sys.executable)
    possible = [name for name in CHILDREN if (peer or "mergekit" not in name) and ("cuda" not in name or has_cuda())]
    return [(name, peer if "mergekit" in name and peer else ours) for name in possible]


def forget_pages(folder: Path) -> None:
    """Let the system drop what it keeps of the models in memory, where it can be asked to (Linux)."""
    for file in folder.glob("*/model.safetensors") if hasattr(os, "posix_fadvise") else ():
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def has_cuda() -> bool:
    """Whether there is a device for the measurement on one; asked without loading torch."""
    return shutil.which("nvidia-smi") is not None


def measure(name: str, interpreter: Path, folder: Path) -> Cost:
    """Run one measurement in a process of its own."""
    command = [str(interpreter), str(Path(__file__).resolve()), "--child", name, "--dir", str(folder)]
    start = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"}
    )
    assert process.stdout is not None
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{name} failed")
    said = json.loads(text.splitlines()[-1]) if text.strip() else {}
    return Cost(time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said)


# ---------------------------------------------------------------- models


def make_models(folder: Path, tiny: bool) -> None:
    """A random base and its fine-tunes."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    size = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "vocab_size": 1000}
    if not tiny:
        size = {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 24, "vocab_size": 32000}
    torch.manual_seed(0)
    config = LlamaConfig(**size, num_attention_heads=16, num_key_value_heads=16, tie_word_embeddings=False)
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(folder / "base")
    base = {name: each.detach().clone() for name, each in model.named_parameters()}
    for number in range(VECTORS):
        generator = torch.Generator().manual_seed(number)
        with torch.no_grad():
            for name, each in model.named_parameters():
                each.copy_(base[name].float() + torch.randn(each.shape, generator=generator) * 1e-3)
        model.save_pretrained(folder / f"tuned{number}")


def describe(folder: Path) -> str:
    """How large the models are."""
    nbytes = (folder / "base" / "model.safetensors").stat().st_size
    return f"{nbytes / 2e9:.3f} billion parameters, {nbytes / 1e9:.2f} GB each"


def files(folder: Path, count: int) -> list[Path]:
    """Weights of the base and of the first fine-tunes."""
    return [folder / name / "model.safetensors" for name in ("base", *(f"tuned{number}" for number in range(count)))]


# ---------------------------------------------------------------- what is measured


def bare_read_and_write(folder: Path) -> None:
    """The floor: read base and one fine-tune, write one output of the base's size, sync."""
    copy_once(folder, 1, 1)


def bare_read_and_write_twenty(folder: Path) -> None:
    """The floor of twenty outputs: read base and one fine-tune, write twenty files, sync each."""
    copy_once(folder, 1, len(ALPHAS))


def copy_once(folder: Path, count: int, outputs: int) -> None:
    """Read base and fine-tunes in pieces of 1 MiB, and write the base to each output."""
    out = folder / "out"
    out.mkdir(parents=True)
    start, cpu = time.perf_counter(), time.process_time()
    handles = [os.open(out / f"{number}", os.O_WRONLY | os.O_CREAT) for number in range(outputs)]
    buffer = bytearray(1 << 20)
    for place, file in enumerate(files(folder, count)):
        with file.open("rb", buffering=0) as stream:
            while size := stream.readinto(buffer):
                for handle in handles if place == 0 else ():
                    os.write(handle, memoryview(buffer)[:size])
    for handle in handles:
        os.fsync(handle)
        os.close(handle)
    say(start, cpu)


def say(start: float, cpu: float, **more: float) -> None:
    """Print wall and CPU seconds since a moment (without start-up and imports), and more figures."""
    print(json.dumps({"inside wall": time.perf_counter() - start, "inside CPU": time.process_time() - cpu, **more}))


def write(folder: Path, method: str, alphas: list[float], count: int, **options: object) -> None:
    """One pass of ours over base and vectors: one output for each alpha, all vectors at that alpha."""
    from traitgraph.runtime.merging.composition import Composition
    from traitgraph.runtime.merging.methods import merge_options
    from traitgraph.runtime.merging.on_disk import Output, write_merges
    from traitgraph.runtime.tensors.checkpoint import Checkpoint
    from traitgraph.runtime.vectors.differences import CheckpointDifference

    import torch  # isort: skip  # imports are not measured inside

    torch.zeros(1)
    start, cpu = time.perf_counter(), time.process_time()
    base = Checkpoint(folder / "base")
    vectors = [CheckpointDifference(base, Checkpoint(folder / f"tuned{number}"), "") for number in range(count)]
    chosen = merge_options(method, options)
    cache: dict[tuple[str, ...], Any] = {}
    (folder / "out").mkdir()
    outputs = [
        Output(Composition(vectors, [alpha] * count, chosen, cache=cache), folder / "out" / str(alpha))
        for alpha in alphas
    ]
    write_merges(base, outputs)
    say(start, cpu)


def peer_yaml(folder: Path, method: str, alpha: float, count: int, density: float | None = None) -> str:
    """The same merge as a mergekit file."""
    own = f"weight: {alpha}" + (f", density: {density}" if density else "")
    models = "\n".join(f"  - {{model: {folder}/tuned{n}, parameters: {{{own}}}}}" for n in range(count))
    return (
        f"merge_method: {method}\nbase_model: {folder}/base\nmodels:\n{models}\ndtype: float32\nout_dtype: bfloat16\n"
    )


def peer_api(folder: Path, method: str, alphas: list[float], count: int, density: float | None = None) -> None:
    """mergekit's Python API in one process, imports not measured inside."""
    import yaml
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    start, cpu = time.perf_counter(), time.process_time()
    for alpha in alphas:
        config = MergeConfiguration.model_validate(yaml.safe_load(peer_yaml(folder, method, alpha, count, density)))
        run_merge(
            config, str(folder / "out" / str(alpha)), MergeOptions(copy_tokenizer=False, quiet=True, lazy_unpickle=True)
        )
    say(start, cpu)


def peer_command(folder: Path, method: str, alphas: list[float]) -> None:
    """mergekit-yaml, one process for each alpha."""
    start = time.perf_counter()
    program = Path(sys.executable).with_name("mergekit-yaml")
    (folder / "out").mkdir()
    for alpha in alphas:
        recipe = folder / "out" / f"{alpha}.yaml"
        recipe.write_text(peer_yaml(folder, method, alpha, 1))
        target = folder / "out" / str(alpha)
        subprocess.run(
            [program, recipe, target, "--no-copy-tokenizer", "--quiet"], check=True, stderr=subprocess.DEVNULL
        )
    print(json.dumps({"inside wall": time.perf_counter() - start, "merges": len(alphas)}))


def in_memory(folder: Path, dtype: str, device: str = "cpu") -> None:
    """Alphas of one full vector on one loaded model, and a bare copy of its weights, in the same process.

    Seconds of the processor on a CPU (other programs do not count), wall seconds on a device.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from traitgraph.runtime.merging.composition import Composition
    from traitgraph.runtime.merging.methods import merge_options
    from traitgraph.runtime.models.loading import LoadedModel
    from traitgraph.runtime.subjects.workbench import Workbench
    from traitgraph.runtime.tensors.checkpoint import Checkpoint
    from traitgraph.runtime.vectors.differences import CheckpointDifference

    place, number_format = torch.device(device), getattr(torch, dtype)
    model = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=number_format).to(place)
    bench = Workbench(LoadedModel(model, None, place, number_format))  # no tokenizer is needed
    vector = CheckpointDifference(Checkpoint(folder / "base"), Checkpoint(folder / "tuned0"), "phi")
    steps = []
    for alpha in ALPHAS:
        merge = Composition([vector], [alpha], merge_options("task_arithmetic", {}), base=bench.rows)
        steps.append(timed(functools.partial(bench.apply_merge, str(alpha), merge), device))
    parameters = [each.detach() for each in model.parameters()]
    copies = [torch.empty_like(each) for each in parameters]

    def copy() -> None:
        for source, target in zip(parameters, copies, strict=True):
            target.copy_(source)

    copy()
    bare, step = (statistics.median(times) for times in ([timed(copy, device) for _ in range(20)], steps[2:]))
    print(json.dumps({"alpha step": step, "bare copy": bare, "ratio": step / bare, "first": steps[0]}))
    bench.close()


def timed(function: Callable[[], object], device: str) -> float:
    """Seconds of one call: of the processor, or of the wall with the device's work."""
    import torch

    on_device = device != "cpu"
    clock = time.perf_counter if on_device else time.process_time
    if on_device:
        torch.cuda.synchronize()
    start = clock()
    function()
    if on_device:
        torch.cuda.synchronize()
    return clock() - start


def threshold(folder: Path) -> None:
    """The magnitude that keeps a fifth of one embedding: by counting, by a full sort, by topk."""
    import torch

    from traitgraph.runtime.tensors.selection import kth_largest

    values = torch.randn(32_768_000)
    k = len(values) // 5
    print(
        json.dumps(
            {
                "counting": timed(lambda: kth_largest(lambda: torch.split(values, 1 << 17), k), "cpu"),
                "argsort": timed(lambda: values.abs().argsort(descending=True), "cpu"),
                "topk": timed(lambda: values.abs().topk(k), "cpu"),
            }
        )
    )


CHILDREN: dict[str, Callable[[Path], None]] = {
    "floor: read 2, write 1": bare_read_and_write,
    "task arithmetic, 1 alpha": lambda folder: write(folder, "task_arithmetic", [0.5], 1),
    "mergekit API, 1 alpha": lambda folder: peer_api(folder, "task_arithmetic", [0.5], 1),
    "mergekit-yaml, 1 alpha": lambda folder: peer_command(folder, "task_arithmetic", [0.5]),
    "floor: read 2, write 20": bare_read_and_write_twenty,
    "task arithmetic, 20 alphas, one pass": lambda folder: write(folder, "task_arithmetic", ALPHAS, 1),
    "mergekit API, 20 alphas": lambda folder: peer_api(folder, "task_arithmetic", ALPHAS, 1),
    "mergekit-yaml, 3 of 20 alphas": lambda folder: peer_command(folder, "task_arithmetic", ALPHAS[:3]),
    "in memory, float32": lambda folder: in_memory(folder, "float32"),
    "in memory, bfloat16": lambda folder: in_memory(folder, "bfloat16"),
    "in memory, bfloat16 on cuda": lambda folder: in_memory(folder, "bfloat16", "cuda"),
    "threshold of 32.8 million values": threshold,
    "ties, 10 vectors, whole model": lambda folder: write(folder, "ties", [0.3], VECTORS, density=DENSITY),
    "ties, 10 vectors, 5 lambdas in one pass": lambda folder: write(
        folder, "ties", ALPHAS[:5], VECTORS, density=DENSITY
    ),
    "mergekit API, ties, 10 vectors": lambda folder: peer_api(folder, "ties", [0.3], VECTORS, DENSITY),
    "dare_ties, 10 vectors": lambda folder: write(folder, "dare_ties", [0.3], VECTORS, density=DENSITY),
    "dare_ties and trim, 10 vectors, whole model": lambda folder: write(
        folder, "dare_ties", [0.3], VECTORS, density=0.5, trim_density=DENSITY
    ),
    "mergekit API, dare_ties, 10 vectors": lambda folder: peer_api(folder, "dare_ties", [0.3], VECTORS, DENSITY),
}


if __name__ == "__main__":
    raise SystemExit(main())
