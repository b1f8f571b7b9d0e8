"""What stands around the code: citation, licences, change log, workflows, hooks, and the wheel."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import sercore
from sercore.data.card import card_names, load_card

PROJECT = Path(__file__).resolve().parents[1]
PUBLICATIONS = ("guizzo2023thesis", "guizzo2023qat", "kim2022faca", "zhao2025humpcat", "krasnoproshin2026reslstm")
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def metadata() -> dict:
    return tomllib.loads(read("pyproject.toml"))


@pytest.fixture(scope="module")
def citation() -> dict:
    return yaml.safe_load(read("CITATION.cff"))


def bibliography() -> dict[str, dict[str, str]]:
    """Key -> fields of book/references.bib, braces taken off."""
    entries = {}
    for key, body in re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", read("book/references.bib"), flags=re.S | re.M):
        fields = re.findall(r"(\w+)\s*=\s*\{(.*)\}", body)
        entries[key] = {name: value.replace("{", "").replace("}", "") for name, value in fields}
    return entries


def citation_faults(citation: dict) -> list[str]:
    """Where the five references of CITATION.cff and book/references.bib disagree."""
    wrong = []
    for key in PUBLICATIONS:
        entry = bibliography()[key]
        found = [r for r in citation["references"] if r["title"] == entry["title"]]
        if len(found) != 1:
            wrong.append(f"{key}: {len(found)} references have its title")
            continue
        (reference,) = found
        authors = " and ".join(f"{person['family-names']}, {person['given-names']}" for person in reference["authors"])
        same = {"author": authors, "year": str(reference["year"]), "doi": reference.get("doi"), "url": reference.get("url")}
        same |= {"howpublished": reference["journal"]} if "journal" in reference else {}
        wrong += [f"{key}: {name} is {value!r}" for name, value in same.items() if value != entry.get(name)]
    return wrong


def test_citation_has_what_the_format_requires(citation, metadata):
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert citation["version"] == sercore.__version__
    assert citation["license"] == metadata["project"]["license"] == "BSD-3-Clause"
    assert all({"type", "title", "authors"} <= set(reference) for reference in citation["references"])
    assert read("LICENSE").startswith("BSD 3-Clause License")


def test_citation_names_the_five_publications_as_the_bibliography_does(citation):
    assert len(citation["references"]) == len(PUBLICATIONS)
    assert citation_faults(citation) == []


def test_a_wrong_year_and_a_missing_publication_are_caught(citation):
    planted = yaml.safe_load(yaml.safe_dump(citation))
    planted["references"][1]["year"] = 2022
    planted["references"].pop(2)
    assert citation_faults(planted) == ["guizzo2023qat: year is '2022'", "kim2022faca: 0 references have its title"]


def test_every_corpus_has_its_licence_in_the_list():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", read("DATA_LICENCES.md"), flags=re.M))
    assert rows == {name: load_card(name).licence for name in card_names()}


def test_the_change_log_has_the_version_that_the_package_has():
    log = read("CHANGELOG.md")
    heads = re.findall(r"^## \[(.+?)\]", log, flags=re.M)
    assert heads[0] == "Unreleased"
    assert sercore.__version__ in (heads[1:2] or [re.search(r"To become ([\d.]+\d)", log)[1]])
    assert set(re.findall(r"^### (\w+)", log, flags=re.M)) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def steps(workflow: Path) -> list[dict]:
    return [step for job in yaml.safe_load(workflow.read_text())["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_a_trigger_limits_and_real_commands(workflow):
    content = yaml.safe_load(workflow.read_text())
    assert {"push", "pull_request"} <= set(content[True])  # `on` is YAML for true
    assert content["permissions"] == {"contents": "read"}, "what a job needs more, it asks for itself"
    assert all(job["timeout-minutes"] for job in content["jobs"].values())
    assert all(("uses" in step) != ("run" in step) for step in steps(workflow))
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in steps(workflow) if "uses" in step)
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), flags=re.M))
    asked = [target for step in steps(workflow) for target in re.findall(r"^make (\w+)", step.get("run", ""), flags=re.M)]
    assert asked
    assert set(asked) <= targets


def test_the_workflows_run_the_readmes_commands_on_the_pythons_of_the_package(metadata):
    runs = [step.get("run", "") for workflow in WORKFLOWS for step in steps(workflow)]
    assert all(any(run.startswith(f"make {target}") for run in runs) for target in ("test", "check", "book", "gate"))
    pythons = yaml.safe_load(read(".github/workflows/test.yml"))["jobs"]["suite"]["strategy"]["matrix"]["python"]
    named = [c.split(" :: ")[-1] for c in metadata["project"]["classifiers"] if c.startswith("Programming Language")]
    assert named == pythons
    assert metadata["project"]["requires-python"] == f">={pythons[0]},<3.{int(pythons[-1].split('.')[1]) + 1}"


def test_hooks_are_local_and_hold_what_make_check_holds():
    hooks = [hook for repo in yaml.safe_load(read(".pre-commit-config.yaml"))["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]} == {"local"}
    entries = " ".join(hook["entry"] for hook in hooks)
    assert all(tool in entries for tool in ("ruff check", "ruff format", "mypy", "lint-imports"))


def test_a_large_file_is_caught(tmp_path):
    small, large = tmp_path / "a.csv", tmp_path / "b.wav"
    small.write_bytes(b"0" * 1000)
    large.write_bytes(b"0" * 250_001)
    done = subprocess.run([sys.executable, PROJECT / "tests/large_files.py", small, large], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [f"{large} is above 250 kB: keep it out of git"]


def needed(root: Path) -> set[str]:
    """Files of the package that are no code and are in git."""
    listed = subprocess.run(["git", "ls-files", "sercore", "notebooks/register.yml"], cwd=root, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: what is committed cannot be listed")
    return {name for name in listed.stdout.splitlines() if not name.endswith(".py")}


def wheel_of(source: Path, folder: Path) -> Path:
    """The wheel of a source tree, built without the network."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), "."]
    built = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[-2000:]
    return next(folder.glob("sercore-*.whl"))


def test_the_wheel_holds_code_cards_and_shipped_data(tmp_path):
    """Built from what is in git, without the network: nothing may be left behind that a reader of the installed package misses."""
    wanted = needed(PROJECT)
    source = tmp_path / "source"
    subprocess.run(["git", "checkout-index", "-a", f"--prefix={source}/"], cwd=PROJECT, check=True)
    wheel = wheel_of(source, tmp_path)
    held = set(zipfile.ZipFile(wheel).namelist())
    assert wanted - held == set()
    assert "sercore/data/cards/ravdess.yml" in wanted
    modules = {path.relative_to(source).as_posix() for path in (source / "sercore").rglob("*.py")}
    assert modules <= held
    assert not [name for name in held if name.startswith(("tests/", "book/", "store/"))]
    assert wheel.name.startswith(f"sercore-{sercore.__version__}-")
    licences = {name.split("/licenses/")[-1] for name in held if "/licenses/" in name}
    assert licences == {"LICENSE", "DATA_LICENCES.md"}
