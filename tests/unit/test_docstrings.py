"""Every public name says what it takes and gives: shapes, units, errors, and the source where a publication defines the numbers."""

from pathlib import Path

import pytest

import sercore
from tests.docstrings import faults, of_package

PACKAGE = Path(sercore.__file__).parent

GOOD = '''
def energy(frames: np.ndarray, rate_hz: int) -> np.ndarray:
    """Energy of each frame (Table II of the paper).

    Args:
        frames: samples, shape (T, N), in [-1, 1].
        rate_hz: samples a second.

    Returns:
        Shape (T,), at least 0.

    Raises:
        ValueError: there is no frame.
    """
    if not len(frames):
        raise ValueError("no frame")
    return (frames**2).sum(axis=1)
'''
TABLE = '''
def longest(items: pd.DataFrame) -> str:
    """The longest recording; `items` has the columns `item_id, seconds`."""
    return items.loc[items["seconds"].idxmax(), "item_id"]
'''


def test_public_names_state_shapes_units_errors_and_source():
    found = of_package(PACKAGE)
    assert found == [], "docstrings of public names (what each must say: tests/docstrings.py):\n" + "\n".join(found)


def test_a_whole_docstring_has_no_fault():
    assert faults(GOOD, "layers/energy.py") == faults(TABLE, "data/longest.py") == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("samples, shape (T, N), in [-1, 1].", "the recording.", "states no shape of frames"),
        ("Raises:\n        ValueError: there is no frame.", "", "raises ValueError and does not say when"),
        (" (Table II of the paper)", "", "names no source"),
    ],
)
def test_a_docstring_that_leaves_something_out_is_caught(old, new, fault):
    assert old in GOOD
    found = faults(GOOD.replace(old, new), "layers/energy.py")
    assert [fault in line for line in found] == [True]


@pytest.mark.parametrize("file", ["layers/recurrent.py", "features/cepstral.py", "stats/significance.py", "data/items.py", "train.py"])
def test_a_module_stripped_of_its_docstrings_is_caught(file):
    """The planted fault in the package's own text: every docstring is cut to its first word."""
    import ast

    tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
    public = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(node):
            node.body[0] = ast.Expr(ast.Constant("Something."))
            public += isinstance(node, ast.FunctionDef)
    assert len(faults(ast.unparse(tree), file)) >= max(1, public // 4)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("def norm(x: Tensor) -> Tensor:\n    '''The norm of x, a number.'''\n", "states no shape"),
        ("def norm(x: Tensor) -> float:\n    '''Norm; x has shape (B, T).'''\n", "no unit, range or kind"),
        ("def best(rows_: pd.DataFrame) -> str:\n    '''The best.'''\n", "names no column or row"),
        ("def best() -> str:\n    return 'a'\n", "no docstring"),
        ("class A:\n    '''A thing.'''\n    def go(self):\n        '''Goes.'''\n        raise StoreError('x')\n", "raises StoreError"),
    ],
)
def test_a_public_name_that_says_too_little_is_caught(source, fault):
    (found,) = faults(source, "data/x.py")
    assert fault in found
