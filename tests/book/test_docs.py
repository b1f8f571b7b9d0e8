"""Every command that a newcomer is told to type exists, with its options; every link leads somewhere; the picture is of today's results."""

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest
import typer
import yaml

from sercore.__main__ import app
from sercore.data.corpora import load
from sercore.data.splits import split_plan
from sercore.spec import RunSpec

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "book/how_to_run.md", "CONTRIBUTING.md"]
LINKED = [*DOCUMENTS, "DATA_LICENCES.md", "CHANGELOG.md"]
#: Files that the worked examples of CONTRIBUTING.md make.
MADE = ("tests/unit/test_office.py", "tests/unit/test_gru_mean.py")


def commands(text: str) -> set[str]:
    """What stands in code blocks, with lines that go on joined, and in inline code; comments taken off."""
    blocks = re.findall(r"```(?:sh)?\n(.*?)```", text, flags=re.S)
    lines = {line.split("  #")[0].strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()}
    return lines | {" ".join(code.split()) for code in re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.S))}


def fault(command: str) -> str:
    """What is wrong with a `make`, `sercore` or `python` command; empty where nothing is, or where it is none of these."""
    words = [word for word in shlex.split(command.replace("'", "")) if not re.match(r"[A-Z_]+=", word)]
    if words[:1] == ["make"] and len(words) > 1:
        targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), flags=re.M))
        return "" if words[1] in targets else f"make has no target {words[1]}"
    if words[:1] == ["sercore"] and len(words) > 1:
        return _fault_of_sercore(words[1:])
    if words[:1] in (["python"], ["papermill"]) and len(words) > 1 and words[1] != "-m":
        return "" if (PROJECT / words[1]).is_file() else f"there is no file {words[1]}"
    if words[:3] == ["python", "-m", "pytest"]:
        missing = [word for word in words if word.startswith("tests/") and word not in MADE and not (PROJECT / word).exists()]
        return f"there is no file {missing[0]}" if missing else ""
    return ""


def _fault_of_sercore(words: list[str]) -> str:
    command = typer.main.get_command(app)
    while isinstance(command, click.Group) or hasattr(command, "commands"):
        if not words or words[0] not in command.commands:
            return f"sercore has no command {' '.join(words[:1])}"
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    unknown = [word for word in words if word.startswith("--") and word.split("=")[0] not in known]
    return f"sercore {command.name} has no option {unknown[0]}" if unknown else ""


def faults(text: str) -> list[str]:
    """Commands of a text that cannot work as they stand there."""
    wrong = []
    for command in commands(text):
        try:
            wrong.append(fault(command))
        except ValueError:  # code that is no command line
            continue
    return sorted(filter(None, wrong))


def broken_links(document: str, text: str) -> list[str]:
    """Links and pictures of a text that lead to no file or heading of the project."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.S)):
        path, _, heading = target.partition("#")
        file = (PROJECT / document).parent / path if path else PROJECT / document
        if re.match(r"[a-z]+:", target):
            continue
        headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), flags=re.M) if heading and file.is_file() else []
        if not file.exists() or (heading and heading not in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}):
            broken.append(target)
    return broken


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documented_commands_exist(document):
    text = (PROJECT / document).read_text(encoding="utf-8")
    assert "make book" in commands(text)
    assert any(command.startswith("sercore corpora check") for command in commands(text))
    assert faults(text) == []


def test_a_command_that_does_not_exist_is_caught():
    block = "make bok\nsercore corpus list\nX=1 sercore corpora check a \\\n  --rot b\npython notebooks/rn.py\n"
    assert faults(f"```\n{block}```\nor `sercore publish\nc --hard`") == [
        "make has no target bok",
        "sercore check has no option --rot",
        "sercore has no command corpus",
        "sercore publish has no option --hard",
        "there is no file notebooks/rn.py",
    ]


@pytest.mark.parametrize("document", LINKED)
def test_links_lead_somewhere(document):
    assert broken_links(document, (PROJECT / document).read_text(encoding="utf-8")) == []


def test_a_broken_link_is_caught():
    text = "[a](gone.md) [b](README.md#two-commands) [c](README.md#three-commands) ![d](book/_static/no.png)"
    assert broken_links("README.md", text) == ["gone.md", "README.md#three-commands", "book/_static/no.png"]


def test_specifications_that_are_shown_can_be_run():
    """Each is a specification whose split can be made; a field that does not exist is refused."""
    text = (PROJECT / "book/how_to_run.md").read_text()
    shown = [RunSpec.model_validate(yaml.safe_load(block)) for block in re.findall(r"```yaml\n(data:.*?)```", text, flags=re.S)]
    assert [spec.settings for spec in shown] == ["", "noise_synthetic_noises_0to10dB"]
    for spec in shown:
        assert split_plan(load(spec.data.corpus).items, spec.split, spec.leaks).test
    with pytest.raises(ValueError, match="level_db"):
        RunSpec.model_validate(yaml.safe_load("data: {corpus: synthetic, noise: {corpus: x, level_db: 3}}"))


def test_every_command_of_the_package_is_in_the_table_of_how_to_run():
    rows = set(re.findall(r"^\| `sercore ([a-z]+)", (PROJECT / "book/how_to_run.md").read_text(), flags=re.M))
    assert rows == set(typer.main.get_command(app).commands)


def drawn() -> tuple[bytes, str]:
    spec = importlib.util.spec_from_file_location("picture", PROJECT / "book/picture.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.drawn()


def stale(shown: str, today: str, points: float = 2.0) -> bool:
    """Whether a text with numbers says something else than today's: other words, or a number that moved by more than `points`."""
    number = r"-?\d+\.\d+"
    values = [[float(value) for value in re.findall(number, text)] for text in (shown, today)]
    words = [re.sub(number, "n", text) for text in (shown, today)]
    return words[0] != words[1] or any(abs(a - b) > points for a, b in zip(*values, strict=True))


def test_the_picture_of_the_readme_is_of_the_stored_results():
    """A few further seeds may move a number a little; more than that, and `python book/picture.py` draws it anew."""
    picture, text = drawn()
    (shown,) = re.findall(r"!\[([^\]]+)\]\(book/_static/published_and_ours\.png\)", (PROJECT / "README.md").read_text(encoding="utf-8"))
    file = (PROJECT / "book/_static/published_and_ours.png").read_bytes()
    assert not stale(shown, text), f"run python book/picture.py: the stored results say {text}"
    assert picture[:8] == file[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(file) < 200_000


def test_a_stale_picture_is_caught():
    assert not stale("ours 52.2 (47.3, 57.1) %", "ours 52.9 (47.5, 57.0) %")
    assert stale("ours 52.2 (47.3, 57.1) %", "ours 55.2 (47.3, 57.1) %")
    assert stale("ours 52.2 (47.3, 57.1) %", "ours not run")
