"""Which reading of the printed confusion matrix is nearer: planted recalls give the answer that was planted."""

import numpy as np
import pytest

from sercore.pages import label_order
from sercore.pages.label_order import CODE_ORDER, PRINTED_AXIS, PRINTED_RECALLS, _compare
from sercore.stats import Cube


def cube(recalls: dict[str, float], speakers: int = 24, seeds: int = 3) -> Cube:
    """Counts of speakers who all have these recalls (per cent), errors spread over the other classes."""
    rng = np.random.default_rng(1)
    labels, n = tuple(CODE_ORDER), 40
    counts = np.zeros((seeds, speakers, 8, 8), dtype=np.int64)
    for k, label in enumerate(labels):
        p = np.full(8, (1 - recalls[label] / 100) / 7)
        p[k] = recalls[label] / 100
        counts[:, :, k, :] = rng.multinomial(n, p, size=(seeds, speakers))
    return Cube(counts, tuple(range(seeds)), tuple(str(s) for s in range(speakers)), labels)


def test_recalls_in_the_order_of_the_codes_say_permuted():
    found = _compare(cube({label: r - 8 for label, r in zip(CODE_ORDER, PRINTED_RECALLS, strict=True)}), "planted", 500)
    assert found.share_codes > 0.99
    assert found.distance_codes < found.distance_printed
    assert str(found).startswith("The tick labels of the printed matrix are probably permuted")
    assert "worst emotion is sadness" in str(found)


def test_recalls_as_printed_say_labelled_rightly():
    found = _compare(cube(dict(zip(PRINTED_AXIS, PRINTED_RECALLS, strict=True))), "planted", 500)
    assert found.share_codes < 0.01
    assert str(found).startswith("The printed matrix is probably labelled rightly")


def test_equal_recalls_decide_nothing():
    found = _compare(cube(dict.fromkeys(CODE_ORDER, 60.0)), "planted", 500)
    assert str(found).startswith("Our recalls do not decide it")


def test_printed_recalls_have_the_printed_mean_and_nothing_stored_gives_nothing():
    assert np.mean(PRINTED_RECALLS) == pytest.approx(61.9, abs=0.05)
    assert sorted(PRINTED_AXIS) == sorted(CODE_ORDER)
    assert label_order.compare_label_orders([]) is None
