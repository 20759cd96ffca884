"""What the suites need beside a model: a provider with more to tell, and files to send."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_anthropic import ChatAnthropic

from llmroute import Capabilities, Model, ModelPool
from llmroute.testing import ScriptedModel, ScriptedProvider
from tests.conftest import KEY, PRICES
from tests.standard.media import write_media
from tests.standard.prompts import reply


@pytest.fixture(scope="session")
def _running_provider() -> Iterator[ScriptedProvider]:
    models = [
        ScriptedModel(name, input_price=paid, output_price=earned, reply=reply)
        for name, (paid, earned) in PRICES.items()
    ]
    with ScriptedProvider(models) as running:
        yield running


@pytest.fixture
def anthropic_pool(provider: ScriptedProvider) -> Callable[..., ModelPool]:
    """Makes a pool of ChatAnthropic members, which speak another protocol with the same models."""
    at = {"base_url": provider.anthropic_url, "api_key": KEY, "max_retries": 0, "timeout": 5}

    def make(*names: str) -> ModelPool:
        return ModelPool(
            [
                Model(
                    name,
                    chat_model=ChatAnthropic(model=name, **at),
                    input_price=PRICES[name][0],
                    output_price=PRICES[name][1],
                    capabilities=Capabilities(audio=False),
                )
                for name in names or PRICES
            ]
        )

    return make


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small valid file of each kind."""
    folder = tmp_path_factory.mktemp("media")
    write_media(folder)
    return folder


@pytest.fixture(autouse=True)
def _fetches_are_local(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suites download their pictures, sounds and documents: here they come from the folder."""

    def read(url: str, **_: Any) -> httpx.Response:
        return httpx.Response(200, content=(media / f"media{Path(url).suffix}").read_bytes())

    monkeypatch.setattr(httpx, "get", read)
    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "llmroute's tests, which fetch nothing")


@pytest.fixture(scope="module")
def vcr_config() -> dict[str, Any]:
    """The streaming test runs live: calls to loopback are neither recorded nor replayed."""
    return {"ignore_localhost": True}
