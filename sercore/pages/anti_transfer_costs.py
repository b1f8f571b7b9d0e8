"""What anti-transfer costs and what its loss does, layer by layer: tables of the chapter on layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sercore import provenance
from sercore.losses.anti_transfer import added_bytes
from sercore.models import vgg16
from sercore.pages.anti_transfer import in_words, ordered, origin_of, rows_of
from sercore.pages.overview import STORED, Source
from sercore.pages.tables import compact
from sercore.provenance import Table


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
