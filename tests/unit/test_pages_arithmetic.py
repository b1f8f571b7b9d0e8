"""The page on the sources' arithmetic: figures say in words what they draw, tables and sentences change with the numbers."""

import html
import re
import warnings

import pytest

from sercore.arithmetic import Audit
from sercore.arithmetic.findings import findings
from sercore.ledger import claims
from sercore.pages import arithmetic as tables
from sercore.plots import arithmetic as figures

AUDIT = Audit()
FOUND = findings(AUDIT)


def alt_of(shown) -> str:
    found = re.search('alt="([^"]+)"', shown._repr_html_())
    assert found is not None
    return html.unescape(found.group(1))


def html_of(shown) -> str:
    return shown._repr_html_()


def test_figures_say_their_numbers_and_have_room():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # matplotlib says so where axes collapse
        said = [
            alt_of(figures.distances(AUDIT.statements)), alt_of(figures.mean_gains(AUDIT.statements)), alt_of(figures.grids(AUDIT, 300)),
            alt_of(figures.parameter_columns(AUDIT.parameters)),
        ]  # fmt: skip
    assert "42 do not follow" in said[0]
    assert "WASPAA Sec. 3.2.1, quaternion: 2.6 and 4.81" in said[1]
    assert "TESS: no AT: no size up to 300 fits all; AT: all on 1/280" in said[2]
    assert "27 rows differ" in said[3]


@pytest.mark.parametrize("draw", [figures.distances, figures.mean_gains])
def test_nothing_to_draw_is_refused(draw):
    with pytest.raises(ValueError, match="to draw"):
        draw(AUDIT.statements.iloc[:0])


def test_no_cell_of_a_table_is_nan():
    shown = [
        tables.kinds_table(FOUND), tables.statements_table(AUDIT), tables.grids_table(AUDIT), tables.splits_table(AUDIT),
        tables.twins_table(AUDIT), tables.tests_table(AUDIT), tables.places_table(AUDIT, FOUND), tables.browse(FOUND),
    ]  # fmt: skip
    for table in shown:
        assert not re.search(r"\b(nan|None)\b", re.sub(r"<(style|script).*?</\1>", "", html_of(table), flags=re.DOTALL))


def test_tables_of_one_source_hold_no_other():
    for table in (
        tables.grids_table(AUDIT, "faca2022"),
        tables.splits_table(AUDIT, "faca2022"),
        tables.statements_table(AUDIT, "faca2022"),
    ):
        assert "thesis" not in html_of(table)


def test_the_answer_follows_the_numbers():
    assert "88 follow" in tables.answer(AUDIT, FOUND)
    assert "The two pages agree" in tables.verdict(AUDIT, FOUND)
    table = claims.load_claims().copy()
    table.loc[table["claim_id"] == "faca.s4.3.fa.wa", "value"] = "2.9"
    other = Audit(table)
    found = findings(other)
    assert "87 follow" in tables.answer(other, found)
    assert "1 statements that do not follow are not among them" in tables.verdict(other, found)
