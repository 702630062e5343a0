"""Keys and passwords are refused wherever a spec has a value, and are not repeated in full."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitgraph.cli.main import main
from traitgraph.specs.checks.multirun import load_sweep
from traitgraph.specs.checks.validate import load_study
from traitgraph.specs.source import credentials
from traitgraph.specs.source.credentials import is_key, masked
from traitgraph.specs.source.diagnostics import SpecError, render_json, render_text

LETTERS = "aB3dE5gH7jK9mN1pQ3sT5vW7xY9zC1fG3hJ5"
SECRETS = [
    "sk-" + LETTERS, "sk-proj-" + LETTERS, "sk-ant-api03-" + LETTERS, "hf_" + LETTERS, "AKIA" + "ABCD2345EFGH6789",
    "ghp_" + LETTERS, "github_pat_" + LETTERS, "glpat-" + LETTERS[:20], "xoxb-1234567890-" + LETTERS, "AIza" + LETTERS,
    "gsk_" + LETTERS, "sk_live_" + LETTERS, "eyJ" + LETTERS[:20] + ".eyJ" + LETTERS, "0123456789" * 4,
    "Bearer " + LETTERS, "https://me:word@judge.example/v1", "https://token@judge.example", LETTERS,
    "https://judge.example/v1?api_key=word", "https://judge.example/v1?v=1&access_token=word", "WANDB_API_KEY=hunter22",
    "export HF_TOKEN='hunter22'", "-----BEGIN RSA PRIVATE KEY-----", "our key is " + "0a" * 20, "password=hunter22",
    "https://judge.example/v1#x?token=abcd", "https://judge.example/v1#key=word",
    "wandb_v1_" + LETTERS, "wJa1rXUtnFEM1/K7MDENG/bPxRf1CYNOTAKEYKEY",
]  # fmt: skip
HARMLESS = [
    "https://judge.example/v1?api-version=2024-02-01", "models--o--m/snapshots/" + "0a" * 20, "/data/" + "0a" * 20,
    "0a" * 16, "0a" * 32, "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo-FP8-KV", "sk-learn-based-models-of-traits",
    "PersonalityVectorExtraversionOfSmolLM2", "hf_internal_testing_model", "The secret: always be kind to the bearer.",
    "export HF_TOKEN=$MY_TOKEN", "JUDGE_KEY", "me@host.example", "trained at commit " + "0a" * 20, "key=value",
    "llama-3.1-8b-instruct", "x" * 60, "1" * 60, "a basic understanding of responsibilities",
    "data/OceanV2/Big5Chat/Llama3B/TrainSetA1",
]  # fmt: skip
SPEC = "study: s\nmodel: smollm2-135m\nmethod: direct\nbenchmarks: [mini-ipip]\n"


@pytest.mark.parametrize("text", SECRETS)
def test_what_services_give_out_as_a_key_is_known_and_masked(text: str) -> None:
    assert is_key(text)
    assert text not in masked(f"tags: [{text}]", is_source=True)
    assert len(masked(text, is_source=True)) == len(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_names_digests_commits_paths_and_words_are_no_keys(text: str) -> None:
    assert not is_key(text)
    assert masked(text) == text


def test_a_commit_is_a_key_only_where_no_commit_belongs() -> None:
    assert is_key("0a" * 20, ("tracking", "wandb", "tags", 0))
    assert not is_key("0a" * 20, ("model", "revision"))


@given(st.binary(min_size=24, max_size=48))
def test_bytes_of_chance_in_base_64_are_known_or_hold_a_sign_of_it(raw: bytes) -> None:
    """As services make keys: at least thirty-two letters and digits in no order."""
    import base64

    text = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    longest = max(text.replace("-", "_").split("_"), key=len)
    sorts = {letter.isdigit() + 2 * letter.isupper() for letter in longest}
    if len(longest) >= 32 and len(sorts) == 3 and len(set(raw)) > 20:
        assert is_key(text)


@pytest.mark.parametrize(
    "lines",
    [
        "description: {}",
        "tracking: {{wandb: {{project: x, tags: [v1, {}]}}}}",
        "tracking: {{wandb: {{project: {}}}}}",
        "arms: {{{}: {{method: direct}}}}",
        "benchmarks: [{{kind: mini-ipip, mode: interview, judge: {{url: 'https://a:{}@b', model: m}}}}]",
        "cluster: {{setup: ['export TOKEN={}']}}",
    ],
)
def test_every_field_refuses_a_key_at_its_place_without_repeating_it(tmp_path: Path, lines: str) -> None:
    key = "sk-" + LETTERS
    spec = tmp_path / "spec.yaml"
    line = lines.format(key)
    spec.write_text("".join(each for each in SPEC.splitlines(True) if each[:5] != line[:5]) + line + "\n")
    with pytest.raises(SpecError) as raised:
        load_study(spec)
    told = next(each for each in raised.value.diagnostics if each.code == "TG223")
    assert told.span is not None
    assert (told.span.file, told.span.line) == (str(spec), len(spec.read_text().splitlines()))
    for text in (render_text(raised.value.diagnostics), str(render_json(raised.value.diagnostics))):
        assert key[8:] not in text


def test_a_key_in_an_override_a_sweep_or_a_preset_is_refused_too(tmp_path: Path) -> None:
    key = "hf_" + LETTERS
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    ways: tuple[Callable[[], object], ...] = (
        lambda: load_study(spec, [f"+description={key}"]),
        lambda: load_sweep(spec, [f"study=a,{key}"]),
        lambda: load_study(spec, [f"description={key}"]),
    )
    for load in ways:
        with pytest.raises(SpecError) as raised:
            load()
        assert key[8:] not in str(raised.value)
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "own.yaml").write_text(f"partition: gpu\nsetup: ['export HF_TOKEN={key}']\n")
    with pytest.raises(SpecError, match="TG223") as raised:
        load_study(spec, ["+cluster=own"])
    assert key[8:] not in str(raised.value)


def test_a_key_in_a_merge_recipe_is_refused_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = "hf_" + LETTERS
    (tmp_path / "recipe.yaml").write_text(f"base: https://{key}@hub.example/m\nvectors: [{{of: ./tuned, alpha: 1}}]\n")
    assert main(["merge", str(tmp_path / "recipe.yaml"), "-o", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "TG223" in told
    assert key[8:] not in told


def test_a_fault_of_another_kind_does_not_show_the_value_of_its_line(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC + "password: hunter2\n")
    with pytest.raises(SpecError, match="unknown key 'password'") as raised:
        load_study(spec)
    assert "hunter2" not in str(raised.value)


def test_examples_run() -> None:
    assert doctest.testmod(credentials)[0] == 0
