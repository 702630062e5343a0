"""Registries: built-ins at once, plugins from entry points when a name is not built in, faults of plugins contained."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from textwrap import dedent
from typing import ClassVar, Literal

import jsonschema
import pytest
from pydantic import Field

from tests.specs.reading import faults_of, study_of
from traitgraph.compiler.ir.context import Context
from traitgraph.compiler.pipeline import compile_study
from traitgraph.moved import MOVED, find_moved_modules
from traitgraph.specs.fields.registry import Registry, UnknownNameError, problems
from traitgraph.specs.jobs.params import MergeParams
from traitgraph.specs.schema.schema import study_schema
from traitgraph.specs.source.diagnostics import SpecError
from traitgraph.specs.source.hashing import digest_path
from traitgraph.specs.study import methods
from traitgraph.specs.study.benchmarks import BENCHMARKS, Benchmark
from traitgraph.specs.study.merge_methods import MERGE_METHODS
from traitgraph.specs.study.prompts import PROMPT_STYLES, Prompt

PLUGIN = '''
    """A method, a benchmark and a merge method from another package."""

    from typing import ClassVar, Literal

    from pydantic import Field

    from traitgraph.specs.study.benchmarks import Benchmark
    from traitgraph.specs.study.merge_methods import MergeMethod
    from traitgraph.specs.study.method import Method


    class Hypnosis(Method):
        """The base after hypnosis."""

        kind: Literal["hypnosis"] = Field("hypnosis", description="The base after hypnosis.")
        uses: ClassVar[frozenset[str]] = frozenset({"traits", "levels"})
        needs: ClassVar[tuple[str, ...]] = ("traits",)
        depth: int = Field(ge=1, description="How deep.")


    class Blend(MergeMethod):
        """Blended."""

        kind: Literal["blend"] = Field("blend", description="Blended.")
        parts: tuple[str, ...] = Field(("a",), description="Parts.")


    class Pulse(Benchmark):
        """Heartbeats."""

        kind: Literal["pulse"] = Field("pulse", description="Heartbeats.")
        files: ClassVar[tuple[str, ...]] = ("words",)
        rate: int = Field(60, description="Beats. [1/min]")
        words: str | None = Field(None, description="A file.")
'''
SPEC = """
    study: s
    model: a/b
    traits: openness
    method: {kind: hypnosis, depth: 3}
    benchmarks: [pulse, gsm8k]
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package `hypnotist` with entry points, one of which cannot be loaded."""
    site = tmp_path / "site"
    info = site / "hypnotist-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hypnotist\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[traitgraph.methods]\nhypnosis = hypnotist:Hypnosis\n"
        "broken = hypnotist_gone:Broken\nvector = hypnotist:Hypnosis\n"
        "[traitgraph.benchmarks]\npulse = hypnotist:Pulse\n[traitgraph.merge_methods]\nblend = hypnotist:Blend\n"
    )
    (site / "hypnotist.py").write_text(dedent(PLUGIN))
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "hypnotist", raising=False)
    registries = (methods.METHODS, BENCHMARKS, MERGE_METHODS, PROMPT_STYLES)
    for registry in registries:
        registry.restart()
    yield tmp_path
    for registry in registries:
        registry.restart()


def test_a_method_and_a_benchmark_of_a_plugin_are_part_of_the_language(plugin: Path) -> None:
    (arm,) = study_of(SPEC, plugin).arms
    assert arm.method.kind == "hypnosis"
    assert getattr(arm.method, "depth", None) == 3
    assert arm.benchmarks[0].kind == "pulse"


def test_faults_in_the_parameters_of_a_plugin_are_faults_like_any_other(plugin: Path) -> None:
    assert faults_of(SPEC.replace("depth: 3", "deep: 3"), plugin) == ["TG101 method.deep: unknown key 'deep'"]
    assert faults_of(SPEC.replace(", depth: 3", ""), plugin) == ["TG102 method.depth: `depth` is missing"]
    assert faults_of(SPEC + "    alpha: 1\n", plugin) == ["TG120 alpha: `alpha` has no effect on method `hypnosis`"]


def test_a_method_whose_package_does_not_say_what_it_implies_is_refused(plugin: Path) -> None:
    with pytest.raises(SpecError, match=r"no package says what the method `hypnosis` implies \(a method `lower`"):
        compile_study(study_of(SPEC, plugin), Context())


def test_a_job_carries_the_content_of_a_plugins_files_not_their_places(plugin: Path) -> None:
    keys = []
    for folder, text in (("one", "a"), ("two", "a"), ("three", "b")):
        (plugin / folder).mkdir()
        (plugin / folder / "words.txt").write_text(text)
        spec = SPEC.replace("{kind: hypnosis, depth: 3}", "direct").replace("traits: openness", "")
        spec = spec.replace("[pulse, gsm8k]", "[{kind: pulse, words: words.txt}]")
        (row,) = (
            row
            for row in compile_study(study_of(spec, plugin / folder), Context()).job_table().rows
            if row.kind == "assess"
        )
        keys.append(row.key)
        assert row.params["benchmark"] == {
            "kind": "plugin",
            "benchmark": "pulse",
            "options": {"rate": 60},
            "files": {"words": digest_path(plugin / folder / "words.txt")},
            "data": None,
        }
    assert keys[0] == keys[1] != keys[2]


def test_a_job_carries_a_merge_method_of_a_plugin_there_and_back(plugin: Path) -> None:
    model = {"kind": "hub", "id": "a/b", "revision": "main"}
    method = {"kind": "blend", "parts": ["x", "y"]}
    params = MergeParams.model_validate({"model": model, "method": method, "coefficients": ["0.5"]})
    assert type(params.method).__name__ == "Blend"
    assert MergeParams.model_validate_json(params.model_dump_json()) == params


def test_a_plugin_is_in_the_schema(plugin: Path) -> None:
    schema = study_schema()
    assert schema["$defs"]["Hypnosis"]["properties"]["depth"]["description"] == "How deep."
    valid = jsonschema.Draft202012Validator(schema).is_valid
    spec = {"study": "s", "model": "a/b", "traits": "openness", "benchmarks": ["pulse"]}
    assert valid({**spec, "method": {"kind": "hypnosis", "depth": 3}})
    assert not valid({**spec, "method": {"kind": "hypnosis", "depth": 0}})
    assert not valid({**spec, "method": {"kind": "hypnosis", "depth": 3}, "alpha": 1})


def test_a_plugin_that_cannot_load_is_a_sentence_and_hides_no_other(plugin: Path) -> None:
    assert "hypnosis" in methods.METHODS.names()
    broken, taken = methods.METHODS.problems
    assert broken == "method 'broken' of hypnotist_gone:Broken cannot be loaded: No module named 'hypnotist_gone'"
    assert taken == "method 'vector' of hypnotist:Hypnosis is ignored: the name is taken"


def test_built_in_names_look_for_no_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the entry points of an environment costs more than checking a spec."""

    def refuse(**_: object) -> None:
        raise AssertionError("entry points were read")

    monkeypatch.setattr(importlib.metadata, "entry_points", refuse)
    study_of("study: s\nmodel: smollm2-135m\nmethod: direct\nbenchmarks: mini-ipip\n", tmp_path)


