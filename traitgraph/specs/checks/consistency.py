"""Rules between the keys of one arm: training that fits the method, joint models told apart, axes that zip."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice, product
from typing import get_args

from traitgraph.specs.composition.arms import AXIS_KEYS, ArmText
from traitgraph.specs.fields.templates import filled
from traitgraph.specs.folders.model_folder import PARTLY, PLAIN, fuses_experts, quantised_by
from traitgraph.specs.source.diagnostics import Diagnostic
from traitgraph.specs.source.hashing import number_text
from traitgraph.specs.source.positions import Document
from traitgraph.specs.study.analyses import Analysis, TraitCorrelation
from traitgraph.specs.study.benchmarks import Linguistic, Questionnaire
from traitgraph.specs.study.data import GeneratedDataSpec
from traitgraph.specs.study.filters import AxisName
from traitgraph.specs.study.merge_methods import MergeMethod
from traitgraph.specs.study.methods import Compose, Npti, Steer, Tuned, Vector
from traitgraph.specs.study.prompts import (
    PROMPT_STYLES,
    AdjectivesPrompt,
    DemonstrationPrompt,
    DescriptionPrompt,
    Prompt,
)
from traitgraph.specs.study.study import Arm
from traitgraph.specs.study.traits import MOST_COMBINATIONS, Combinations, PerTrait
from traitgraph.specs.study.vocabulary import Level, Trait, Vocabulary

from .usage import Read

SUM_OF_ALPHAS = 2
"""Above this sum of coefficients composed models stop following instructions (Personality Vector)."""

MOST_POINTS = 100_000
"""Combinations of alphas whose sum is looked at; those of longer axes fail where they are merged."""

_WORDS = re.compile(r"(\d+) words")


def check_arm(read: Read) -> Iterator[Diagnostic]:
    """What does not fit together in one arm."""
    for check in (
        _training, _levels, _alpha, _combinations, _merges, _experts, _quantised, _layers, _analyses, _zip, _prompts,
        _texts,
    ):  # fmt: skip
        yield from check(*read)


def _training(text: ArmText, arm: Arm) -> Iterator[Diagnostic]:
    wanted = arm.method.trains_by
    if wanted and arm.train and arm.train.method != wanted:
        what = f"method `{wanted}` cannot train by `{arm.train.method}`"
        hint = f"give: train: {{method: {wanted}, ...}} in this arm, or another method"
        yield text.error("TG121", what, ("train", "method"), hint)
    if isinstance(arm.method, Tuned) and arm.method.conditions == "joint" and arm.train:
        told = [filled(arm.train.instruction or "", *condition) for condition in product(arm.traits, arm.levels)]
        if len(set(told)) < len(told):
            what = "one model for all conditions needs a `train.instruction` that differs, or it cannot tell them apart"
            hint = "give: train: {instruction: 'You are ...: {trait} - {level}', ...}"
            yield text.error("TG122", what, ("method", "conditions"), hint)


def _levels(text: ArmText, arm: Arm) -> Iterator[Diagnostic]:
    """Levels that have the opposite that something needs, and steer somewhere, each elsewhere."""
    words, method = arm.vocabulary, arm.method
    place = ("levels",) if "levels" in text.values else ("vocabulary",)
    if "levels" not in method.uses or "levels" in text.faulty:
        return
    opposed = "`contrast`" if isinstance(method, Vector) and method.contrast else ""
    if arm.train and arm.train.method == "dpo" and "train" in method.uses:
        opposed = "`dpo`, which rejects the replies of the opposite level,"
    written = next((data.generate for data in arm.data if isinstance(data, GeneratedDataSpec)), None)
    if written and written.combine == "difference" and written.anti_expert == "opposite":
        opposed = "`anti_expert: opposite`"
    all_levels = bool(written) or (isinstance(method, Tuned) and method.conditions == "joint")
    asked = tuple(words.levels) if all_levels else arm.levels
    if opposed and (alone := [level for level in asked if not words.mirrored(level)]):
        what = f"{opposed} needs an opposite of `{alone[0]}`: no level stands at {-words.position(alone[0]):g}"
        yield text.error("TG123", what, place, f"its levels: {_positions(words)}; give one there, or other levels")
    if (opposed == "`contrast`" or isinstance(method, Steer | Npti)) and (still := _at_rest(arm)):
        what = f"`{still}` stands at 0, which is no direction: method `{method.kind}` would change nothing there"
        yield text.error("TG123", what, place, "leave it out, and compare with an arm of method `direct`")
    elif isinstance(method, Steer | Npti):
        upper, lower = words.ends
        if words.sign(upper) == words.sign(lower):
            what = f"`{upper}` and `{lower}` stand on one side of 0: their difference says nothing of either"
            yield text.error("TG123", what, ("vocabulary",), "give a level of the other side, or one at 0")
            return
        for side in (1, -1):
            same = [level for level in arm.levels if words.sign(level) == side]
            if len(same) > 1:
                strength = "coefficient" if isinstance(method, Steer) else "gamma"
                what = f"{' and '.join(same)} are steered alike: the direction is that between the outermost levels"
                yield text.error("TG123", what, place, f"give one level of each side; how far: `{strength}`")


def _at_rest(arm: Arm) -> str | None:
    return next((level for level in arm.levels if not arm.vocabulary.sign(level)), None)


def _positions(words: Vocabulary) -> str:
    return ", ".join(f"{level} {position:g}" for level, position in words.levels.items())


def _alpha(text: ArmText, arm: Arm) -> Iterator[Diagnostic]:
    if "alpha" not in arm.method.uses:
        return
    path = ("alpha",)
    if not isinstance(arm.alpha, PerTrait):
        largest = max(arm.alpha, default=0) * len(arm.traits)
        if isinstance(arm.method, Compose) and largest > SUM_OF_ALPHAS:
            what = f"{len(arm.traits)} x {number_text(max(arm.alpha))} = {number_text(largest)}: "
            what += f"above a sum of {SUM_OF_ALPHAS} merged models stop following instructions (arXiv:2509.19727)"
            yield text.warning("TG130", what, path)
    elif not isinstance(arm.method, Compose):
        what = f"one alpha for each trait has no effect on method `{arm.method.kind}`"
        yield text.error("TG120", what, path, "one alpha for each trait is for: compose")
    elif set(arm.alpha.axes) != set(arm.traits) and "traits" not in text.faulty:
        odd = sorted(set(arm.alpha.axes) ^ set(arm.traits))
        what = f"`alpha` and `traits` name different traits: {', '.join(odd)}"
        yield text.error("TG123", what, path, "give one alpha for all, or one for each")


def _combinations(text: ArmText, arm: Arm) -> Iterator[Diagnostic]:
    combinations: Combinations = getattr(arm.method, "combinations", None) or ()
    if "traits" in text.faulty:
        return
    if combinations == "all":
        if (number := len(arm.levels) ** len(arm.traits)) > MOST_COMBINATIONS:
            what = f"{len(arm.levels)} levels of {len(arm.traits)} traits have {number:,} combinations"
            hint = "give fewer traits, or those that you mean: method: {combinations: [...]}"
            yield text.error("TG105", f"{what}, more than {MOST_COMBINATIONS:,}", ("traits",), hint)
        return
    for index, combination in enumerate(combinations):
        path = ("method", "combinations", index)
        if combination in combinations[:index]:
            what = "this combination stands twice in the list"
            yield text.error("TG105", what, path)
        elif set(combination) != set(arm.traits):
            odd = sorted(set(combination) ^ set(arm.traits))
            what = f"this combination and `traits` name different traits: {', '.join(odd)}"
            yield text.error("TG123", what, path, "give a level for every trait")
        elif "levels" not in text.faulty and (other := set(combination.values()) - set(arm.levels)):
            what = f"this combination has the level {', '.join(sorted(other))}, and `levels` has not"
            yield text.error("TG123", what, path, f"give: levels: [{', '.join(arm.vocabulary.levels)}]")


def _merges(text: ArmText, arm: Arm) -> Iterator[Diagnostic]:
    if "merge" not in arm.method.uses or "traits" in text.faulty:
        return
    number = len(arm.traits) if isinstance(arm.method, Compose) else 1
    for index, merge in enumerate(arm.merge):
        if reason := merge.refuses(number) or _no_sum(arm, merge):
            what = f"`{merge.name}` does not fit method `{arm.method.kind}`: {reason}"
            yield text.error("TG127", what, text.listed("merge", index))


def _experts(text: ArmText, arm: Arm) -> Iterator[Diagnostic]:
    """A mixture of experts trains, and its vector is refused: said before that, where config.json is at hand."""
    lora = arm.train.lora if arm.train else None
    if "merge" not in arm.method.uses or not (arm.train or arm.onto):
        return
    if lora and lora.targets not in ("all-linear", "mlp") and not arm.onto:
        return
    if model := next((each for each in arm.model if fuses_experts(each.config())), None):
        path = ("train", "lora", "targets") if lora and not arm.onto else ("method",)
        what = f"no vector can be taken of the experts of '{model.name}': the loaded model fuses them"
        hint = "give: train: {lora: {targets: attention}}, or assess the tuned model (method: sft)"
        yield text.error("TG219", what, path, None if arm.onto else hint)


def _quantised(text: ArmText, arm: Arm) -> Iterator[Diagnostic]:
    """Weights that are packed can be asked, and neither trained nor merged; said where config.json is at hand."""
    if not (arm.train or "merge" in arm.method.uses):
        return
    places = [(text.listed("model", index), model) for index, model in enumerate(arm.model)]
    for place, model in [*places, *([(("onto", "model"), arm.onto.model)] if arm.onto else [])]:
        method = quantised_by(model.config())
        if method and method not in PARTLY:
            what = f"'{model.name}' is quantised by {method}: it can be asked, steered and prompted, and neither "
            what += f"trained nor merged, as method `{arm.method.kind}` does"
            yield text.error("TG220", what, place, PLAIN)


def _layers(text: ArmText, arm: Arm) -> Iterator[Diagnostic]:
    """A layer that a model does not have, where config.json is at hand."""
    if not isinstance(arm.method, Steer):
        return
    for model in arm.model:
        config = model.config()
        text_part = config.get("text_config")
        blocks = (text_part if isinstance(text_part, dict) else config).get("num_hidden_layers")
        if isinstance(blocks, int) and (beyond := [layer for layer in arm.method.layer if layer > blocks]):
            what = f"'{model.name}' has no layer {beyond[0]}: it has {blocks}"
            yield text.error("TG104", what, ("method", "layer"), f"give layers from 1 to {blocks}")


def _no_sum(arm: Arm, merge: MergeMethod) -> str | None:
    """Why the method has no result at a point of the arm; one alpha for all vectors adds up to 0 only where it is 0."""
    axes = arm.alpha.axes.values() if isinstance(arm.alpha, PerTrait) else ()
    if not merge.divides_by_sum or min(map(min, axes), default=Decimal()) >= 0:
        return None
    points = islice(product(*axes), MOST_POINTS)
    return next(filter(None, (merge.refuses_coefficients([*map(float, point)]) for point in points)), None)


def _analyses(text: ArmText, arm: Arm) -> Iterator[Diagnostic]:
    for index, analysis in enumerate(arm.analyses):
        if not _inherits(text, "analyses") and (reason := _no_comparison(analysis, text, arm)):
            yield text.error("TG120", reason[0], ("analyses", index), reason[1])


def _no_comparison(analysis: Analysis, text: ArmText, arm: Arm) -> tuple[str, str] | None:
    """Why an analysis has nothing to compare in an arm, and the repair."""
    if analysis.of_vectors and not arm.method.makes_vectors:
        what = f"`{analysis.kind}` has no effect on method `{arm.method.kind}`, which makes no vectors"
        return what, f"`{analysis.kind}` is for: vector, compose"
    asks = "benchmarks" in text.faulty or any(isinstance(each, Questionnaire) for each in arm.benchmarks)
    if isinstance(analysis, TraitCorrelation) and not asks:
        return f"`{analysis.kind}` has no effect: no questionnaire measures the traits", "add one to `benchmarks`"
    return None


def _inherits(text: ArmText, key: str) -> bool:
    """Whether a key of the arm is the study's, whose other arms may use it."""
    return bool(text.prefix) and key not in text.own


