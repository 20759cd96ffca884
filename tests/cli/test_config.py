"""`--config`: a router's file on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmroute import RouterChain
from llmroute.testing import ScriptedProvider
from tests.cli.conftest import Run
from tests.conftest import KEY

HARD = "Find the remainder when the sum of k·k! for k from 1 to 100 is divided by 101."


@pytest.fixture
def config(tmp_path: Path, provider: ScriptedProvider) -> Path:
    """A pool whose key stands in a variable that is not set."""
    path = tmp_path / "router.yaml"
    path.write_text(
        f"""format: 1
pool:
  - {{name: cheap, model: openai/small, input_price: 0.1, output_price: 0.4,
     api_key_env: CONFIG_TEST_KEY, api_base: {provider.base_url}}}
  - {{name: dear, model: openai/big, input_price: 2, output_price: 8,
     api_key_env: CONFIG_TEST_KEY, api_base: {provider.base_url}}}
policy: {{name: CheapestAbove, quality: 0}}
""",
        encoding="utf-8",
    )
    return path


def test_decide_takes_it_and_needs_no_key(
    run: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONFIG_TEST_KEY", raising=False)
    result = run("decide", HARD, "--config", str(config), "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    monkeypatch.setenv("CONFIG_TEST_KEY", KEY)
    expected = RouterChain.from_file(config).decide(HARD).to_json()
    assert record["policy"] == {"name": "CheapestAbove", "quality": 0.0}
    assert (record["chosen"], record["estimates"]) == (expected["chosen"], expected["estimates"])


def test_ask_asks_with_the_key_of_the_environment(
    run: Run, config: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFIG_TEST_KEY", KEY)
    result = run("ask", "hello", "--config", str(config))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("stand-in answer from small to: hello")
    assert result.stderr.startswith("cheap · ")
    assert provider.requests[-1].headers["authorization"] == f"Bearer {KEY}"


def test_ask_without_that_key_says_which_and_asks_nobody(
    run: Run, config: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONFIG_TEST_KEY", raising=False)
    result = run("ask", "hello", "--config", str(config))
    assert result.exit_code == 1
    assert f"Error: {config}:4:6: pool[0].api_key_env: " in result.stderr
    assert not provider.requests


def test_a_mistake_in_the_file_is_one_clean_line(run: Run, config: Path) -> None:
    config.write_text(config.read_text().replace("quality: 0", "quality: 2"), encoding="utf-8")
    result = run("decide", "hello", "--config", str(config))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {config}:7:31: policy.quality: ")
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "beside", [("-m", "x"), ("--quality", "0.9"), ("--scorer", "static"), ("--escalation", "none")]
)
def test_nothing_else_describes_the_router_then(
    run: Run, config: Path, beside: tuple[str, str]
) -> None:
    result = run("decide", "hello", "--config", str(config), *beside)
    assert result.exit_code == 2
    assert "--config describes the whole router" in result.stderr


def test_a_model_without_a_price_says_how_to_state_it_there(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "router.json"
    path.write_text('{"format": 1, "pool": ["nobody/knows-it", "openai/gpt-4.1"]}')
    shown = " ".join(run("decide", "hello", "--config", str(path)).stdout.split())
    assert "input_price and output_price" in shown