def test_an_unknown_name_says_which_there_are() -> None:
    registry: Registry[int] = Registry("number", "traitgraph.no-such-group", {"one": 1})
    with pytest.raises(UnknownNameError) as caught:
        registry.get("two")
    assert (caught.value.name, caught.value.names) == ("two", ("one",))


def test_a_second_registration_names_both() -> None:
    registry: Registry[int] = Registry("number", "traitgraph.no-such-group", {"one": 1})
    registry.register("two", 2)
    with pytest.raises(ValueError, match="number 'one' is registered twice: by 1 and by 3"):
        registry.register("one", 3)


def test_a_target_is_imported_on_first_use() -> None:
    registry: Registry[object] = Registry("thing", "traitgraph.no-such-group", {"pi": "math:pi", "gone": "no_module:x"})
    assert registry.get("pi") == pytest.approx(3.14159, abs=1e-5)
    with pytest.raises(ModuleNotFoundError):
        registry.get("gone")


def test_a_prompt_style_of_a_plugin_may_know_no_traits(plugin: Path) -> None:
    class Fixed(Prompt):
        """The same words for everybody."""

        style: Literal["fixed"] = Field("fixed", description="The same words.")
        uses: ClassVar[frozenset[str]] = frozenset()
        needs: ClassVar[tuple[str, ...]] = ()

        def system(self, trait: object, level: object, intensity: object = None) -> str:
            return "Be yourself."

    PROMPT_STYLES.register("fixed", Fixed)
    spec = "study: s\nmodel: a/b\nmethod: {kind: prompt, style: fixed}\nbenchmarks: [mini-ipip]\n"
    rows = compile_study(study_of(spec, plugin), Context()).job_table().rows
    assert [row.params["prompt"]["system"] for row in rows if row.kind == "assess"] == ["Be yourself."]  # type: ignore[index]


