"""Muon for the matrices inside the network and AdamW for everything else, as one optimiser.

Muon (Jordan et al. 2024) orthogonalises each matrix's momentum. Its updates are scaled to the size of AdamW's (Liu et
al. 2025, "Muon is scalable for LLM training"), so one learning rate suits both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class MuonAdamW(torch.optim.Optimizer):
    """Two optimisers behind one interface, so that a trainer schedules, saves and resumes them together."""

    def __init__(self, network: torch.nn.Module, learning_rate: float, weight_decay: float) -> None:
        """Give the matrices of the blocks of ``network`` to Muon, and its other parameters to AdamW.

        ``weight_decay`` is for Muon alone.
        """
        matrices: list[torch.nn.Parameter] = []
        others: list[torch.nn.Parameter] = []
        for name, parameter in network.named_parameters():
            (matrices if parameter.ndim == 2 and ".layers." in name else others).append(parameter)
        self._parts = (
            torch.optim.Muon(matrices, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
        )
        super().__init__([*matrices, *others], {"lr": learning_rate})
        # These groups are the parts' own objects, so the parts read what a schedule sets here.
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take a step with each part; return the loss that ``closure`` computes."""
        loss = closure() if closure is not None else None
        for part in self._parts:
            part.step()  # type: ignore[no-untyped-call]
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the states of both parts."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the states of both parts."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self._parts for group in part.param_groups]
