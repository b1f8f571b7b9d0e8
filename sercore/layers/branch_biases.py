"""Biases of several branches in one memory, as the authors' multi-time-scale layer keeps them (thesis ch. 4)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class BranchBiases(nn.Module):
    """One bias that an optimiser moves once for each branch: every branch has a parameter of its own in the same memory.

    Each branch's parameter gathers the gradient of the points that its branch won, has its own moments in Adam, and its step changes the
    values that all of them share (the released code of thesis ch. 4). In a state dict there is one tensor.
    """

    bias: nn.Parameter | None

    def _register_branch_biases(self, branches: list[int]) -> None:
        """One parameter a branch beside `bias`, shape (O,); none where the layer has no bias."""
        self._branch_biases = {i: f"bias_{i}" for i in branches if self.bias is not None}
        for name in self._branch_biases.values():
            self.register_parameter(name, nn.Parameter(torch.empty(0)))
        self._share_bias()

    def _bias_of(self, branch: int) -> nn.Parameter | None:
        return getattr(self, self._branch_biases.get(branch, "bias"))

    def _share_bias(self) -> None:
        """Branch biases into the memory of the bias again: whatever copies or moves a module treats each by itself."""
        for name in self._branch_biases.values():
            branch = getattr(self, name)
            if branch.data_ptr() != self.bias.data_ptr():  # type: ignore[union-attr]
                branch.data = self.bias.data  # type: ignore[union-attr]

    def _apply(self, fn: Any, recurse: bool = True) -> BranchBiases:
        super()._apply(fn, recurse)
        self._share_bias()
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share_bias()

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in self._branch_biases.values():
            destination.pop(prefix + name)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, metadata: Any, strict: bool, missing: Any, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, missing, *rest)
        missing[:] = [key for key in missing if key not in {prefix + name for name in self._branch_biases.values()}]
        self._share_bias()
