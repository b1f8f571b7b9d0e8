"""What the page on corpora shows: corpora from their cards can be split; planted leaks are refused; the price is of the right rows."""

import pandas as pd
import pytest

from sercore.data import synthetic
from sercore.data.corpora import Corpus
from sercore.data.overlaps import overlaps
from sercore.pages import protocols
from sercore.results import GROUP_COLUMNS, empty_results


@pytest.mark.parametrize("name", ["ravdess", "emodb"])
def test_a_corpus_from_its_card_has_the_cards_counts_and_can_be_split(name):
    corpus = protocols.from_card(name)
    assert corpus.root is None
    assert corpus.items["emotion"].value_counts().to_dict() == corpus.card.emotions
    assert corpus.items["speaker"].value_counts().to_dict() == corpus.card.speakers
    for scheme in protocols.SCHEMES_SHOWN[name]:
        made = protocols.plans(corpus, scheme)
        assert sorted(i for plan in made for i in plan.test) == sorted(corpus.items["item_id"])
        assert all(not overlaps(corpus.items, plan.sides, ["speaker_overlap"]) for plan in made)


def test_every_planted_leak_is_refused():
    answers = protocols.refusals(synthetic.read(repetitions=1)).data.set_index("planted")["answer"]
    assert len(answers) == 4
    assert answers.str.startswith("refused: ").all()
    assert "declare the leak 'speaker_overlap'" in answers["a speaker on two sides"]
    assert "no declaration permits this" in answers["a recording on two sides"]
    assert "'source_overlap'" in answers["parts of one recording on two sides"]
    assert "'duplicate_audio'" in answers["the same audio under two names"]


def test_a_plan_that_were_accepted_is_caught():
    assert protocols._refusal(lambda: None) == "accepted"


def test_corpora_that_are_not_at_hand_are_said_so():
    shown = {"emodb": protocols.from_card("emodb")}
    assert protocols.cards_table(shown).data["emodb"].iloc[-1] == "not at hand: file list of the card"
    assert protocols.check_table(shown).data["files"].item() == "not run"
    assert set(protocols.shared_table(shown).data["duplicate audio"]) == {"not known"}


def test_a_random_scheme_is_said_to_share_speakers():
    items = synthetic.read(repetitions=1)
    shown = {"synthetic": Corpus("synthetic", None, items, protocols.from_card("emodb").card)}
    table = protocols.shared_table(shown).data.set_index("corpus, scheme")["speaker overlap"]
    assert table.to_dict() == {"synthetic, speakers_4": "none", "synthetic, random_5": "declared"}


def test_the_price_is_mixed_minus_apart():
    names = {"apart": "", "apart.shuffled": "", "mixed": "speaker_overlap"}
    correct = {"apart": 5, "apart.shuffled": 2, "mixed": 8}
    counts = [
        {"group": g, "seed": 0, "fold": 0, "speaker": str(s), "truth": t, "joy": right if t == "joy" else 10 - right}
        | {"fear": 10 - right if t == "joy" else right}
        for g, right in correct.items()
        for s in range(8)
        for t in ("joy", "fear")
    ]
    rows = empty_results()
    base = dict.fromkeys(GROUP_COLUMNS, "") | {"corpus": "synthetic", "system": "functionals_svm", "profile": "quick"}
    rows.groups = pd.DataFrame([base | {"group": g, "leaks": leaks} for g, leaks in names.items()])
    rows.counts = pd.DataFrame(counts)
    said = protocols.gap(rows)
    assert said.startswith("Sharing speakers flatters: on the synthetic corpus functionals svm has a UAR of 50.0 %")
    assert "80.0 % with speakers mixed, +30.0 points" in said