def check_ablations(read: Sequence[Read]) -> Iterator[Diagnostic]:
    """What tells apart the effects of a prompt and of what was trained, where subjects have both (BIG5-CHAT)."""
    both = [(text, arm) for text, arm in read if arm.prompt and "prompt" in arm.method.uses]
    if not both:
        return
    alone = {_wording(arm.method) for _, arm in read if isinstance(arm.method, Prompt)}
    lacking = []
    if not any(arm.prompt is None and "prompt" in arm.method.uses for _, arm in read):
        lacking.append("the same without `prompt`")
    if any(arm.prompt and _wording(arm.prompt) not in alone for _, arm in both):
        lacking.append("the prompt alone (method: prompt)")
    if lacking:
        what = "prompt and training act together here, and no arm measures " + " or ".join(lacking)
        hint = "add an arm for each, or their effects cannot be told apart"
        yield both[0][0].warning("TG221", what, ("prompt",), hint)


def _wording(prompt: object) -> tuple[object, ...]:
    """Kind and text of a prompt, wherever it is placed."""
    return type(prompt), getattr(prompt, "template", None)


def check_shared(read: Sequence[Read], document: Document) -> Iterator[Diagnostic]:
    """Entries of lists of the study that no arm uses, where each arm by itself may leave them to others."""
    scales: dict[str, tuple[float, str]] = {}
    for text, arm in read:
        for level, position in arm.vocabulary.levels.items():
            known, other = scales.setdefault(level, (position, arm.name or text.name))
            if known != position:
                what = f"`{level}` stands at {position:g} here and at {known:g} in the arm `{other}`"
                hint = "a level is one thing in a study: give it one position, or another name"
                yield text.error("TG123", what, ("vocabulary",), hint)
    heirs = [(text, arm) for text, arm in read if _inherits(text, "analyses") and "analyses" not in text.faulty]
    for index, analysis in enumerate(heirs[0][1].analyses if heirs else ()):
        reasons = [_no_comparison(analysis, text, arm) for text, arm in heirs]
        if reasons[0] and all(reasons):
            what = f"`{analysis.kind}` has no effect: no arm has what it compares"
            yield document.error("TG120", what, ("analyses", index), reasons[0][1])
    heirs = [(text, arm) for text, arm in read if _inherits(text, "zip") and "zip" not in text.faulty]
    for index, group in enumerate(heirs[0][1].zip if heirs else ()):
        if all(_unzipped(group, text, arm) for text, arm in heirs):
            what = f"no arm has all of these axes: {', '.join(group)}"
            yield document.error("TG124", what, ("zip", index), "zip axes of one arm, or delete it")