def test_a_registry_takes_of_a_plugin_what_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Subclasses that declare a name, instances by their name or the attribute's; what is imported from us is not."""
    info = tmp_path / "mixed-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mixed\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[traitgraph.plugins]\nmixed = mixed:Bundle\nnone = mixed:NOTHING\n")
    (tmp_path / "mixed.py").write_text(
        dedent(
            '''
            from decimal import Decimal
            from fractions import Fraction

            class Big(Fraction):
                kind: str = "big"

            class Nameless(Fraction):
                """A class to build on."""

            class Taken(Fraction):
                kind: str = "half"

            class Bundle:
                big, again, nameless, taken, ours = Big, Big, Nameless, Taken, Fraction
                third = Fraction(1, 3)
                other = Decimal(1)

            NOTHING = 3
            '''
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    monkeypatch.setattr(Registry, "every", [])
    registry: Registry[object] = Registry("part", "traitgraph.no-such-group", {"half": 0.5}, base=Fraction)
    assert registry.names() == ("half", "big", "third")
    assert registry.get("third") == Fraction(1, 3)
    assert problems() == [
        "part 'half' of mixed:Bundle is ignored: the name is taken",
        "plugin 'none' of mixed:NOTHING cannot be loaded: vars() argument must have __dict__ attribute",
    ]


def test_what_plugins_were_told_to_import_before_is_found_and_told_where_it_is() -> None:
    find_moved_modules()
    for old, new in MOVED.items():
        sys.modules.pop(old, None)
        with pytest.warns(DeprecationWarning, match=f"{old} is {new} now; import from traitgraph.plugins"):
            importlib.import_module(old)
        importlib.import_module(new)
    assert importlib.import_module("traitgraph.specs.instruments").Instrument is Benchmark
    for old, name in (  # as the pages for authors of plug-ins had them
        ("specs.merge_methods", "MergeMethod"),
        ("specs.study.steering_operators", "SteeringOperator"),
        ("specs.jobs.kinds", "JobKind"),
        ("runtime.merging.steps", "Steps"),
        ("runtime.locations", "verified"),
        ("runtime.leads", "lead_of"),
        ("runtime.models.prompt_messages", "lead_of"),
        ("runtime.models.engines", "Engine"),
        ("runtime.chat", "prompt_ids"),
        ("runtime.generation", "written_texts"),
        ("runtime.dialogues", "load_dialogues"),
    ):
        assert callable(getattr(importlib.import_module(f"traitgraph.{old}"), name))
