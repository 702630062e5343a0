"""The papers as specs: what their comments count is what their plans count."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from traitgraph.api.planning import plan_study
from traitgraph.cli import main
from traitgraph.compiler.plan import ArmCounts, Plan
from traitgraph.runtime.assessment.questionnaires.items import Words, read_questionnaire
from traitgraph.runtime.store.store import Store
from traitgraph.specs.checks.validate import load_study, validate
from traitgraph.specs.composition.compose import compose
from traitgraph.specs.study.benchmarks import OpenQuestions, Questionnaire
from traitgraph.specs.study.prompts import Prompt
from traitgraph.specs.study.study import Arm, Study

ROOT = Path(__file__).parents[2]
PAPERS = ROOT / "examples" / "papers"
SPECS = sorted(PAPERS.glob("*.yaml"))


@cache
def study_of(name: str) -> Study:
    return load_study(PAPERS / f"{name}.yaml")


@cache
def plan_of(name: str) -> Plan:
    with TemporaryDirectory() as folder:
        return plan_study(study_of(name), Store(Path(folder) / "store"))


def counts(name: str) -> Mapping[str, ArmCounts]:
    return {arm.name: arm for arm in plan_of(name).arms}


def arm_of(name: str, arm: str) -> Arm:
    return next(each for each in study_of(name).arms if each.name == arm)


def asked(name: str, arm: str, benchmark: str) -> Questionnaire:
    found = next(each for each in arm_of(name, arm).benchmarks if each.name == benchmark)
    assert isinstance(found, Questionnaire)
    return found


def forms_of(name: str, arm: str, benchmark: str) -> int:
    forms = asked(name, arm, benchmark).forms
    return forms.count if forms else 1


def head_of(file: Path) -> str:
    """The comment that a spec begins with."""
    found = re.match(r"(#.*\n)+", file.read_text(encoding="utf-8"))
    assert found
    return found[0]


@pytest.mark.parametrize("file", SPECS, ids=lambda file: file.stem)
def test_a_paper_compiles_without_fault_or_warning_to_the_jobs_that_it_says(file: Path) -> None:
    document, faults = compose(file)
    assert document is not None
    study, found = validate(document)
    assert study is not None
    assert not faults + found
    (jobs,) = re.findall(r" ([\d,]+) jobs", head_of(file))
    assert plan_of(file.stem).counts.jobs == int(jobs.replace(",", ""))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"](examples/papers/{file.name}) | {jobs} |" in readme


@pytest.mark.parametrize("file", SPECS, ids=lambda file: file.stem)
def test_what_a_paper_says_to_call_selects_something(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A command may go on in the next line; after two blanks comes a word on it."""
    monkeypatch.chdir(ROOT)
    lines = re.sub(r"\\\n# +", "", head_of(file)).splitlines()
    commands = [line[4:].partition("  ")[0] for line in lines if line.startswith("#   traitgraph ")]
    assert len(commands) >= 2
    for command in commands:
        words = shlex.split(command)
        assert words[2] == f"examples/papers/{file.name}"
        assert main(["plan", *words[2:], "--json", "--store", str(tmp_path / "store")]) == 0, command
        assert json.loads(capsys.readouterr().out)["counts"]["missing"] > 0


def test_sac_turns_16_traits_to_5_intensities_and_asks_240_questions() -> None:
    assert counts("sac")["sac"].subjects == 16 * 5
    traits = study_of("sac").arms[0].vocabulary.whole_traits
    assert len(traits) == 16
    questions = read_questionnaire(Path(asked("sac", "sac", "sac-behaviours").items), Words({}, traits))
    assert len(questions.items) == 3 * 5 * 16 == 240
    assert Counter((item.domain, item.response_scale) for item in questions.items) == {
        (trait, factor): 3 for trait in traits for factor in questions.scales
    }


