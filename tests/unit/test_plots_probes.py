"""Figures of read-outs and of renumbered channels: the text beside a figure says what its rows say."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from sercore import probes
from sercore.losses.permutation import channel_permutations
from sercore.plots import probes as figures
from sercore.plots import show

TAPS = ("conv_1", "conv_5")


def rows(summary="mean_deviation", bare=True) -> pd.DataFrame:
    """Speaker falls from tap to tap by 10 points, text by 20; anti-transfer takes another 30 of the speaker away."""
    found = []
    places = [(probes.NO_NETWORK, probes.INPUT, 0)] * bare + [(name, tap, k) for name in ("baseline", "AT") for k, tap in enumerate(TAPS)]
    for name, tap, k in places:
        for factor, grouped, chance, score in (
            ("speaker", "text", 0.1, 0.9 - 0.1 * k - 0.3 * (name == "AT")),
            ("text", "speaker", 0.125, 0.7 - 0.2 * k),
        ):
            row = {"network": name, "tap": tap, "summary": summary, "factor": factor, "grouped_by": grouped, "score": score}
            row |= {"low": score - 0.05, "high": score + 0.08, "chance": chance, "chance_high": chance + 0.02, "p": 0.05}
            found.append(row | {"n_items": 448, "n_groups": 9, "n_classes": 8, "n_features": 16})
    return pd.DataFrame(found, columns=probes.COLUMNS)


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    """Every figure that is made, for a look at what stands on its axes."""
    made, canvas = [], show.canvas

    def watched(*args, **named):
        made.append(canvas(*args, **named)[0])
        return made[-1], made[-1].axes if named.get("squeeze", True) else _grid(made[-1])

    def _grid(fig):
        return np.array(fig.axes)[:, None]

    monkeypatch.setattr(show, "canvas", watched)
    return made


def test_read_outs_are_said_and_drawn_where_they_are(drawn):
    page = figures.scores(rows(), "stamp of the rows").data
    assert "speaker, baseline: conv_1 90 %, conv_5 80 %" in page
    assert "speaker, AT: conv_1 60 %, conv_5 50 %" in page
    assert "text, AT: conv_1 70 %, conv_5 50 %" in page
    assert "speaker, permuted labels 10 %" in page
    assert "text, permuted labels 12 %" in page
    assert "speaker, the input itself 90 %" in page
    assert "448 recordings" in page
    assert "stamp of the rows" in page
    (fig,) = drawn
    speaker, text = fig.axes
    assert speaker.get_title(loc="left") == "speaker: 8 classes, 9 groups (text)"
    assert text.get_title(loc="left") == "text: 8 classes, 9 groups (speaker)"
    assert [list(c.lines[0].get_ydata()) for c in speaker.containers] == [pytest.approx([90, 80]), pytest.approx([60, 50])]
    ends = speaker.containers[1].lines[2][0].get_segments()
    assert [tuple(end[:, 1]) for end in ends] == [pytest.approx((55, 68)), pytest.approx((45, 58))]
    (dashed,) = [line for line in speaker.lines if line.get_linestyle() == "--"]
    assert dashed.get_ydata()[0] == pytest.approx(10)
    assert [label.get_text() for label in text.get_xticklabels()] == list(TAPS)


def test_each_summary_has_its_figure_and_no_input_is_claimed_without_one(drawn):
    page = figures.scores(pd.concat([rows(bare=False), rows("gram", bare=False)]), "stamp").data
    assert len(drawn) == page.count("<figure") == 2
    assert "means and deviations of channels" in page
    assert "Gram matrices, as the loss sees them" in page
    assert "the input itself" not in page


def test_renumbered_channels_are_said_and_drawn_beside_the_spectrum(drawn):
    x = torch.randn(2, 6, 5, 4, generator=torch.Generator().manual_seed(0)).relu()
    found = channel_permutations(x, x, permutations=7)
    page = figures.permutations({"a network and itself": found, "not run": []}, "stamp of the features").data
    values = [row["value"] for row in found if row["variant"] == "definition" and row["permuted"] == "one"]
    span = f"1.000 before, {min(values):.3f} to {max(values):.3f} after 7 permutations"
    assert f"a network and itself, definition: {span}, eigenvalues moved by at most" in page
    assert "not run" not in page
    (control,) = re.findall(r"both networks alike changes it by at most (\S+)\. ", page)
    assert float(control) < 1e-12
    uncontrolled = [row | {"value": row["value"] - 0.25 * (row["permuted"] == "both")} for row in found]
    assert "both networks alike changes it by at most 2e-01" in figures.permutations({"a": uncontrolled}, "stamp").data
    assert "stamp of the features" in page
    similarity, change = drawn[0].axes
    points = similarity.lines[0]
    assert sorted(points.get_xdata()) == pytest.approx(sorted(values))
    assert change.get_xscale() == "log"
    loss, spectrum = change.lines[:2]
    assert min(loss.get_xdata()) > 1e-3
    assert max(spectrum.get_xdata()) < 1e-12
    assert max(spectrum.get_xdata()) >= 1e-17


def test_nothing_to_draw_is_said():
    assert "Not run" in figures.scores(rows().iloc[:0], "stamp").data
    assert "Not run" in figures.permutations({}, "stamp").data
    assert "Not run" in figures.permutations({"a": []}, "stamp").data
