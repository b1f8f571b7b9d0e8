"""Figures of explanations: one scale for all maps, axes in seconds and kilohertz, and words that say what the planted arrays hold."""

import numpy as np
import pandas as pd
import pytest

from sercore.plots import explanations as figures
from sercore.plots import show
from sercore.plots.explanations import View

HOP_S, BIN_HZ = 0.02, 250.0


@pytest.fixture
def drawn(monkeypatch) -> list:
    """The matplotlib figures behind what is shown."""
    made, real = [], show.figure
    monkeypatch.setattr(show, "figure", lambda fig, *rest: made.append(fig) or real(fig, *rest))
    return made


def recording(frames=100, bins=40) -> np.ndarray:
    t, f = np.ogrid[:frames, :bins]
    return 3 * np.exp(-(((t - 50) / 8) ** 2) - ((f - 12) / 4) ** 2) - 0.2


def at(*cells, shape=(25, 10), height=1.0) -> np.ndarray:
    found = np.zeros(shape)
    for cell in cells:
        found[cell] = height
    return found


def images(fig) -> dict[str, object]:
    """Title of a panel -> its image."""
    return {ax.get_title(loc="left"): ax.images[0] for ax in fig.axes if ax.images}


def test_all_maps_have_one_scale_and_the_axes_of_the_recording(drawn):
    views = [View("baseline", "yes", at((5, 3)), 0.25), View("dual", "no", at((20, 8), height=40.0)), View("dead", "no", at())]
    figures.maps(recording(), views, item="a", hop_s=HOP_S, bin_hz=BIN_HZ)
    shown = images(drawn[0])
    assert list(shown) == ["recording", "baseline\nyes, p = 0.25; peak 1", "dual\nno; peak 40", "dead\nno; peak 0"]
    for title, image in shown.items():
        assert image.get_extent() == pytest.approx((-0.01, 1.99, -0.125, 9.875))
        assert image.get_array().shape == (40, 100)
        if title != "recording":
            assert image.get_clim() == (0, 1)
            assert image.get_array().max() == pytest.approx(0 if "dead" in title else 1)
    assert drawn[0].get_supxlabel() == "time (s)"
    assert drawn[0].get_supylabel() == "frequency (kHz)"
    bars = {ax.get_xlabel().split()[0] for panel in drawn[0].axes for ax in panel.child_axes}
    assert bars == {"magnitude", "Grad-CAM,"}


def test_the_text_says_where_each_map_peaks_and_how_wide_it_is():
    uniform = np.ones((25, 10))
    views = [View("narrow", "yes", at((5, 3), shape=(100, 40))), View("wide", "yes", uniform), View("dead", "no", 0 * uniform)]
    text = figures.maps(recording(), views, item="item_1", hop_s=HOP_S, bin_hz=BIN_HZ, stamp="seed 0").data
    assert "Where networks look in item_1. narrow (for yes): peak at 0.10 s and 0.8 kHz, half of the map in 0 % of the cells." in text
    assert "half of the map in 50 % of the cells. dead (for no): zero everywhere, nothing in this layer speaks for the class." in text
    assert "[seed 0]" in text
    assert "padding" not in text


def test_padding_is_not_drawn_and_what_lies_there_is_said(drawn):
    view = View("baseline", "yes", at((10, 3), (30, 3), (90, 3), (91, 3), shape=(100, 40)))
    shown = figures.maps(recording(), [view], item="a", hop_s=HOP_S, bin_hz=BIN_HZ, n_frames=60)
    assert "50 % of it in the padding" in shown.data
    assert drawn[0].axes[0].get_xlim() == pytest.approx((-0.01, 1.19))


@pytest.mark.parametrize("networks", [1, 2, 3, 4, 5])
def test_every_network_has_its_panel_and_every_column_its_times(drawn, networks):
    views = [View(f"net_{k}", "yes", at((k, k))) for k in range(networks)]
    figures.maps(recording(), views, item="a", hop_s=HOP_S, bin_hz=BIN_HZ)
    drawn[0].canvas.draw()
    assert len(images(drawn[0])) == networks + 1
    panels = [ax for ax in drawn[0].axes if ax.images]
    lowest = {round(ax.get_position().x0, 2): ax for ax in sorted(panels[1:], key=lambda ax: -ax.get_position().y0)}
    assert all(any(label.get_visible() and label.get_text() for label in ax.get_xticklabels()) for ax in lowest.values())


