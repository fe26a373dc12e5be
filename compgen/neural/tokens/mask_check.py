"""Check that a model's attention follows masks as a tree of tokens needs.

A small tree of real text is read in shuffled slots, and each of its branches in a plain pass. Both compute the same,
but for rounding. Not every model can: some take the order of tokens from where they lie in the cache (ALiBi,
recurrences).
"""

from __future__ import annotations

import itertools

import numpy as np
import torch

from compgen.errors import CompgenError, IncompatibleError
from compgen.neural.tokens.engine import CausalLM
from compgen.neural.tokens.tokeniser import Tokeniser

_TRUNK = b"The keeper of the light climbed the stairs at dusk, and the ships that came from the"
_BRANCHES = (b" north saw the lamp", b" open sea")
"""A text and two ways on, as models know texts: plain English. Chosen."""

_MOST = 16
"""Tokens of the trunk at most, and of each branch. Chosen: enough for a broken mask to show, and quick."""

_TOLERANCE = {"float32": 1e-3, "float16": 0.02, "bfloat16": 0.1}
"""How far the tree's logits may be from those of a plain pass, by type: root mean squares, relative to their spread.

Chosen between what sound masks show (Gemma 3 270M: 1e-6, and 0.011 in bfloat16; tiny models less) and what they show if
branches see each other (0.7; tiny models 0.4 and more, whatever the type).
"""


def check_masks(engine: CausalLM, tokeniser: Tokeniser) -> None:
    """Compare the logits over a small tree with a plain pass over each of its branches.

    Raises:
        IncompatibleError: they differ, the model's own logits are no numbers, or the model fails.
    """
    message = (
        f"{type(engine.model).__name__} does not follow attention masks as a tree of tokens needs; "
        "use a model with plain causal attention, such as Llama's, Qwen's or GPT-2's"
    )
    try:
        found = deviation(engine, tokeniser)
    except CompgenError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())  # messages of libraries have several lines
        raise IncompatibleError(f"{message} ({type(error).__name__}: {reason})") from error
    if not found <= _TOLERANCE[engine.dtype]:  # NaN compares as False, so it is refused
        raise IncompatibleError(message)


def deviation(engine: CausalLM, tokeniser: Tokeniser) -> float:
    """Return how far the logits over the tree are from a plain pass, in the units of ``_TOLERANCE``; errors as above.

    It is 0 for tokens that the model does not have: whoever opens the model says so (``fitting_window``).
    """
    start = [] if tokeniser.start_token is None else [tokeniser.start_token]
    trunk = (start + tokeniser.encode(_TRUNK))[:_MOST]
    branches = [tokeniser.encode(branch)[:_MOST] for branch in _BRANCHES]
    if max(trunk + branches[0] + branches[1]) >= engine.vocab_size:
        return 0.0
    tree, plain = _over_the_tree(engine, trunk, branches), _in_plain_passes(engine, trunk, branches)
    if not plain.isfinite().all():
        cure = "its weights may be damaged" if engine.dtype == "float32" else "use dtype=float32, or bfloat16"
        raise IncompatibleError(f"{type(engine.model).__name__} overflows in {engine.dtype}; {cure}")
    spread = plain.std(dim=1, keepdim=True)
    return float(((tree - plain) / spread).square().mean().sqrt())


def _over_the_tree(engine: CausalLM, trunk: list[int], branches: list[list[int]]) -> torch.Tensor:
    """Return (k, vocab_size) logits after the k tokens of all branches, read side by side in shuffled slots."""
    cache = engine.new_cache(1)
    count = len(trunk) + sum(map(len, branches))
    cache.reserve(count + 1)
    slots = 1 + np.random.default_rng(7).permutation(cache.slots - 1)[:count]
    own = slots[: len(trunk)]
    mask = np.zeros((1, len(trunk), cache.slots), dtype=np.bool_)
    for place, slot in enumerate(own):
        mask[0, place:, slot] = True
    engine.forward(cache, np.array([trunk]), np.arange(len(trunk))[None], own[None], mask)
    rest = slots[len(trunk) :]
    mask = np.zeros((1, len(rest), cache.slots), dtype=np.bool_)
    mask[:, :, own] = True
    ends = np.cumsum([len(branch) for branch in branches])
    for begin, end in itertools.pairwise([0, *ends.tolist()]):
        for place in range(begin, end):
            mask[0, place:end, rest[place]] = True
    positions = np.concatenate([len(trunk) + np.arange(len(branch)) for branch in branches])
    tokens = np.array([list(itertools.chain.from_iterable(branches))])
    return engine.forward(cache, tokens, positions[None], rest[None], mask)[0]


@torch.no_grad()
def _in_plain_passes(engine: CausalLM, trunk: list[int], branches: list[list[int]]) -> torch.Tensor:
    """Return the same by transformers' own attention, one branch at a time."""
    found = []
    with engine.plain_attention():
        for branch in branches:
            text = torch.tensor([trunk + branch], device=engine.model.device)
            found.append(engine.model(input_ids=text, use_cache=False).logits[0, len(trunk) :].float())
    return torch.cat(found)
