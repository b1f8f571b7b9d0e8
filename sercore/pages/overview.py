"""What a chapter's page shows, and which is which: the runs of this build beside the stored rows of full runs, each with its stamp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sercore import ledger, provenance, signals
from sercore.data.corpora import CORPORA
from sercore.data.splits import SCHEMES, base_scheme
from sercore.grids import FULL_SEEDS
from sercore.provenance import Origin
from sercore.publication import promised_corpora, promised_specs
from sercore.results import Results, load_results

THIS_BUILD, STORED = "this build", "stored full runs"


@dataclass(frozen=True)
class Source:
    """Rows and where they come from.

    Attributes:
        origin: THIS_BUILD or STORED.
        results: the rows.
    """

    origin: str
    results: Results

    def stamp(self, corpus: str) -> str:
        """One line that says what the rows of a corpus are: origin and extent, and for stored ones when, on what device, which revision."""
        mine = self.results.of(corpus=corpus)
        networks = mine.groups[~mine.groups["system"].isin(ledger.FOR_SCALE)]
        counted = networks if len(networks) else mine.groups
        folds, seeds = int(mine.groups["folds"].max()), _seeds(counted)
        extent = f"{corpus}, {folds} of {SCHEMES[base_scheme(mine.groups['split'].iloc[0])][0] or 'all'} folds, {seeds}"
        if self.origin == THIS_BUILD:
            profile = mine.groups["profile"].iloc[0]
            if CORPORA[corpus].render is not None:
                return f"{THIS_BUILD}: {profile}, {corpus} corpus, not a result about speech ({extent.partition(', ')[2]})"
            return f"{THIS_BUILD}: {profile}, {extent}"
        return f"{STORED}: {extent}; {_made(mine.runs)}"


def _seeds(groups: pd.DataFrame) -> str:
    """Numbers of seeds in words: one number where all groups have it, else by protocol, and as a range where systems differ."""
    spans = {protocol: (int(part.min()), int(part.max())) for protocol, part in groups.groupby("protocol", sort=False)["seeds"]}
    words = {
        protocol: f"{low} seed{'s' if low != 1 else ''}" if low == high else f"{low} to {high} seeds"
        for protocol, (low, high) in spans.items()
    }
    return next(iter(words.values())) if len(set(words.values())) == 1 else ", ".join(f"{w} {protocol}" for protocol, w in words.items())


@dataclass(frozen=True)
class Case:
    """Two systems of one size on one corpus under one protocol, ready to be drawn.

    Attributes:
        stamp: of the source.
        corpus, protocol: of the rows.
        results: of that corpus and protocol.
        groups: the groups of the reference and of the proposed network, in this order; one of them where the other was not run.
    """

    stamp: str
    corpus: str
    protocol: str
    results: Results
    groups: tuple[str, ...]

    @property
    def title(self) -> str:
        """Corpus and protocol, for a figure's head."""
        return f"{self.corpus}, {self.protocol}"


def sources(chapter: str, live: Results | None = None) -> list[Source]:
    """The runs of this build (if any), then the stored rows of the chapter (if any)."""
    found = [Source(THIS_BUILD, live)] if live is not None and len(live.groups) else []
    kept = load_results(chapter)
    order = {pair: k for k, pair in enumerate(FULL_SEEDS)}
    names = [order.get(pair, len(order)) for pair in zip(kept.groups["corpus"], kept.groups["protocol"], strict=True)]
    kept.groups = kept.groups.assign(order=names).sort_values("order", kind="stable").drop(columns="order").reset_index(drop=True)
    return found + ([Source(STORED, kept)] if len(kept.groups) else [])


def cases(shown: Sequence[Source], size: str = "") -> list[Case]:
    """LSTM-SA and ResLSTM-SA of one size, for each source and corpus; stored rows first.

    Protocol strict where it was run, else the other one; the largest of h64, h32 and h128 in this order that has both networks, else any.

    Args:
        shown: of `sources`.
        size: `h32`, `h64` or `h128`; empty takes the order above.
    """
    found = []
    for source in sorted(shown, key=lambda s: s.origin != STORED):
        for corpus in dict.fromkeys(source.results.groups["corpus"]):
            here = source.results.of(corpus=corpus)
            protocol = "strict" if here.groups["protocol"].eq("strict").any() else here.groups["protocol"].iloc[0]
            here = here.of(protocol=protocol)
            if pair := _pair(here.groups, (size,) if size else ("h64", "h32", "h128")):
                found.append(Case(Source(source.origin, here).stamp(corpus), corpus, protocol, here, pair))
    return found


def _pair(groups: pd.DataFrame, sizes: Sequence[str]) -> tuple[str, ...]:
    by_size = []
    for size in sizes:
        rows = [groups[groups["system"].eq(f"{kind}_{size}")].head(1) for kind in ("lstm_sa", "reslstm_sa")]
        by_size.append(tuple(row["group"].iloc[0] for row in rows if len(row)))
    return max(by_size, key=len)  # the first of the longest