def _prompts(text: ArmText, arm: Arm) -> Iterator[Diagnostic]:
    """Every prompt has a text for each condition, and only subjects made by prompting have an axis of intensities."""
    for place, prompt, levels in _prompts_of(arm):
        combined = place in (("method",), ("prompt",)) and getattr(arm.method, "combinations", None)
        if prompt.combinations and place != ("method",):
            what = "`combinations` has no effect here: which traits a subject has is said by its method"
            yield text.error("TG120", what, (*place, "combinations") if place != ("data",) else place, "delete it")
        elif combined and not (prompt.joins and (place == ("prompt",) or "levels" in prompt.uses)):
            what = f"the prompt style `{prompt.style}` has no text of several traits, each at its level"
            styles = [name for name, style in PROMPT_STYLES.items() if style.joins and "levels" in style.uses]
            yield text.error("TG123", what, place, f"give one of these styles: {', '.join(styles)}")
        if "traits" not in text.faulty and "levels" not in text.faulty:
            if lacking := prompt.lacks(arm.traits, levels):
                what = f"the prompt has no {lacking}"
                rest = "; a vocabulary has no words for a level at 0" if _at_rest(arm) else ""
                yield text.error("TG123", what, place, f"give it, or fewer traits or levels{rest}")
            elif place[0] == "method" and (alike := _alike(prompt, arm.traits, levels)):
                what = f"the prompt says the same for {alike}: these conditions cannot differ"
                shared = "levels on one side of the middle share the vocabulary's words: give one of each side"
                of_poles = isinstance(prompt, AdjectivesPrompt | DescriptionPrompt)
                yield text.error("TG123", what, place, shared if of_poles else "name {trait} and {level} in it")
        many = [name for name, values in prompt.own_axes().items() if len(values) > 1]
        if many and place != ("method",):
            path = (*place, many[0]) if place != ("data",) else place
            what = f"`{many[0]}` has several values; here it is not an axis"
            yield text.error("TG104", what, path, "give one value, or an arm for each")


