"""No pickle is loaded anywhere: whoever sends a file would choose what this machine does."""

import re

import pytest

PLACES = ("sercore", "notebooks", "book/_ext", "benchmarks", "tests")
#: What can run code from a file. `np.load` alone refuses pickles; `allow_pickle=True` is what lets them in.
LOADERS = re.compile(
    r"^\s*(?:import|from)\s+(?:pickle|cPickle|_pickle|dill|cloudpickle|shelve|marshal)\b"
    r"|\bpickle\.(?:loads?|Unpickler)\b|\btorch\.load\b|\ballow_pickle\s*=\s*(?!False)|\bjoblib\.load\b|\bread_pickle\b"
    r"|\byaml\.(?:unsafe_load|full_load|load)\b|\bload_state_dict_from_url\b",
    re.MULTILINE,
)


def loaders(root):
    """Every line below the project's source folders that can load a pickle, as `file:line`."""
    found = []
    for path in sorted(file for place in PLACES for file in (root / place).rglob("*.py") if file.name != "test_no_pickle.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        found += [f"{path.relative_to(root).as_posix()}:{n}" for n, line in enumerate(lines, 1) if LOADERS.search(line.split("  #")[0])]
    return found


def test_no_pickle_is_loaded(project):
    assert loaders(project) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "    from pickle import load",
        "weights = torch.load(path)",
        "weights = torch.load(path, weights_only=True)",
        "x = np.load(path, allow_pickle=True)",
        "x = numpy.load(path, allow_pickle = flag)",
        "model = joblib.load(path)",
        "table = pandas.read_pickle(path)",
        "import cloudpickle as c",
        "spec = yaml.load(text, Loader=yaml.Loader)",
    ],
)
def test_a_planted_loader_is_caught(tmp_path, line):
    (tmp_path / "sercore" / "data").mkdir(parents=True)
    (tmp_path / "sercore" / "data" / "planted.py").write_text(f"x = np.load(path, allow_pickle=False)\n\n{line}\n")
    assert loaders(tmp_path) == ["sercore/data/planted.py:3"]
