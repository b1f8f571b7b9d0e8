"""Recurrent layers that know which frames are padding."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def frame_mask(lengths: Tensor, n_frames: int) -> Tensor:
    """Which frames are speech and which are padding; the paper's equations know no padding.

    Args:
        lengths: frames of each item, shape (B,), integers in 1..T.
        n_frames: T, frames of the padded batch.

    Returns:
        Shape (B, T), bool; True where a frame belongs to the item.

    Example:
        >>> frame_mask(torch.tensor([1, 3]), 3).int().tolist()
        [[1, 0, 0], [1, 1, 1]]
    """
    return torch.arange(n_frames, device=lengths.device)[None, :] < lengths[:, None]


class SoftAttention(nn.Module):
    """Weighted sum of hidden states over time, weights from one trainable vector.

        h_context = sum_t alpha_t h_t,  alpha = softmax_t(e),  e_t = u^T h_t      (ResLSTM-SA paper, Eqs. 3 and 4, Sec. III)

    Symbols: h_t = hidden; u = vector.

    Args:
        n_hidden: H, size of a hidden state.
        masked: leave padding out of the softmax. False is what the authors' code does: a padded frame has score 0, so it takes the
            weight exp(0), and an item's context depends on the longest item of its batch.

    Differs from the paper: nothing; the paper has no padding.
    """

    def __init__(self, n_hidden: int, masked: bool = True) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.empty(n_hidden))
        self.masked = masked

    def forward(self, hidden: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Context and weights.

        Args:
            hidden: shape (B, T, H), zero where padded.
            mask: shape (B, T), bool, True where a frame belongs to the item.

        Returns:
            `(context, weights)`: shapes (B, H) and (B, T); weights are in [0, 1] and sum to 1 over T.
        """
        scores = hidden @ self.vector  # (B, T)
        if self.masked:
            scores = scores.masked_fill(~mask, float("-inf"))
        weights = scores.softmax(dim=1)
        return torch.einsum("bt,bth->bh", weights, hidden), weights


class FrameBatchNorm(nn.BatchNorm1d):
    """Batch normalisation over items and time (Ioffe and Szegedy 2015), statistics from true frames.

    Args:
        n_features: C, values a frame.
        masked: statistics from true frames only. False counts padded zeros in training, as the authors' code does.
    """

    def __init__(self, n_features: int, masked: bool = True) -> None:
        super().__init__(n_features)
        self.masked = masked

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        """Normalised frames.

        Args:
            x: shape (B, T, C).
            mask: shape (B, T), bool.

        Returns:
            Shape (B, T, C); padded frames are zero when masked.
        """
        if not self.masked:
            return super().forward(x.transpose(1, 2)).transpose(1, 2)
        rows = mask.flatten().nonzero().squeeze(1)
        flat = x.flatten(0, 1)  # (B T, C)
        out = torch.zeros_like(flat).index_copy(0, rows, super().forward(flat.index_select(0, rows)))
        return out.view_as(x)


def initialise_lstm(lstm: nn.LSTM, recurrent: str = "xavier", forget_bias: float = 1.0) -> None:
    """Weights and biases of an LSTM, in place.

    Args:
        lstm: its gates are stored in the order input, forget, cell, output.
        recurrent: `xavier` draws every gate's matrix from Xavier's normal law (paper, Sec. IV-B); `orthogonal` keeps the stacked input
            matrix Xavier-normal and makes the stacked recurrent matrix orthogonal (released code).
        forget_bias: sum of the forget gate's two biases; all other biases are zero.

    Raises:
        ValueError: `recurrent` is neither.

    Differs from the paper: nothing with the defaults. The released code sets both forget biases to 1: `forget_bias=2`.
    """
    if recurrent not in ("xavier", "orthogonal"):
        raise ValueError(f"recurrent must be 'xavier' or 'orthogonal', got {recurrent!r}")
    hidden = lstm.hidden_size
    with torch.no_grad():
        for name, weight in lstm.named_parameters():
            if name.startswith("bias"):
                weight.zero_()
                weight[hidden : 2 * hidden] = forget_bias / 2
            elif recurrent == "xavier":
                for gate in weight.split(hidden):
                    nn.init.xavier_normal_(gate)
            elif name.startswith("weight_hh"):
                nn.init.orthogonal_(weight)
            else:
                nn.init.xavier_normal_(weight)
