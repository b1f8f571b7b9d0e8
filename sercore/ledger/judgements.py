"""One published number at a time: ours beside it, the verdict and the reason."""

from __future__ import annotations

from typing import Any

from sercore.ledger import claims as published
from sercore.ledger import rule
from sercore.ledger.checks import compute, holds
from sercore.ledger.claims import LedgerError, Selector
from sercore.ledger.facts import CORPORA_AT_HAND, Missing, corpora_named, recordings_missing
from sercore.ledger.measurements import SIDES, Measurements, Ours
from sercore.ledger.paired import label
from sercore.ledger.rule import Verdict

#: Systems whose chapter is built: no fact or setting of theirs may wait for a check.
FINISHED_SYSTEMS = ("reslstm-sa", "mts", "mts-resnet18", "mts-speech", "mts-image", "at")
#: What a number that names no corpus is averaged over, by the beginning of its system's name.
_CORPORA_OF = {
    "omg": "OMG-Empathy",
    "mts-speech": "GSC and FSDD",
    "mts-image": "MNIST and CIFAR10",
    "mts": "EmoDb, RAVDESS, TESS and IEMOCAP",
    "at": "GSC, IEMOCAP and Good-Sounds",
    "rhemo": "IEMOCAP, RAVDESS, EmoDb and TESS",
    "qat": "IEMOCAP, RAVDESS and TESS",
    "mhsa-faca": "IEMOCAP and RAVDESS",
    "hump-cat": "IEMOCAP and seven others",
}
_METRIC_NAMES = {"uar": "UAR", "ua": "UA", "wa": "WA", "ccc": "CCC", "n_params": "parameters", "n_utterances": "recordings"}
#: Metrics whose printed unit is a share, and what one unit of it is.
_FRACTION_OF = {"fraction": 1.0, "percent": 0.01, "pp": 0.01, "ccc": 1.0}


def judged(claim: dict[str, str], selector: Selector | None, contradiction: str, measurements: Measurements) -> dict[str, Any]:
    """One row of the ledger.

    Args:
        claim: a row of claims.csv or settings.csv, with `id` and `row` (claim or setting).
        selector: its row of map.csv, if it has one.
        contradiction: how its source contradicts it, if it does.
        measurements: ours.

    Returns:
        Columns of `sercore.ledger.rule`; those that do not apply are left out.

    Raises:
        LedgerError: a fact of a finished chapter has no check, or a selector matches two kinds of row.
    """
    line: dict[str, Any] = {key: claim[key] for key in ("id", "row", "source", "locator")}
    line |= {"system": claim.get("architecture") or claim["system"], "quantity": _quantity(claim), "contradiction": contradiction}
    line |= {"published": claim["value"] + (f" ± {claim['spread']}" if claim.get("spread") else ""), "unit": claim["unit"]}
    if selector is None:
        verdict = _unmapped(claim, contradiction)
        line |= {"verdict": verdict.name, "reason": verdict.reason}
    else:
        make = _fact_line if selector.check else _measured_line
        line |= make(claim, selector, contradiction, measurements)
    return line | {"reason": line["reason"][:1].upper() + line["reason"][1:]}


def _fact_line(claim: dict[str, str], selector: Selector, contradiction: str, measurements: Measurements) -> dict[str, Any]:
    fact = compute(selector.check, measurements.results)
    if isinstance(fact, Missing):
        verdict = rule.judge_fact(None, "", "", contradiction=contradiction, remark=selector.remark, missing=fact.what)
        return {"verdict": verdict.name, "reason": verdict.reason}
    agrees = holds(fact, claim["value"], claim["note"]) if fact.comparable else None
    ours, said = str(fact), {"contradiction": contradiction, "remark": selector.remark, "why": fact.why}
    verdict = rule.judge_fact(agrees, ours, fact.where, comparable=fact.comparable, **said)
    return {"ours": ours, "verdict": verdict.name, "reason": verdict.reason}


def _measured_line(claim: dict[str, str], selector: Selector, contradiction: str, measurements: Measurements) -> dict[str, Any]:
    ours, strict = measurements.ours(selector), measurements.ours(selector, "strict")
    value, scale = published.number(claim["value"]), _FRACTION_OF[claim["unit"]]
    fraction = None if value is None else value * scale
    verdict = rule.judge(fraction, ours.measured if ours else None, _not_stored(claim, selector), contradiction, _over_baseline(claim))
    said = [verdict.reason, selector.remark if ours or strict else ""]
    if strict and not ours and strict.group["split"] != selector.split:
        said.append(f"Ours under the strict protocol has other folds ({strict.group['split']}): it stands beside and is not compared.")
    line: dict[str, Any] = {"verdict": verdict.name, "reason": " ".join(part for part in said if part)}
    if selector.protocol == "strict":
        ours = None  # shown once, in the columns of its protocol
    for prefix, found in (("", ours), ("strict_", strict)):
        if found is not None:
            interval = found.interval or found.measured.prediction
            line["ours_strict" if prefix else "ours"] = found.measured.estimate / scale
            line |= {f"{prefix}low": interval.low / scale, f"{prefix}high": interval.high / scale} if interval else {}
    if shown := ours or strict:
        line |= {"recordings": int(shown.group["n_items"]), "speakers": shown.measured.n_speakers, "folds": int(shown.group["folds"])}
        line |= {"seeds": _seeds(ours, strict), "group": shown.group["group"]}
    return line