def test_trait_asks_8_traits_in_3_templates_and_2_orders() -> None:
    traits = study_of("trait").arms[0].vocabulary.whole_traits
    assert len(traits) == 8
    assert counts("trait")["prompted"].subjects == 2 * len(traits) * 2
    assert forms_of("trait", "models", "trait") == 3
    stand_in = read_questionnaire(Path(asked("trait", "models", "trait").items), Words({}, traits))
    assert stand_in.second_order == "swapped"
    assert Counter(item.trait for item in stand_in.items) == dict.fromkeys(traits, 2)


def test_personallm_has_320_personas() -> None:
    arm = arm_of("personallm", "personas")
    assert counts("personallm")["personas"].subjects * arm.sampling.repeats == 2**5 * 10 == 320
    assert isinstance(arm.method, Prompt)
    assert arm.method.system("neuroticism", "low") == "You are a character who is emotionally stable."


def test_personality_traits_has_the_profiles_of_the_paper() -> None:
    arms, shaped = counts("personality-traits"), arm_of("personality-traits", "shaped")
    people = len(shaped.contexts)
    assert people == 50
    assert people * forms_of("personality-traits", "profiles", "ipip-neo-300") == 1250
    assert people * forms_of("personality-traits", "profiles", "bfi") == 1250
    assert arms["profiles"].subjects == 3 * people
    assert arms["shaped"].subjects + arms["shaped-neither"].subjects == 5 * 9 * people == 2250
    assert arms["combined"].subjects == 2**5 * people == 1600
    items = read_questionnaire(Path(asked("personality-traits", "shaped", "ipip-neo-300").items)).items
    assert len(items) == 300
    assert (2250 + 1600) * len(items) == 675_000 + 480_000


def test_personality_traits_shapes_by_104_adjectives_on_9_levels() -> None:
    shaped, neither = (arm_of("personality-traits", name).method for name in ("shaped", "shaped-neither"))
    assert isinstance(shaped, Prompt)
    assert isinstance(neither, Prompt)
    said = Counter[str]()
    for trait in shaped.vocabulary.whole_traits:
        poles = [shaped.vocabulary.pole(trait, level).adjectives for level in ("low", "high")]
        texts = {
            shaped.system(trait, level, much) for level in ("low", "high") for much in shaped.own_axes()["intensity"]
        }
        said["adjectives"] += sum(map(len, poles))
        said["levels"] = len(texts | {neither.system(trait, "neither")})
        pairs = ", ".join(f"neither {low} nor {high}" for low, high in zip(*poles, strict=True))
        assert neither.system(trait, "neither") == f"You are {pairs}."
        assert shaped.system(trait, "low", "extremely").count("extremely ") == len(poles[0])
    assert said == {"adjectives": 104, "levels": 9}


def test_revisiting_reliability_asks_2500_settings() -> None:
    forms = asked("revisiting-reliability", "settings", "bfi").forms
    assert forms
    assert {axis: len(values) for axis, values in forms.values.items()} == {
        "wording": 5, "labels": 5, "option_order": 2, "language": 10 * 5
    }  # fmt: skip
    assert forms.count == 2500


def test_psyctl_has_8_vectors_at_8_strengths() -> None:
    arms = counts("psyctl")
    assert plan_of("psyctl").counts.by_kind["activations"] == 8
    assert sum(arms[name].subjects for name in arms if name != "base") == 8 * 8
    assert arms["english"].subjects == 5 * 8
    inventory = read_questionnaire(Path(asked("psyctl", "english", "ipip-neo-120").items))
    assert len(inventory.traits()) == 5, "each vector's effect on all five is the cross-trait table"
    judged = arm_of("psyctl", "korean").benchmarks[0]
    assert isinstance(judged, OpenQuestions)
    rows = [json.loads(line) for line in (PAPERS / "data" / "steering-questions.jsonl").read_text().splitlines()]
    assert set(Counter(row["trait"] for row in rows).values()) == {8}
