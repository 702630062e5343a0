"""What each code of a message means: for `traitgraph explain TG101`, and for the last part of the reference.

TG0xx reading and composing, TG1xx the language, TG2xx compiling and running. A test finds every code in the sources and
looks for it here; a code that is no longer used keeps its line and its number.
"""

from __future__ import annotations

_TEXT = """\
TG001 the file cannot be read
It does not exist, is a folder, or is not readable by you. Paths on the command line start at the working folder.

TG002 the file is not text
A spec is UTF-8 text without control characters. Save it as UTF-8.

TG003 the file is larger or deeper than any spec
Specs are limited in size and nesting, so that a broken or hostile file cannot stall the program. Grids are written as
axes ({from, to, step}), not spelled out.

TG004 the file is not YAML
Indentation, quotes or brackets do not fit together. The mark shows where reading stopped, which may be a little below
the mistake.

TG005 the file is empty
A study needs at least `study`, `model`, `method` and `benchmarks`.

TG006 the file is not a mapping
A spec is a mapping of keys to values: `study: name`, `model: ...`.

TG007 a key stands twice
YAML would silently keep the last one. `α` and `alpha`, `γ` and `gamma` are the same key.

TG008 aliases multiply without end
An anchor (&name) may be repeated by an alias (*name), but it may not contain itself, and all aliases together may not
make the file enormous.

TG009 a tag is not allowed
Tags such as !!python/object can run programs. Plain values need none; !!str, !!int and the like are allowed where
they say the truth.

TG010 a number is not finite or has too many digits
Infinity and NaN are no settings. Quote it if it is text.

TG011 this is no key
Keys are words. YAML's merge key `<<` is not part of the language: values at the top of a study are the defaults of
every arm.

TG012 the file is something else
A study, a recipe for one merge, a saved plan and a lock are different files, and each has its commands: `merge` takes
recipes, `run` takes studies and saved plans, `lock --check` compares with a lock.

TG020 an override cannot be read
Overrides follow Hydra's grammar: key=value, +key=value, ~key.

TG021 an override names a key that is not there
Change an existing key by key=value; add a new one by +key=value.

TG022 an override adds a key that is there
Change it by key=value, or force it by ++key=value.

TG023 an override cannot delete this
~key deletes a key, ~key=value only if it has that value.

TG024 this sweep cannot be made
key=a,b, range(from, to, step), choice(...) and glob(...) need -m on the command line, make one study for each value,
and together must stay countable. A grid inside the spec is an axis.

TG025 a Greek letter in an override
α and γ are for files; shells and trackers want alpha and gamma.

TG030 a preset does not exist
Presets are files GROUP/NAME.yaml beside the spec or in the library.

TG031 a group of presets does not exist
The library has the groups model, vocabulary, data, train, sampling, judge, cluster and paper.

TG032 presets name each other in a circle
Each preset in the chain builds on the next, and the last on the first.

TG033 the `defaults` list cannot be used
It is a list of `- group: name`, with `- _self_` where the values of the file itself come in.

TG034 a value must be given
A preset holds ??? where its paper does not state a number. Give it in the spec or on the command line.

TG035 a reference leads nowhere
${a.b} takes the value of key b in key a of the same spec.

TG036 a package that holds a model is not installed here
A preset may name a file that a Python package ships. A plan needs the file's digest alone, which the preset has;
`run` needs the package. The message has the line that installs it.

TG038 a chat template has no place for a system message
Some templates refuse a system message or leave it out. The text of a condition then stands at the head of the user's
message, and the results have a row `system_as_user`. `place: user` says so in the spec. A system message of a row of
the data moves in the same way.

TG039 a chat template does not show what is said
A prompt, an instruction, a persona or a message of a row that never reaches the model would change no result, silently.
White space and capitals do not count. Some templates refuse a conversation of several turns: no job could render it.

TG101 an unknown key
No key is ever ignored: a misspelt option would otherwise change nothing, silently. The keys of each mapping are in
the reference (docs/language.md).

TG102 a key is missing
Keys without a default must be given, in the study or in the arm that needs them.

TG103 a value of the wrong type
Numbers stand without quotes, texts that look like numbers with quotes, lists in [], mappings in {}.

TG104 a value that is not allowed
It is outside the range or not among the words that the key takes.

TG105 an axis that cannot be
An axis is a value, a list, or a range. A range by step must hit its end exactly, in decimals; an axis holds each
value once, and at least one. An arm has at most 5,000,000 points, and at most 10,000 combinations of levels.

TG106 an unknown name
The name of a trait, method, preset, benchmark, questionnaire or arm that does not exist. Presets may also lie beside
the spec, in a folder named after their group. A task must stand in its folder: `task: NAME`, `group: NAME` or `tag:
NAME` in a .yaml file that can be read.

TG107 a mapping whose form is unclear
A model has `id` (hub), `path` (this machine) or `package`; data has `path`, `id` or `generate`; exactly one of them.

TG108 a file or folder is not there
Relative paths start at the folder of the spec. Where a folder is wanted, a file does not do.

TG109 an override that another one takes back
Of two overrides of one key the last would win silently, under a name that may tell of both. Several values are
one sweep, `-m key=a,b`; `~key` before `+key=value` replaces a mapping whole.

TG110 two subjects of one name
Results are told apart by the names of arms and of the values on their axes: no two may be alike. Give one of them
another `name`; a value of a package's own axis needs a text of its own.

TG111 a setting of Hydra's that nothing reads
`traitgraph` reads `hydra.sweeper.params` of a file, with -m, and nothing else of the block `hydra:`; under
@hydra.main Hydra reads the rest. Of the groups of Hydra's own in a `defaults` list only `override hydra/sweeper:
traitgraph` is taken.

TG112 a path that means two places
Relative paths of a spec start at its folder. One that is typed in an override may lie in the working folder instead:
where it lies only there it is read from there, and where both folders have it, say which is meant.

TG120 an option that nothing uses
A value that has no effect would make a reader believe that it had. Each method uses certain keys of an arm,
benchmarks use `sampling`, and of each key of the study at least one arm that uses it must take something: a key that
every arm replaces by its own does nothing.

TG121 training that does not fit the method
`method: sft` trains by sft, `method: dpo` by dpo.

TG122 a joint model that cannot tell its conditions apart
One model for all traits and levels learns them by `train.instruction`, a text with {trait} and {level}.

TG123 traits that do not fit together
One alpha for each trait, or a listed combination, names every trait once. A prompt has a text for each trait and
level; where traits are combined, one that can stand beside those of the others.

TG124 axes that cannot be zipped
Zipped axes must be axes of the method, of one length, and in one group.

TG125 a filter that matches nothing
A value in `exclude` or `when` that no axis has is a typing mistake, and so are values that never stand together.
`include` adds new numbers; new models, traits and the like need an arm.

TG126 nothing is left of an arm
`exclude` and `when` together leave out every point of it.

TG127 a merge method that does not take these vectors
`method: vector` merges one vector, `compose` one for each trait. Common-mode removal needs two at least,
interpolation on the arc (slerp) takes two at most. Methods that divide by the sum of the coefficients have no result
where these add up to 0.

TG130 coefficients with a large sum
A warning. In the Personality Vector paper (arXiv:2509.19727) merged models stop following instructions when the
coefficients of their vectors add up to more than 2.

TG131 texts that are cut
A warning. A benchmark asks for a text of more words than `sampling.max_new_tokens` has tokens, and a word is one
token or more: every text that is as long as asked for would be cut. The report counts cut texts.

TG140 a merge file that cannot be used
`traitgraph merge` does one merge without a study, from a file of ours or of mergekit where the meaning is the same;
see docs/merging.md.

TG203 a selection that cannot be read
--select takes conditions that must all hold, joined by commas, such as trait=agreeableness,alpha>0.5,kind=assess+,
where the + adds what follows from the jobs. = and != take one of several values (trait=openness|neuroticism), < <= >
>= a number. Names are columns of the results (study, arm, method, benchmark, and each axis: model, data, trait, level,
context, merge, onto, intensity, layer, coefficient, alpha, gamma, seed, in some studies alpha:openness or
merge.density), kind (train, vector, assess, ...) and key, of which the start is enough. A method and a merge may be
named as labels name them, 'steer layer=10'. alpha is the coefficient of a steered subject too, and each alpha of a
composed one. A job that lacks a coordinate meets no condition on it.

TG204 no such job
A job is named by the first characters of its key, as `results` and `graph --full` print it, or by its label ('train
extraversion high') or words of it.

TG205 the plan is too expensive
The upper end of its price is above --max-gpu-hours; where no job needs a GPU, its CPU hours count. Nothing was
started.

TG206 no such pass of the compiler
The passes stand in one tuple, in traitgraph/compiler/pipeline.py; each can be named to see what it leaves.

TG209 a plugin lacks a part
A package that adds to the language also says what it means: its method has a method `lower` of its class (or a function
in the entry-point group `traitgraph.lowerings`), its analysis a method `compare`, a job kind that it uses a `JobKind`.
Ask its authors, or update it.

TG210 a saved plan that no longer fits
A plan is executed exactly or not at all. It is refused when a job that it counted as done is gone from the store,
when a file that it reads has changed, or when the version of traitgraph or of one of its job kinds is another than
when it was made: make it again.

TG211 a part that can be planned and not run yet
A package added it to the language and gives no function that runs it: a benchmark needs one in the entry-point group
`traitgraph.measures`. `check` names such parts, `plan` counts their jobs, and `run` refuses them before it starts;
run the rest with --select.

TG212 data that cannot be used
A local file that the study reads lacks rows that its jobs need, or has a row, item or word of another form:
docs/data.md tells the forms. No run would start, so it is an error; a questionnaire whose wording is left to the user
is a warning. `check` and `plan` read files up to 32 MB, `run` all; data sets of the hub are read by the jobs.

TG216 a folder that no model can be loaded from
Looked at by names and JSON: config.json, weights in safetensors (`model.safetensors`, else
`model.safetensors.index.json` with all its shards, as transformers chooses), a tokenizer, and no adapter beside them.
Pickled weights are not read, since unpickling may run any code; Python files that come with a model run only with
`trust_remote_code: true`. Where an adapter is wanted: adapter_config.json and adapter_model.safetensors.

TG219 no vectors of a mixture of experts
transformers puts the experts of a layer into one tensor when it loads most such models, and peft then adapts
parameters instead of modules: such an adapter, or such weights, are no change of the tensors on disk, and no vector
of them can be added in place. It is found in config.json, where that lies on this machine. Train the attention alone
(`lora: {targets: attention}`), or assess the tuned model itself.

TG220 no training and no merge of quantised weights
`quantization_config` in config.json, where that lies on this machine, says that the weights are packed (GPTQ, AWQ,
bitsandbytes). Such a model can be asked as it is, prompted and steered, where the packages with which transformers
loads it are installed (TG216 names those that are not). Trainings, vectors and merges need plain weights: name the
model in float32, bfloat16 or float16.

TG223 a key or a password in a spec
What stands in a spec goes into manifests, reports, logs and trackers, and is read by many. Values of the forms that
services give out (sk-..., hf_..., ghp_..., AKIA..., 40 hex digits of W&B), a user or a key in a URL, assignments such
as HF_TOKEN=..., and long texts of letters and digits without order are refused, in every field, preset and override,
and are not printed in full. A judge's key is named by its variable (`key_from`); other programs read theirs from the
environment or their own files. Commits and digests are fine as `revision` and `digest`, and shortened anywhere.

TG213 a task of lm-eval that needs what its folder does not hold
Whatever the definitions of a task folder name (data, includes, functions, prompts) must lie in that folder, whose
content is in the key of a job: a relative path starts beside the definition, then at the folder. A link counts as
what it leads to, hidden files do not count. Copy the file into the folder. The same is said where `shots` asks for
more worked examples than a file has, and where an entry of a group's `aggregate_metric_list` names several metrics:
the harness gives no figure for it.

TG214 a number of worked examples that the task fixes
A task that says `num_fewshot: 0` stays there whatever `shots` says, as in lm-eval: its instructions hold the
examples, or its score is not meant with any. Results and raw answers carry the number that was used.

TG226 held-out rows that stand in training
A row with the same prompt and reply is in the split that is learnt from (by training, a steering direction or
demonstrations) and in the one that is measured, in one file or in two. A model that has seen the reply finds it
likelier whatever it has learnt. Leave the row out of one of them. Data of the hub, and dialogues that jobs write, are
compared by the job that measures, before its work.

TG227 held-out prompts that stand in training
A warning. The prompt is in the split that is learnt from as well, with another reply: what is measured is not only
what carries over to new prompts. The report says so too.

TG221 two causes that no arm tells apart
Tuned, merged or steered subjects that also see a prompt show the effect of both. An arm without `prompt` and an arm
of method `prompt` with the same text tell how much each does; in BIG5-CHAT adapters were only ever measured together
with their instruction.
"""

CODES: dict[str, tuple[str, str]] = {
    head[:5]: (head[6:], " ".join(lines)) for head, *lines in (entry.splitlines() for entry in _TEXT.split("\n\n"))
}
"""Code -> what is wrong in a few words, and the rest of what there is to say."""


def explain(code: str) -> str | None:
    """What a code means and what to do, as text; None for a code that does not exist. 'tg-106' and '106' are TG106."""
    plain = "".join(filter(str.isalnum, code.upper()))
    name = plain if plain in CODES else f"TG{plain}"
    if name not in CODES:
        return None
    title, text = CODES[name]
    return f"{name}: {title}\n\n{text}\n"
