"""Any compressor or model in EleutherAI's lm-evaluation-harness, as the harness's model ``compgen``.

The harness (0.4.13) finds only the models in its own table. This module adds one to the table and starts the harness::

    python -m compgen.evaluation.harness --model compgen --model_args compressor=gzip --tasks piqa

``model_args`` are ``compressor`` (a spec; default gzip), ``rule``, ``effort``, ``window``, and ``seed``, the seed of
samples. In Python, import this module; then ``lm_eval.simple_evaluate(model="compgen", ...)`` works. Requests are
scored byte by byte, so the harness's ``bits_per_byte`` is the rate that compgen calls so. Where a task counts tokens
(``max_gen_toks``), bytes are counted.
"""

from __future__ import annotations

import hashlib
import logging
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Never

import numpy as np
from numpy.typing import NDArray

from compgen.display import one_line
from compgen.errors import CompgenError, UsageError
from compgen.evaluation.shards import batches
from compgen.extras import missing
from compgen.models import load
from compgen.models.base import PRECISION, ByteModel, of_symbols
from compgen.models.language import LanguageModel
from compgen.sampling import sample

try:
    from lm_eval.api.model import LM
    from lm_eval.api.registry import register_model
    from lm_eval.models.utils import normalize_gen_kwargs
    from lm_eval.utils import warning_once
    from tqdm import tqdm
except ModuleNotFoundError as error:
    raise missing(error.name or "lm_eval", "lm-eval", "the harness") from None

_LENGTH = 256
"""Bytes generated if a task does not say how many; the harness's own models generate 256 tokens."""

_BLOCK = 256
"""Bytes of each row that are read at a time. Chosen: their frequencies take half a megabyte a row."""

_LOGGER = logging.getLogger("lm_eval.compgen")  # below the harness's, which it shows

_SHAPING = ("top_k", "top_p", "min_p")
"""Options of a task that the sampler takes under the same names."""