@dataclass(frozen=True)
class Inside:
    """One trained network seen from inside: rows of `sercore.signals`, and what they are of.

    `signals` is None for stored rows: frames of recordings are not published.
    """

    signals: pd.DataFrame | None
    embeddings: pd.DataFrame
    stamp: str
    origin: Origin


def inside(shown: Sequence[Source], roots: Mapping[str, str | Path] | None = None) -> list[Inside]:
    """Signal flow and embeddings of one run a source: fold 0, seed 0 of the proposed network, so that no result chooses it.

    Stored ones come from the tables published with the chapter, those of this build from the weights in the run store.

    Args:
        shown: of `sources`.
        roots: corpus name -> folder.
    """
    found = []
    for source in shown:
        extras = source.results.extras
        if len(rows := extras.get("embeddings", pd.DataFrame())):
            run = source.results.runs[source.results.runs["run_id"].eq(rows["run_id"].iloc[0])]
            named = source.results.groups.set_index("group")[["corpus", "system", "protocol"]]
            corpus, system, protocol = named.loc[run["group"].iloc[0]] if len(run) else ("", "", "")
            stamp = f"{source.origin}: {ledger.label(system)}, {corpus}, {protocol}, fold 0, seed 0"
            origin = provenance.of_runs(source.results, list(run["group"]))
            found.append(Inside(None, rows, stamp, origin))
    for case in (c for c in cases(shown) if c.stamp.startswith(THIS_BUILD)):
        runs = case.results.runs
        for run in runs.loc[runs["group"].eq(case.groups[-1]) & runs["fold"].eq(0) & runs["seed"].eq(0), "run_id"]:
            root = (roots or {}).get(case.corpus, "")
            stamp = f"{case.stamp}; {ledger.label(case.groups[-1].split('.')[1])}, fold 0, seed 0"
            rows = signals.tables(run, root)
            origin = provenance.of_runs(case.results, case.groups[-1:])
            found.append(Inside(rows["signals"], rows["embeddings"], stamp, origin))
    return found


def missing(chapter: str, corpora: Sequence[str] = ()) -> pd.DataFrame:
    """Groups of the promised full grid that are not stored whole: `corpus, protocol, system, settings, folds, seeds, stored_seeds`.

    Args:
        chapter: key of `sercore.grids.GRIDS`.
        corpora: names; empty takes all that are promised.
    """
    stored = load_results(chapter)
    seeds = stored.groups.set_index("group")["seeds"] if len(stored.groups) else pd.Series(dtype=int)
    rows = []
    for specs in promised_specs(chapter, corpora or promised_corpora(chapter)):
        spec, wanted = specs[0], len({s.seed for s in specs})
        have = int(seeds.get(spec.group, 0))
        if have < wanted:
            row = {"corpus": spec.data.corpus, "protocol": spec.protocol, "system": spec.model.name}
            row["settings"] = spec.settings
            rows.append(row | {"folds": len({s.split.fold for s in specs}), "seeds": wanted, "stored_seeds": have})
    return pd.DataFrame(rows, columns=["corpus", "protocol", "system", "settings", "folds", "seeds", "stored_seeds"])


def answer(shown: Sequence[Source], corpora: Sequence[str] = ("ravdess", "emodb")) -> str:
    """One line for a chapter's head: ResLSTM-SA against LSTM-SA at h64, strict, on each corpus of the full study, from stored rows.

    Where a corpus has no stored rows the line says `Not run`, and never takes a quick run in its place.
    """
    kept = next((s.results for s in shown if s.origin == STORED), None)
    if kept is None:
        return f"Not run: no full run of ResLSTM-SA-h64 and LSTM-SA-h64 on {' or '.join(corpora)} is stored."
    return " ".join(ledger.answer(kept, "reslstm_sa_h64", "lstm_sa_h64", corpus) for corpus in corpora)


def not_comparable(shown: Sequence[Source]) -> str:
    """What the runs of this build may not be compared with, in one sentence; empty where there are none."""
    live = [s.results.groups for s in shown if s.origin == THIS_BUILD]
    if not live or (live[0]["profile"] == "full").all():
        return ""
    names = ", ".join(dict.fromkeys(live[0]["corpus"]))
    return (
        f"This build ran a demonstration ({names}: few folds, few seeds, few epochs, no search); its rows show that the way through works "
        "and are never compared with a published number."
    )


def promised_seeds() -> str:
    """What the full study measures, in words: seeds by corpus and protocol."""
    return ", ".join(f"{corpus} {protocol} {seeds} seeds" for (corpus, protocol), seeds in FULL_SEEDS.items())


def _made(runs: pd.DataFrame) -> str:
    """When the last run ended, on what device and at which revision of the code."""
    ended = str(runs["finished_at"].dropna().astype(str).max())[:16].replace("T", " ")
    commits = sorted({str(c)[:7] for c in runs["code_commit"].dropna() if str(c)})
    shown = ", ".join(commits[:2]) + (" ..." if len(commits) > 2 else "")
    devices = ", ".join(sorted(runs["device"].dropna().astype(str).unique()))
    unclean = "" if runs["code_clean"].fillna(False).astype(bool).all() else " with uncommitted changes"
    return f"{ended} UTC, {devices}, revision {shown or 'unknown'}{unclean}"