def _alike(prompt: Prompt, traits: tuple[Trait, ...], levels: tuple[Level, ...]) -> str | None:
    """Two conditions with one text: 'openness high and openness low'; demonstrations differ by their examples."""
    if isinstance(prompt, DemonstrationPrompt):
        return None
    if isinstance(prompt, AdjectivesPrompt):
        prompt = prompt.model_copy(update={"count": None})  # two draws from the same words are no two conditions
    seen: dict[str, str] = {}
    axes = (traits, levels if "levels" in prompt.uses else (None,), prompt.own_axes().get("intensity", (None,)))
    for condition in product(*axes):
        name, text = " ".join(str(each) for each in condition if each), prompt.system(*condition)
        if text in seen:
            return f"{seen[text]} and {name}"
        seen[text] = name
    return None


def _prompts_of(arm: Arm) -> Iterator[tuple[tuple[str, ...], Prompt, tuple[Level, ...]]]:
    """Where each prompt stands, and the levels that it is to say: neurons are told apart by those at both ends,
    dialogues are written at every level.
    """
    if isinstance(arm.method, Prompt):
        yield ("method",), arm.method, arm.levels
    if isinstance(arm.method, Npti):
        yield ("method", "personas"), arm.method.personas, arm.vocabulary.ends
    if arm.prompt and "prompt" in arm.method.uses:
        yield ("prompt",), arm.prompt, arm.levels
    personas = [data.generate.persona for data in arm.data if isinstance(data, GeneratedDataSpec)]
    for persona in personas[:1] if "data" in arm.method.uses else ():
        yield from [(("data",), persona, tuple(arm.vocabulary.levels))] if persona else ()


