"""Tables of a chapter's page, narrow enough to be read beside a list of contents: what was run, published and ours, searches, pairs."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import pandas as pd

from sercore import ledger, tune
from sercore import provenance as origins
from sercore.experiment import BASELINES
from sercore.grids import published_trials
from sercore.ledger import rule
from sercore.ledger.measurements import Measurements
from sercore.pages.overview import STORED, THIS_BUILD, Source, missing
from sercore.provenance import Origin, Shown, Table
from sercore.publication import promised_corpora, promised_specs
from sercore.results import Results
from sercore.sweep import Sweep

#: Signs above which the name of a system is broken over lines.
_LONG_LABEL = 60
#: Words of a claim's quantity that the heading of its table has said already.
_SAID = ("RAVDESS, ", "val, ", "speaker split, ")


def compact(
    rows: Sequence[dict[str, Any]],
    caption: str,
    name: str,
    whole: Sequence[str] = (),
    origin: Origin | None = None,
    wordy: Sequence[str] = (),
) -> Table:
    """Rows as a small table for a page, texts escaped, missing cells empty.

    Args:
        rows: plain dicts.
        caption: shown above.
        name: of the table on its page.
        whole: columns whose cells are never broken over lines.
        origin: what the rows were made from, shown below.
        wordy: columns of sentences, which are given room so that rows stay low.
    """
    frame = pd.DataFrame(rows, dtype=object).fillna("").astype(str)
    style = ledger.styled(frame, caption, name, origin)
    style.format(escape="html").set_properties(subset=[c for c in whole if c in frame], **{"white-space": "nowrap"})
    style.set_properties(subset=[c for c in wordy if c in frame], **{"min-width": "9rem"})
    style.set_table_styles([{"selector": "td, th", "props": "padding: 0.2rem 0.4rem"}], overwrite=False)
    style.set_table_attributes('class="ledger-table" style="font-size:0.85rem;line-height:1.35"')
    return style


def runs(chapter: str, shown: Sequence[Source]) -> Table:
    """Every group of runs, this build's and the stored ones, and what was promised and is not run yet.

    Args:
        chapter: whose promised grid to compare with.
        shown: of `sercore.pages.overview.sources`.
    """
    rows: list[dict[str, Any]] = []
    other = any(set(source.results.groups.get("task", ())) - {"emotion"} for source in shown)
    for source in shown:
        data = Measurements(source.results)
        origin = "stored" if source.origin == STORED else source.origin
        for group in source.results.groups.to_dict("records"):
            seeds = "" if group["system"] in BASELINES else f" x {group['seeds']}"
            rows.append(
                {
                    "from": f"{origin} ({group['profile']})",
                    "corpus, protocol": f"{group['corpus']}, {group['protocol']}",
                    **({"label": group["task"]} if other else {}),
                    "system": ledger.label(group["system"], group.get("settings", "")),
                    "UAR [95 %]": data.in_words(group["group"]),
                    "recordings, speakers": f"{group['n_items']}, {group['n_speakers']}",
                    "folds x seeds": f"{group['folds']}{seeds}",
                }
            )
    for row in missing(chapter).to_dict("records"):
        had = f"not run in full ({row['stored_seeds']} of {row['seeds']} seeds)" if row["stored_seeds"] else "not run"
        seeds = "" if row["system"] in BASELINES else f" x {row['seeds']}"
        line = {"from": "promised", "corpus, protocol": f"{row['corpus']}, {row['protocol']}"}
        line["system"] = ledger.label(row["system"], row["settings"])
        rows.append(line | {"UAR [95 %]": had, "folds x seeds": f"{row['folds']}{seeds}"})
    caption = "What was run: this build, and stored from full runs"
    made_from = sum((origins.of_runs(source.results) for source in shown), Origin()) + origins.of_files("sercore/grids.py")
    short = all(len(str(row["system"])) < _LONG_LABEL for row in rows)
    return compact(rows, caption, f"runs-{chapter}", (*(("system",) if short else ()), "UAR [95 %]", "folds x seeds"), made_from)


def failed(sweep: Sweep) -> Table | Shown:
    """The runs of a sweep that did not finish, one row each; nothing where all did."""
    if not sweep.failed:
        return Shown("", Origin())
    rows = [
        {
            "system": ledger.label(row["system"]),
            "corpus, protocol": f"{row['corpus']}, {row['protocol']}",
            "fold, seed": f"{row['fold']}, {row['seed']}",
        }
        | {"failed": row["kind"], "why": row["message"], "attempts": row["attempts"]}
        for row in sweep.failures.to_dict("records")
    ]
    return compact(rows, "Runs that failed; their seeds are left out of every number", "failed", ("system",))


def provenance(shown: Sequence[Source]) -> str:
    """One line a source and corpus, as Markdown: extent, and for stored rows when, on what device and at which revision."""
    lines = [f"- {source.stamp(corpus)}" for source in shown for corpus in dict.fromkeys(source.results.groups["corpus"])]
    return "\n".join(lines)


def published(results: Results, source: str, locator: str) -> Shown:
    """Published, ours under the source's protocol and ours under the strict one, with the verdict; the reasons below, to be opened.

    Args:
        results: stored rows.
        source, locator: as `sercore.ledger.table`.

    Returns:
        HTML for a page.

    Raises:
        LedgerError: the source has nothing with that locator.
    """
    judged = ledger.table(results, source, locator)
    lines = judged.data.fillna("").to_dict("records")
    rows, reasons, previous = [], [], ""
    for line in lines:
        quantity = line["quantity"]
        for word in _SAID:
            quantity = quantity.replace(word, "")
        extent = ", ".join(str(line[key]) for key in ("recordings", "speakers", "folds", "seeds") if line.get(key, "") != "")
        row = {"system": line["system"] if line["system"] != previous else "", "quantity": quantity, "published": line["published"]}
        open_ = rule.NOT_RUN if line["verdict"] == rule.NOT_RUN else ""
        row |= {"ours, paper protocol": line["ours, its protocol"] or open_, "ours, strict": line["ours, strict"] or open_}
        row |= {"recordings, speakers, folds, seeds": extent, "verdict": line["verdict"]}
        rows.append(row)
        previous = line["system"]
        if line["verdict"]:
            name = f"{line['system']}, {quantity}: {line['verdict']}"
            reasons.append(f"<li><strong>{html.escape(name)}.</strong> {html.escape(line['why'])}</li>")
    if not any(row["ours, strict"] for row in rows):  # facts have one value of ours, whatever the protocol
        rows = [{"ours" if key == "ours, paper protocol" else key: value for key, value in row.items()} for row in rows]
    table = compact(_filled(rows), f"{source}, {locator}", f"published-{source}-{locator}", ("system",))
    opened = f"<details><summary>Why, row by row</summary><ul style='font-size:0.9rem'>{''.join(reasons)}</ul></details>"
    return Shown(table.to_html() + opened, judged.origin)


def _filled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without the columns that are empty in all of them."""
    return [{key: row[key] for key in row if any(r[key] != "" for r in rows)} for row in rows]


