"""Words of other libraries for what ``sample`` has under another name: of transformers, llama.cpp, vLLM and OpenAI.

The command line and ``compgen.sample`` answer them with the right ones. This table is for both.
"""

from __future__ import annotations

from typing import NamedTuple


class Ours(NamedTuple):
    """What to write in place of a foreign word.

    Attributes:
        options: options of ours by name, each with its value or a letter that stands for one.
        remark: what else a user of the word needs to know.
    """

    options: dict[str, str]
    remark: str = ""


_LENGTH = Ours({"length": "N"}, "which counts bytes, without the prompt")
_SAMPLES = Ours({"samples": "N"})
_BEAM = Ours({"sampler": "beam", "samples": "N"}, "for N beams")
_PENALTY = Ours({"repetition_penalty": "R"})
_STOP = Ours({"stop": "TEXT"})
_PROMPT = Ours({"prompt": "PROMPT"})
_SEED = Ours({"seed": "N"})
_LEAST_LENGTH = Ours({"length": "N"}, "which every sample has, unless a stop string ends it")
_MIN_P = Ours({"min_p": "P"}, "which also leaves out improbable bytes")
_MODEL = Ours({"compressor": "SPEC"}, "which takes models too, such as llm")

FOREIGN = {
    "max_new_tokens": _LENGTH,
    "max_length": _LENGTH,
    "max_tokens": _LENGTH,
    "n_predict": _LENGTH,
    "num_tokens": _LENGTH,
    "min_new_tokens": _LEAST_LENGTH,
    "min_length": _LEAST_LENGTH,
    "num_return_sequences": _SAMPLES,
    "num_samples": _SAMPLES,
    "n_samples": _SAMPLES,
    "best_of": _SAMPLES,
    "do_sample": Ours({"temperature": "0"}, "for the most probable bytes; without it, bytes are drawn by chance"),
    "greedy": Ours({"temperature": "0"}),
    "temp": Ours({"temperature": "T"}),
    "num_beams": _BEAM,
    "beam_width": _BEAM,
    "beam_size": _BEAM,
    "use_beam_search": _BEAM,
    "no_repeat_ngram_size": Ours({"no_repeat_ngram": "N"}, "which counts bytes"),
    "repeat_penalty": _PENALTY,
    "frequency_penalty": _PENALTY,
    "presence_penalty": _PENALTY,
    "stop_strings": _STOP,
    "stop_sequences": _STOP,
    "stop_string": _STOP,
    "eos_token_id": _STOP,
    "typical_p": _MIN_P,
    "epsilon_cutoff": _MIN_P,
    "input_ids": _PROMPT,
    "inputs": _PROMPT,
    "input": _PROMPT,
    "random_state": _SEED,
    "random_seed": _SEED,
    "generator": _SEED,
    "model": _MODEL,
    "model_name": _MODEL,
}
"""Foreign words as Python spells them, and ours. Chosen: those of the documentation of the four, as far as they have a
counterpart here."""
