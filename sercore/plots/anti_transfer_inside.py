"""Figures of what networks with and without anti-transfer know: runs of this build, and the read-outs published with stored ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sercore import anti_transfer_inside as inside
from sercore import provenance
from sercore.anti_transfer_inside import ORTHOGONAL, UNTRAINED, Networks
from sercore.faithfulness import areas
from sercore.models import BACKBONES
from sercore.pages.overview import STORED, THIS_BUILD, Source
from sercore.pages.tables import compact
from sercore.plots import explanations as maps_of
from sercore.plots import probes as probes_of
from sercore.plots import show
from sercore.plots.explanations import View
from sercore.provenance import Origin, Shown, Table

#: Names of networks for a page.
WORDS = {
    UNTRAINED: "untrained", "none": "no transfer", "wi": "weights of the task", "wi_frozen": "frozen weights", "at": "anti-transfer",
    "at_random": "against random", "at_inverse": "inverse beta", "at_wi": "weights and anti-transfer", "dual": "dual",
    ORTHOGONAL: "orthogonal task",
}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """The networks of one corpus of this build, with the words that a figure needs."""

    networks: Networks
    stamp: str
    origin: Origin


def seen(shown: Sequence[Source], roots: Mapping[str, str | Path] | None = None) -> list[Seen]:
    """The networks of each corpus of this build; those of stored runs are not at hand, and their read-outs are published instead."""
    found = []
    for source in (one for one in shown if one.origin == THIS_BUILD):
        for corpus in dict.fromkeys(source.results.groups["corpus"]):
            if not {"none", "at"} <= set(inside.runs_of(source.results, corpus)):
                continue
            here = source.results.of(corpus=corpus)
            networks = inside.networks_of(here, corpus, roots)
            origin = provenance.of_runs(here, list(networks.groups))
            stamp = f"{Source(source.origin, here).stamp(corpus)}; fold 0, seed 0, {len(networks.frames)} recordings of unseen speakers"
            found.append(Seen(networks, stamp, origin))
    return found


def answer(shown: Sequence[Source], corpora: Sequence[str] = ("emodb",)) -> str:
    """How well the speaker is read out with and without anti-transfer, from published read-outs only; else `not run`."""
    rows = next((one.results.extras.get("probes") for one in shown if one.origin == STORED), None)
    said = []
    for corpus in corpora:
        here = None if rows is None else rows[rows["corpus"].eq(corpus) & rows["factor"].eq("speaker") & rows["summary"].eq("gram")]
        by_name = {} if here is None else {row["network"]: row for row in here.to_dict("records")}
        if not {"none", "at"} <= set(by_name):
            said.append(f"Read-outs on {corpus}: not run.")
            continue
        parts = [
            f"{WORDS[name]} {100 * row['score']:.0f} [{100 * row['low']:.0f}, {100 * row['high']:.0f}] %"
            for name, row in by_name.items()
            if name in ("none", "at", "at_random", UNTRAINED)
        ]
        tap = by_name["at"]["tap"]
        apart = by_name["at"]["high"] < by_name["none"]["low"] or by_name["none"]["high"] < by_name["at"]["low"]
        said.append(
            f"On {corpus} the speaker is read out of the Gram matrices at {tap} with a recall of: {', '.join(parts)}. With and without "
            f"anti-transfer the intervals {'are apart' if apart else 'overlap'}; there is one network of each, so what this says of the "
            "method is not decidable."
        )
    return " ".join(said)


def read_outs(shown: Sequence[Source], at_hand: Sequence[Seen]) -> Shown:
    """How well speaker, text and emotion can be read out, stored rows first."""
    made = []
    for source in (one for one in shown if one.origin == STORED):
        rows = source.results.extras.get("probes", pd.DataFrame())
        for corpus, part in rows.groupby("corpus") if len(rows) else ():
            networks = source.results.of(corpus=str(corpus), system=list(BACKBONES))
            stamp = f"{Source(STORED, networks).stamp(str(corpus))}; fold 0, seed 0"
            made.append(probes_of.scores(part.replace({"network": WORDS}), stamp, provenance.of_runs(networks)))
    for one in at_hand:
        for summary, permutations in (("mean_deviation", 20), ("gram", 5)):
            rows = inside.probe_rows(one.networks, summary, permutations)  # type: ignore[arg-type]
            made.append(probes_of.scores(rows.replace({"network": WORDS}), one.stamp, one.origin))
    return _together(made) if made else show.note("Not run: no network with and without anti-transfer is at hand.")


def renumbered(at_hand: Sequence[Seen]) -> Shown:
    """The loss when the channels of one network are renumbered."""
    return _together([probes_of.permutations(inside.permutation_rows(one.networks), one.stamp, one.origin) for one in at_hand])


def grad_cam(at_hand: Sequence[Seen]) -> Shown:
    """Each network's map over one recording."""
    made = []
    for one in at_hand:
        found = inside.explained(one.networks)
        views = [View(WORDS[name], label, raw, chance) for name, (raw, label, chance) in found.maps.items()]
        made.append(
            maps_of.maps(
                found.spectrogram, views, item=found.item_id, hop_s=one.networks.hop_s, bin_hz=one.networks.bin_hz,
                n_frames=found.n_frames, stamp=f"{found.tap}; {one.stamp}", origin=one.origin,
            )
        )  # fmt: skip
    return _together(made)


def sanity(at_hand: Sequence[Seen]) -> Shown:
    """Maps of networks whose layers are drawn anew, one after the other."""
    rows = [(inside.randomised(one.networks).replace({"network": WORDS}), one) for one in at_hand]
    return _together([maps_of.randomised(table, one.stamp, one.origin) for table, one in rows])


def deleted(at_hand: Sequence[Seen]) -> Shown:
    """Scores as the most important cells are deleted, or put back first."""
    rows = [(inside.curves(one.networks).replace({"network": WORDS}), one) for one in at_hand]
    return _together([maps_of.curves(table, stamp=one.stamp, origin=one.origin) for table, one in rows if len(table)])


def areas_table(at_hand: Sequence[Seen]) -> Table | Shown:
    """Areas under the curves: explanation against the same map shuffled."""
    lines = []
    for one in at_hand:
        rows = inside.curves(one.networks)
        if len(rows):
            found = pd.concat([areas(part).assign(network=name) for name, part in rows.groupby("network", sort=False)])
            means = found.groupby(["network", "curve", "order"], sort=False)["area"].mean()
            lines += [
                {"network": WORDS[str(network)], "curve": str(curve), "order": str(order), "mean area": f"{area:.3f}"}
                for (network, curve, order), area in means.items()
            ]
    if not lines:
        return show.note("Not run: no map ranks anything.")
    caption = "Areas under deletion curves (low is good) and insertion curves (high is good), means over recordings"
    return compact(lines, caption, "at-areas", ("mean area",), sum((one.origin for one in at_hand), Origin()))


def _together(made: Sequence[Shown]) -> Shown:
    together = Shown("", sum((one.origin for one in made), Origin()))
    together.data = "\n".join(one.data for one in made)
    return together if made else show.note("Not run: no network with and without anti-transfer is at hand.")
