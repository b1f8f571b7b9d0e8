"""What anti-transfer costs and what its loss does, layer by layer: tables of the chapter on layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sercore import provenance
from sercore.ledger.rule import MIN_SEEDS
from sercore.losses.anti_transfer import added_bytes
from sercore.models import vgg16
from sercore.pages.anti_transfer import Gain, gains, in_words, ordered, origin_of, rows_of
from sercore.pages.overview import STORED, Source
from sercore.pages.tables import compact
from sercore.provenance import Table

#: Convolutions of VGG16.
LAYERS = 13


def layers_answer(shown: Sequence[Source], corpora: Sequence[str] = ("emodb",)) -> str:
    """The head of the chapter on layers: at which convolutions the gain's interval for all layers together lies off zero.

    From stored full runs with all thirteen alone; else it says `Not run`.
    """
    kept = [source for source in shown if source.origin == STORED]
    said = []
    for corpus in corpora:
        found = [_all_layers(gain) for gain in gains(kept) if gain.corpus == corpus] if kept else []
        found = [sentence for sentence in found if sentence]
        said += found or [f"All thirteen layers: not run on {corpus}."]
    return " ".join(said)


def _all_layers(gain: Gain) -> str:
    rows = gain.rows[gain.rows["max_t_low"].notna() & gain.rows["tap"].str.startswith("conv_")]
    if rows["tap"].nunique() < LAYERS:
        return ""
    above, below = (rows.loc[side, "tap"].tolist() for side in (rows["max_t_low"] > 0, rows["max_t_high"] < 0))
    best, chosen = rows.loc[rows["gain"].idxmax()], rows.loc[rows["validation"].idxmax()]
    told = [f"a gain at {', '.join(above)}"] if above else []
    told += [f"a loss at {', '.join(below)}"] if below else []
    verdict = " and ".join(told) if told else "no layer with a gain or a loss"
    if (seeds := int(rows["seeds"].min())) < MIN_SEEDS:
        verdict += f", which is not decidable with {seeds} seed{'s' if seeds > 1 else ''} at a layer (at least {MIN_SEEDS})"
    ends = f"[{best['max_t_low']:+.1f}, {best['max_t_high']:+.1f}]"
    own = f"[{chosen['max_t_low']:+.1f}, {chosen['max_t_high']:+.1f}]"
    return (
        f"On {gain.corpus}, with intervals that hold for all {len(rows)} layers together, there is {verdict}. The largest difference is "
        f"{best['gain']:+.1f} {ends} points of UAR at {best['tap']}; the layer that validation would have chosen, {chosen['tap']}, has "
        f"{chosen['gain']:+.1f} {own} [{gain.stamp}]."
    )


def losses_table(shown: Sequence[Source]) -> Table:
    """Cross-entropy and anti-transfer loss in the first and the last epoch at each tap, means over runs."""
    lines: list[dict[str, Any]] = []
    for source in ordered(shown):
        curves = source.results.history
        for row in (one for one in rows_of(source.results) if one.transfer.method == "at"):
            mine = curves[curves["group"].eq(row.group["group"])]
            line = {"from": "stored" if source.origin == STORED else source.origin, "corpus": row.group["corpus"]}
            line["transfer"] = in_words(row.transfer)
            for quantity, name in (("added_loss", "anti-transfer loss"), ("train_loss", "cross-entropy")):
                part = mine[mine["quantity"].eq(quantity)].sort_values("epoch")["mean"]
                line |= {f"{name}, first epoch": f"{part.iloc[0]:.2g}", f"{name}, last": f"{part.iloc[-1]:.2g}"} if len(part) else {}
            lines.append(line)
    caption = "Both losses over training, means over runs and batches"
    return compact(lines or [{"transfer": "not run"}], caption, "at-losses", origin=origin_of(shown))


def costs_table(batch: int = 13) -> Table:
    """Memory that the loss adds at each convolution of VGG16 at whole size: by the thesis' count and by ours.

    Args:
        batch: recordings; 13 in the thesis.
    """
    with torch.device("meta"):
        network = vgg16.build("vgg16_pool", 512, 128, 4)
    lines = []
    for tap in (name for name in network.taps if name.startswith("conv_")):
        before = [f"conv_{k}." for k in range(1, int(tap.removeprefix("conv_")) + 1)]
        weights = 4 * sum(p.numel() for name, p in network.named_parameters() if name.startswith(tuple(before)))
        features = {tap: (batch, *network.taps[tap])}
        line = {"tap": tap, "maps": " x ".join(str(n) for n in network.taps[tap])}
        line |= {"formula 5.4 (MB)": f"{added_bytes(weights, features) / 1e6:.0f}"}
        lines.append(line | {"ours, cached (MB)": f"{added_bytes(weights, features, cached=True) / 1e6:.1f}"})
    caption = f"Memory that anti-transfer adds in training, VGG16 at 512 x 128, batches of {batch}"
    origin = provenance.of_files("sercore/losses/anti_transfer.py", "sercore/models/vgg16.py")
    return compact(lines, caption, "at-costs", origin=origin)
