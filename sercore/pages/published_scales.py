"""What the thesis prints of multi-time-scale convolution, as figures need it: gains by size of the corpus, and use of the branches."""

from __future__ import annotations

import pandas as pd

from sercore.ledger.claims import load_claims

#: Corpora of the thesis by its name for them.
CORPORA = {"EmoDb": "emodb", "RAVDESS": "ravdess", "TESS": "tess", "IEMOCAP": "iemocap_4", "FSDD": "fsdd", "GSC": "speech_commands"}


def gains() -> pd.DataFrame:
    """Gains of multi-time-scale over standard convolution: `corpus, ours (our name of it), table, network, n, gain` (points of accuracy).

    From the printed scores of tables 4.1, 4.3, 4.4 and 4.5 and the printed numbers n of recordings or pictures.
    """
    claims = load_claims("thesis").set_index("claim_id")
    rows = []
    for name, claim in claims[claims["chapter"].eq("4") & claims["method"].eq("MTS") & claims["metric"].eq("accuracy")].iterrows():
        place = ".".join(str(name).split(".")[:4])  # thesis.t4.1.emodb
        gain = float(claim["value"]) - float(claims.loc[claim["compared_to"], "value"])
        row = {"corpus": claim["corpus"], "ours": CORPORA.get(claim["corpus"], ""), "table": claim["locator"]}
        rows.append(row | {"network": claim["architecture"], "n": float(claims.loc[f"{place}.n", "value"]), "gain": gain})
    return pd.DataFrame(rows)


def usage() -> pd.DataFrame:
    """Branch shares of the thesis' tables 4.2 to 4.5: `corpus, ours, table, factors (the whole set), factor, share` (fractions)."""
    claims = load_claims("thesis")
    claims = claims[claims["chapter"].eq("4") & claims["metric"].eq("branch_usage")]
    factor = claims["claim_id"].str.extract(r"\.usage\.([\d.]+)$")[0].astype(float)
    frame = pd.DataFrame({"corpus": claims["corpus"], "table": claims["locator"], "factor": factor, "share": claims["value"].astype(float)})
    sets = frame.groupby(["corpus", "table"])["factor"].transform(lambda f: [tuple(sorted(f))] * len(f))
    return frame.assign(factors=sets, ours=frame["corpus"].map(CORPORA).fillna("")).reset_index(drop=True)


def usage_of(corpus: str, factors: tuple[float, ...]) -> pd.DataFrame:
    """Rows of `usage` for one set of factors, with a `name`: those of the corpus, or of all speech corpora where it has none.

    Args:
        corpus: our name of it.
        factors: in rising order.
    """
    rows = usage()
    rows = rows[rows["factors"].map(lambda same: same == factors) & rows["ours"].ne("")]
    rows = rows[rows["ours"].eq(corpus)] if rows["ours"].eq(corpus).any() else rows
    return rows.assign(name="thesis: " + rows["corpus"] + ", " + rows["table"].str.lower())