@pytest.mark.parametrize("raw", [-at((1, 1)), at((1, 1), height=np.nan), np.ones(5)])
def test_a_map_that_is_no_rectified_map_is_refused(raw):
    with pytest.raises(ValueError, match="the map of baseline must be rectified and finite"):
        figures.maps(recording(), [View("baseline", "yes", raw)], item="a", hop_s=HOP_S, bin_hz=BIN_HZ)


def randomised_rows(last: float, draws=2) -> pd.DataFrame:
    layers = ["trained", "classifier", "blocks.conv_2", "conv_1"]
    rows = []
    for draw in range(draws):
        for depth, (layer, value) in enumerate(zip(layers, (1.0, 0.75, 0.5, last), strict=True)):
            signed = value if draw % 2 == 0 or depth < 3 else -value
            rows += [(draw, depth, layer, "conv_2", item, signed) for item in range(3)]
    return pd.DataFrame(rows, columns=["draw", "depth", "layer", "tap", "item", "correlation"])


def test_what_randomised_weights_leave_is_said_with_and_without_its_sign(drawn):
    rows = pd.concat([randomised_rows(0.4).assign(network="baseline"), randomised_rows(0.2, draws=1).assign(network="dual")])
    text = figures.randomised(rows).data
    assert "baseline: 0.75 with classifier drawn, 0.00 with all (whatever its sign: 0.40)" in text
    assert "dual: 0.75 with classifier drawn, 0.20 with all (whatever its sign: 0.20)" in text
    assert "2 draws, 3 recordings" in text
    assert "not defined" not in text
    (ax,) = drawn[0].axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["trained", "classifier", "blocks.conv_2", "conv_1"]
    assert [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":" and len(set(line.get_xdata())) == 1] == [1.5]
    assert ax.get_ylabel()


def test_correlations_that_are_not_defined_are_counted():
    rows = randomised_rows(0.4)
    rows.loc[rows["depth"].eq(3) & rows["item"].eq(0), "correlation"] = np.nan
    text = figures.randomised(rows).data
    assert "2 of 24 are not defined" in text
    assert "the network: 0.75 with classifier drawn, 0.00 with all (whatever its sign: 0.40)" in text


def curve_rows(explained: float, shuffled: float) -> pd.DataFrame:
    rows = []
    for item in range(2):
        for curve, sign in (("deletion", -1), ("insertion", 1)):
            for order, draws, mean in (("explanation", 1, explained), ("shuffled", 3, shuffled)):
                level = mean if curve == "deletion" else 1 - mean
                for draw in range(draws):
                    rows += [(item, curve, order, draw, f, level + sign * 0.1 * (f - 0.5)) for f in (0.0, 0.5, 1.0)]
    return pd.DataFrame(rows, columns=["item", "curve", "order", "draw", "fraction", "score"])


def test_curves_say_their_areas(drawn):
    rows = pd.concat([curve_rows(0.2, 0.4).assign(network="baseline"), curve_rows(0.3, 0.5).assign(network="dual")])
    text = figures.curves(rows, stamp="seed 0").data
    assert "baseline: deletion 0.20 (shuffled 0.40), insertion 0.80 (shuffled 0.60)" in text
    assert "dual: deletion 0.30 (shuffled 0.50), insertion 0.70 (shuffled 0.50)" in text
    assert "Mean over 2 recordings" in text
    left, right = drawn[0].axes
    assert (left.get_xlabel(), right.get_xlabel()) == ("cells away (%)", "cells there (%)")
    assert left.get_ylabel() == "probability of the class"
    assert left.lines[0].get_ydata() == pytest.approx([0.25, 0.2, 0.15])
    assert right.lines[0].get_ydata() == pytest.approx([0.75, 0.8, 0.85])


def test_nothing_to_draw_is_said():
    nothing = figures.maps(recording(), [], item="a", hop_s=HOP_S, bin_hz=BIN_HZ)
    for shown in (nothing, figures.randomised(randomised_rows(0).head(0)), figures.curves(curve_rows(0, 0).head(0))):
        assert shown.data.startswith("<p><em>Nothing to draw")