@register_model("compgen")
class CompgenLM(LM):  # type: ignore[misc]
    """Answers the harness's three kinds of request by a next-byte distribution.

    Attributes:
        model: the model that gives the distribution.
        rows: number of requests that are scored side by side.
    """

    def __init__(
        self,
        compressor: str = "gzip",
        rule: str | None = None,
        effort: str | None = None,
        window: int | None = None,
        seed: int = 0,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
    ) -> None:
        """Build the model from ``--model_args`` and the batch size.

        The harness's command line always gives a ``device``. Here the environment variable COMPGEN_DEVICE chooses it.

        Raises:
            UsageError: the spec or an option is wrong.
            MissingExtraError: the compressor needs a package that is not installed.
        """
        super().__init__()
        self.model: ByteModel = load(compressor, rule=rule, effort=effort, window=window)
        self.rows = _rows(batch_size, max_batch_size, self.model)
        self._seed = seed

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return ln p of each (context, continuation), and whether each of its bytes was a most probable one."""
        pairs = [tuple(_bytes(text) for text in request.args) for request in requests]
        return self._score(pairs, disable_tqdm)

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Return ln p of each text without context. A long text is seen through the model's own context window."""
        pairs = [(b"", _bytes(request.args[0])) for request in requests]
        return [found for found, _ in self._score(pairs, disable_tqdm)]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Return a continuation of each context, up to a stop string or ``max_gen_toks`` bytes.

        The options of a request mean what the harness's ``normalize_gen_kwargs`` says: without ``do_sample`` and
        ``temperature``, decoding is greedy. A text that is drawn depends on the seed, on its request, and on how many
        equal requests came before it.
        """
        made = []
        before: Counter[bytes] = Counter()
        for request in tqdm(requests, disable=disable_tqdm):
            context, options = request.args
            wanted = _wanted(options)
            seed = self._seed
            if wanted["temperature"]:
                asked = hashlib.blake2b(_bytes(repr((seed, context, wanted))), digest_size=8).digest()
                seed = int.from_bytes(asked, "big") + before[asked]
                before[asked] += 1
            drawn = sample(self.model, _bytes(context), seed=seed, **wanted)
            made.append(drawn[0].data.decode(errors="replace"))
        return made

    def chat_template(self, chat_template: bool | str = False) -> str:
        """Return no template, or refuse: models read bytes, and the special tokens of templates spell none.

        Raises:
            UsageError: a template is wanted.
        """
        return _refuse_chat() if chat_template else ""

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> Never:
        """Refuse; see ``chat_template``."""
        _refuse_chat()

    @property
    def tokenizer_name(self) -> Never:
        """Not there: the harness asks for it where it applies a chat template. See ``chat_template``."""
        _refuse_chat()

    def _score(self, pairs: Sequence[tuple[bytes, ...]], quiet: bool) -> list[tuple[float, bool]]:
        groups = tqdm(list(batches(pairs, self.rows)), disable=quiet)
        return [found for group in groups for found in self._together(group)]

    def _together(self, pairs: Sequence[tuple[bytes, ...]]) -> list[tuple[float, bool]]:
        state = self.model.start([context for context, _ in pairs])
        texts = [text for _, text in pairs]
        lengths = np.array([len(text) for text in texts])
        symbols = np.zeros((len(texts), lengths.max(initial=0)), dtype=np.uint8)
        for row, text in enumerate(texts):
            symbols[row, : len(text)] = np.frombuffer(text, dtype=np.uint8)
        bits = np.zeros(len(texts))
        greedy: NDArray[np.bool_] = np.ones(len(texts), dtype=np.bool_)
        for begin in range(0, symbols.shape[1], _BLOCK):
            block = symbols[:, begin : begin + _BLOCK].T
            frequencies = state.read(block)
            chosen = of_symbols(frequencies, block)
            going = lengths > np.arange(begin, begin + len(block))[:, None]
            bits += np.where(going, PRECISION - np.log2(chosen), 0).sum(axis=0)
            # Frequencies that differ by one count are tied, and a greedy sampler may take either byte.
            greedy &= (~going | (chosen + 1 >= frequencies.max(axis=2))).all(axis=0)
        return [(-bit * math.log(2), bool(is_greedy)) for bit, is_greedy in zip(bits, greedy, strict=True)]


def _rows(batch_size: int | str | None, most: int | None, model: ByteModel) -> int:
    """Return the number of rows for ``batch_size``, of which ``auto`` asks for as many as make ``model`` faster.

    Raises:
        UsageError: it is neither a number nor ``auto`` nor ``auto:N``.
    """
    size = str(batch_size or 1)
    if size.partition(":")[0] == "auto":
        rows = model.most_lanes if isinstance(model, LanguageModel) else 1
        return min(rows, most or rows)
    if not size.isdecimal() or not int(size):
        raise UsageError(f"batch_size must be a positive whole number or auto, not '{batch_size}'")
    return int(size)


def _bytes(text: str) -> bytes:
    """Return ``text`` in UTF-8. Halves of surrogate pairs, as in JSON that was cut, are coded as if they were whole."""
    return text.encode("utf-8", "surrogatepass")


def _wanted(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of ``sample`` for the options of a request."""
    given = {key: value for key, value in options.items() if value is not None}
    until = given.pop("until", [])
    stops = [until] if isinstance(until, str) else until
    if given.get("do_sample") is True:
        given.setdefault("temperature", 1.0)
    normal: dict[str, Any] = dict(normalize_gen_kwargs(given, _LENGTH))
    is_drawn, temperature = normal.pop("do_sample"), float(normal.pop("temperature", 0.0))
    wanted: dict[str, Any] = {
        "length": normal.pop("max_gen_toks"),
        "stop": [_bytes(stop) for stop in stops if stop],
        "temperature": temperature if is_drawn else 0.0,
    }
    del normal["until"]
    shaping = {key: normal.pop(key) for key in _SHAPING if key in normal}
    if wanted["temperature"]:
        if shaping.get("top_k") in (0, -1):  # how transformers and vLLM write that there is none
            del shaping["top_k"]
        wanted |= shaping
    if normal:
        warning_once(_LOGGER, f"compgen has no {', '.join(sorted(normal))}; generation goes on without")
    return wanted


def _refuse_chat() -> Never:
    raise UsageError("compgen's models read bytes and have no chat template; leave --apply_chat_template out")


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    try:
        cli_evaluate()
    except CompgenError as error:
        print(f"cgn: {one_line(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