def searches(chapter: str) -> Table:
    """The searches published with a chapter: their budget, the best trial's score and the values it chose; `not run` where missing."""
    trials, rows = published_trials(chapter), []
    promised = [specs[0] for specs in promised_specs(chapter, promised_corpora(chapter)) if specs[0].model.name not in BASELINES]
    for study, spec in {tune.study_name(spec): spec for spec in promised}.items():
        mine = trials[trials["study"] == study]
        row = {"search": f"{spec.data.corpus}, {ledger.label(spec.model.name, spec.model.settings)}"}
        row["scored on"] = study.rpartition(".")[2].partition("_")[0]
        if (best := tune.best_parameters(trials, study)) is None:
            rows.append(row | {"trials": "not run"})
            continue
        whole = mine[mine["state"] == "complete"]
        row |= {"trials": f"{len(mine)} ({len(whole)} whole)", "best UAR": f"{100 * whole['value'].max():.1f} %"}
        short = {"learning_rate": "rate", "weight_decay": "decay", "cosine_period_epochs": "period", "batch_size": "batch"}
        rows.append(row | {short.get(name, name): f"{value:.2g}" for name, value in best.items()})
    budget = tune.search_of(promised[0])
    caption = f"Searches: {budget.trials} trials of {budget.epochs} epochs on {len(budget.folds)} folds each"
    kept = [f"book/results/{chapter}/trials.csv"] * bool(len(trials))
    origin = origins.of_files(*kept, "sercore/tune.py")
    return compact(rows, caption, "searches", origin=origin)


def pairs(shown: Sequence[Source]) -> Table:
    """ResLSTM-SA against LSTM-SA of the same size, wherever both were run; p corrected by Holm inside each corpus and protocol.

    A row says `not run` where no pair is stored.
    """
    wanted = [(f"reslstm_sa_{size}", f"lstm_sa_{size}") for size in ("h32", "h64", "h128")]
    rows: list[dict[str, Any]] = []
    for source in shown:
        origin = "stored" if source.origin == STORED else THIS_BUILD
        for (corpus, protocol, variant), _ in source.results.groups.groupby(["corpus", "protocol", "variant"], sort=False):
            found = ledger.comparisons(source.results, wanted, corpus, protocol, variant)
            rows += [{"from": origin, "corpus, protocol": f"{corpus}, {protocol}"} | _in_words(row) for row in found.to_dict("records")]
    if not any(row["from"] == "stored" for row in rows):
        rows.append({"from": "stored", "corpus, protocol": "ravdess and emodb, strict", "size": "h64", "difference [95 %]": "not run"})
    caption = "ResLSTM-SA minus LSTM-SA of the same size, points of UAR, paired over speakers"
    networks = [source.results.of(system=[name for pair in wanted for name in pair]) for source in shown]
    made_from = sum((origins.of_runs(results) for results in networks), Origin())
    return compact(rows, caption, "pairs", ("difference [95 %]", "speakers x seeds"), made_from)


def _in_words(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "size": row["system"].rpartition("-")[2],
        "difference [95 %]": f"{100 * row['difference']:+.1f} [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]",
        "p (Holm)": f"{row['p_holm']:.2g}",
        "smallest p possible": f"{row['p_min']:.2g}",
        "detectable": f"{100 * row['detectable']:.1f}",
        "speakers x seeds": f"{row['speakers']} x {row['seeds']}",
    }


def verdict_counts(results: Results, source: str) -> Table:
    """How many numbers and settings of a source have which verdict, one row a verdict."""
    judged = ledger.verdicts(results, source)
    counts = pd.crosstab(judged["verdict"], judged["row"])
    order = [v for v in rule.VERDICTS if v in counts.index]
    rows = [{"verdict": v, "numbers": counts.get("claim", {}).get(v, 0), "settings": counts.get("setting", {}).get(v, 0)} for v in order]
    caption = f"{source}: how many numbers and settings have which verdict"
    return compact(rows, caption, f"counts-{source}", origin=origins.of_ledger(results))