def _not_stored(claim: dict[str, str], selector: Selector) -> str:
    """Which run would answer, and the recordings that it needs if they are not at hand."""
    corpus = claim["corpus"] or selector.corpus
    if selector.statistic in ("mean_gain", "mean_loss"):
        corpora = claim["corpus"] or next(names for prefix, names in _CORPORA_OF.items() if claim["system"].startswith(prefix))
        names = corpora.replace(" and ", ", ").split(", ")
        return f"no runs of every cell of its table, on {corpora}, are among the stored runs{recordings_missing(names)}"
    said = f"no run of {label(selector.system, selector.settings)} on {corpus} under protocol {selector.protocol} is stored"
    if selector.statistic in SIDES:
        side = "training" if selector.statistic == "train_accuracy" else "validation"
        said = f"no run of {label(selector.system, selector.settings)} on {corpus} with the accuracy of its {side} side is stored"
    if selector.statistic == "usage":
        said = f"no table of branch usage of {label(selector.system, selector.settings)} on {corpus} is among the stored runs"
    if selector.reference:
        said += f", or none of {label(selector.reference, selector.reference_settings)}"
    return said + (recordings_missing(list(dict.fromkeys([corpus, *corpora_named(selector.settings)]))) if claim["corpus"] else "")


def _over_baseline(claim: dict[str, str]) -> float | None:
    """The printed value minus that of the row it is compared to, as a fraction; None where it is compared to none."""
    table = published.load_claims(claim["source"])
    rows = table[table["claim_id"].eq(claim.get("compared_to", ""))]
    if rows.empty:
        return None
    (value, unit), mine = rows[["value", "unit"]].iloc[0], published.number(claim["value"])
    other = published.number(value)
    return None if mine is None or other is None else mine * _FRACTION_OF[claim["unit"]] - other * _FRACTION_OF[unit]


def _unmapped(claim: dict[str, str], contradiction: str) -> Verdict:
    """A number that no selector speaks of: cited from others, a fact nobody has checked yet, or a measurement that was not made."""
    needs_a_run = claim["kind"] not in published.FACT_KINDS and claim["system"] != "external"
    if contradiction and not needs_a_run:
        return Verdict(rule.INCONSISTENT, contradiction)
    if claim["system"] == "external":
        return Verdict(rule.NOT_COMPARABLE, "cited work of others, not measured here.")
    if not needs_a_run:
        if claim["system"] in FINISHED_SYSTEMS:
            raise LedgerError(f"{claim['id']} belongs to a finished chapter and has no check in map.csv")
        return Verdict(rule.NOT_CHECKED, f"{claim['system'] or 'this part'} is not built here yet.")
    return rule.judge(None, None, _missing(claim), contradiction)


def _missing(claim: dict[str, str]) -> str:
    """What a run would need: the corpus, the device, or the system."""
    system = claim["architecture"] or claim["system"] or "the system"
    if claim["kind"] == "resource":
        return f"{system} is not built here yet, and the device is missing (an accelerator that the authors do not name)"
    of_system = (corpora for prefix, corpora in _CORPORA_OF.items() if claim["system"].startswith(prefix))
    corpus = claim["corpus"] or next(of_system, "the authors' recordings")
    if corpus in CORPORA_AT_HAND:
        return f"no run of {system} on {corpus}: the system is not built here yet"
    return f"the data of {corpus} are missing" if " and " not in corpus else f"data are missing (it is over {corpus})"


def _quantity(claim: dict[str, str]) -> str:
    """What the number is, in a few words: corpus, method, metric, subset, split and what sets it apart from its neighbours."""
    if claim["row"] == "setting":
        return claim["setting"].replace("_", " ")
    parts = [claim["corpus"], _METRIC_NAMES.get(claim["metric"], claim["metric"].replace("_", " ")), claim["subset"]]
    if claim["method"] and not claim["architecture"].startswith(claim["method"]):
        parts.insert(1, claim["method"])
    if claim["split"]:
        parts.append(f"{claim['split']} split")
    parts += [claim["at_type"], "quaternion" if claim["domain"] == "quaternion" else ""]
    notes = [note.strip() for note in claim["note"].split(";") if "=" in note]
    parts += [note.partition("=")[2] for note in notes if not note.startswith(("printed", "relation"))]
    return ", ".join(part for part in parts if part)


def _seeds(ours: Ours | None, strict: Ours | None) -> str:
    found = [str(o.measured.n_seeds) for o in (ours, strict) if o is not None]
    return " / ".join(dict.fromkeys(found)) if len(set(found)) == 1 else " / ".join(found)
