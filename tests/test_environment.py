"""One set of dependencies: pyproject.toml, environment.yml, constraints.txt and the import statements agree."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

#: Import name -> distribution, where they differ.
DISTRIBUTIONS = {"sklearn": "scikit-learn", "yaml": "pyyaml", "bs4": "beautifulsoup4"}
#: What a function imports for itself, and says how to install where it is missing: the extra `dask`.
OPTIONAL = {"distributed"}
PULLS_CUDA_OR_BREAKS = {"torchvision", "disvoice", "tensorflow"}


@pytest.fixture(scope="module")
def metadata():
    return tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())["project"]


def ranges(lines) -> dict[str, str]:
    found = {}
    for line in lines:
        requirement = Requirement(line)
        found[canonicalize_name(requirement.name)] = str(requirement.specifier)
    return found


def installed_for_a_book(metadata) -> dict[str, str]:
    extras = metadata["optional-dependencies"]
    return ranges(metadata["dependencies"] + extras["book"] + extras["test"])


def differences(environment: dict, metadata: dict) -> list[str]:
    """What environment.yml says otherwise than pyproject.toml."""
    conda = {item.split()[0]: item for item in environment["dependencies"] if isinstance(item, str)}
    (pip,) = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    mine, theirs = ranges(pip), installed_for_a_book(metadata)
    wrong = [name for name in sorted(set(mine) | set(theirs)) if mine.get(name) != theirs.get(name)]
    return wrong + (["python"] if conda["python"].removeprefix("python ") != metadata["requires-python"] else [])


def test_environment_yml_is_in_step(project, metadata):
    assert differences(yaml.safe_load((project / "environment.yml").read_text()), metadata) == []


def test_an_environment_yml_out_of_step_is_caught(project, metadata):
    text = (project / "environment.yml").read_text()
    for fault in (text.replace("torch>=2.6", "torch>=2.5"), re.sub(r"\n.*papermill.*", "", text), text.replace(">=3.11", ">=3.10")):
        assert fault != text
        assert len(differences(yaml.safe_load(fault), metadata)) == 1


def test_every_dependency_is_pinned_inside_its_range(project, metadata):
    lines = [line for line in (project / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pins = {canonicalize_name(name): pin for name, pin in (line.split("==") for line in lines)}
    everything = metadata["dependencies"] + sum(metadata["optional-dependencies"].values(), [])
    for line in everything:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), line
    assert not PULLS_CUDA_OR_BREAKS & set(pins)
    assert not [name for name in pins if name.startswith("nvidia")]
    assert "+" not in "".join(pins.values()), "a build suffix would tie the pins to one kind of machine"


def test_every_import_of_the_package_is_declared(project, metadata):
    declared = set(ranges(metadata["dependencies"])) | OPTIONAL
    imported = set()
    for file in (project / "sercore").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported |= {name.split(".")[0] for name in names}
    ours = imported - set(sys.stdlib_module_names) - {"sercore", "IPython", "myst_nb"}  # the last two come with the notebook that runs us
    assert {canonicalize_name(DISTRIBUTIONS.get(name, name)) for name in ours} <= declared