def _texts(text: ArmText, arm: Arm) -> Iterator[Diagnostic]:
    """A text of n words has at least n tokens."""
    if "sampling" in text.faulty:
        return
    for index, benchmark in enumerate(arm.benchmarks):
        asked = benchmark.prompts if isinstance(benchmark, Linguistic) else ()
        words = max((int(number) for prompt in asked for number in _WORDS.findall(prompt)), default=0)
        if words > (longest := arm.sampling.max_new_tokens):
            what = f"`{benchmark.name}` asks for {words} words, and each text is cut at {longest} tokens"
            hint = f"give: sampling: {{max_new_tokens: {2 * words}, ...}}"
            yield text.warning("TG131", what, text.listed("benchmarks", index), hint)


def _zip(text: ArmText, arm: Arm) -> Iterator[Diagnostic]:
    axes = arm.axes()
    seen: set[str] = set()
    for index, group in enumerate(arm.zip):
        path = ("zip", index)
        unused = _unzipped(group, text, arm)
        lengths = {name: len(axes[name]) for name in group if name in axes}
        if unused and _inherits(text, "zip"):
            continue  # the study's zip concerns the arms that have these axes
        if unused:
            what = f"`{unused[0]}` is not an axis of method `{arm.method.kind}`"
            there = [name for name in get_args(AxisName) if name in axes]
            yield text.error("TG124", what, path, f"its axes are: {', '.join(there)}")
        elif len(set(group)) < len(group):
            what = f"`{max(group, key=group.count)}` is zipped with itself"
            yield text.error("TG124", what, path, "name each axis once")
        elif len(set(lengths.values())) > 1:
            what = "zipped axes must be of one length: " + ", ".join(f"{name} has {n}" for name, n in lengths.items())
            yield text.error("TG124", what, path)
        elif twice := seen & set(group):
            what = f"`{min(twice)}` is zipped twice"
            yield text.error("TG124", what, path, "join the two groups")
        seen |= set(group)


def _unzipped(group: Sequence[str], text: ArmText, arm: Arm) -> list[str]:
    """The axes of a group that the arm does not have."""
    axes = arm.axes()
    return [name for name in group if name not in axes and AXIS_KEYS.get(name, name) not in text.faulty]
