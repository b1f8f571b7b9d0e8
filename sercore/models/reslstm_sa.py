"""LSTM-SA and ResLSTM-SA (Krasnoproshin and Vashkevich 2026)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from sercore.layers.recurrent import FrameBatchNorm, SoftAttention, frame_mask, initialise_lstm

REVISION = 1


class LSTMSA(nn.Module):
    """LSTM with soft attention; with `residual`, an LSTM of the input's size before it whose output is added to the input.

        s_t = x_t + LSTM1(x)_t  (residual only);  h_t = LSTM2(s)_t;  y = W h_context + b      (ResLSTM-SA paper, Fig. 2, Sec. III)

    Symbols: d = n_features; Y of LSTM-SA-hY = n_hidden; C = n_classes.

    Args:
        n_features: d, values a frame (46).
        n_classes: emotions.
        n_hidden: size of the attended hidden state (32, 64 or 128 in the paper).
        residual: True is ResLSTM-SA.
        variant: `definition` leaves padding out of attention and batch statistics, and initialises as the paper says.
            `released` counts padding in both and initialises as the authors' code does.
        dropout: before the classifier.
        masked: leave padding out, whatever the variant; None takes the variant's way.

    Differs from the paper: batch normalisation after the sum (its Fig. 2 shows it, its text does not) and of the context (only in the
    code); both are needed for the printed parameter counts.

    Example:
        >>> model = LSTMSA(46, 8, 64, residual=True).eval()
        >>> model(torch.zeros(2, 5, 46), torch.tensor([5, 3])).shape, sum(p.numel() for p in model.parameters())
        (torch.Size([2, 8]), 46772)
    """

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        n_hidden: int,
        residual: bool,
        variant: Literal["definition", "released"] = "definition",
        dropout: float = 0.3,
        masked: bool | None = None,
    ) -> None:
        super().__init__()
        masked = variant == "definition" if masked is None else masked
        self.lstm_1 = nn.LSTM(n_features, n_features, batch_first=True) if residual else None
        self.sum_norm = FrameBatchNorm(n_features, masked) if residual else None
        self.lstm_2 = nn.LSTM(n_features, n_hidden, batch_first=True)
        self.attention = SoftAttention(n_hidden, masked)
        self.context_norm = nn.BatchNorm1d(n_hidden)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(n_hidden, n_classes)
        self._initialise(variant)

    def _initialise(self, variant: str) -> None:
        paper = variant == "definition"
        for lstm in filter(None, (self.lstm_1, self.lstm_2)):
            initialise_lstm(lstm, "xavier" if paper else "orthogonal", forget_bias=1.0 if paper else 2.0)
        nn.init.xavier_normal_(self.attention.vector[:, None])
        (nn.init.xavier_normal_ if paper else nn.init.xavier_uniform_)(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def signals(self, x: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """Every named stage of the forward pass (the taps).

        Args:
            x: normalised frames, shape (B, T, d), zero where padded.
            lengths: frames of each item, shape (B,), integers in 1..T.

        Returns:
            `input, lstm_1, sum` (residual only), `lstm_2` (B, T, H), `attention` (B, T), `context` (B, H), `logits` (B, C).
        """
        mask = frame_mask(lengths, x.shape[1])
        keep = mask[:, :, None].to(x.dtype)
        out = {"input": x}
        if self.lstm_1 is not None and self.sum_norm is not None:
            out["lstm_1"] = self.lstm_1(x)[0] * keep
            x = out["sum"] = self.sum_norm(x + out["lstm_1"], mask)
        # One-way and padded at the end: no true frame ever sees padding, so the padded form equals the packed one, three times faster.
        out["lstm_2"] = self.lstm_2(x)[0] * keep
        out["context"], out["attention"] = self.attention(out["lstm_2"], mask)
        out["embedding"] = self.context_norm(out["context"])
        out["logits"] = self.classifier(self.dropout(out["embedding"]))
        return out

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Logits, shape (B, C); arguments as `signals`."""
        return self.signals(x, lengths)["logits"]


class PackedLSTMSA(LSTMSA):
    """The same network on packed sequences: slower; kept as the independent form that the padded one is checked and timed against."""

    def signals(self, x: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """As `LSTMSA.signals`, with its shapes (B, T, ...) and units, each LSTM run on packed sequences."""
        mask, n_frames = frame_mask(lengths, x.shape[1]), x.shape[1]
        out = {"input": x}
        if self.lstm_1 is not None and self.sum_norm is not None:
            out["lstm_1"] = _packed(self.lstm_1, x, lengths, n_frames)
            x = out["sum"] = self.sum_norm(x + out["lstm_1"], mask)
        out["lstm_2"] = _packed(self.lstm_2, x, lengths, n_frames)
        out["context"], out["attention"] = self.attention(out["lstm_2"], mask)
        out["embedding"] = self.context_norm(out["context"])
        out["logits"] = self.classifier(self.dropout(out["embedding"]))
        return out


def _packed(lstm: nn.LSTM, x: Tensor, lengths: Tensor, n_frames: int) -> Tensor:
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
    return nn.utils.rnn.pad_packed_sequence(lstm(packed)[0], batch_first=True, total_length=n_frames)[0]
