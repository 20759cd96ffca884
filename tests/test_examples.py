"""Every example runs, without a key, and shows what it says it shows.

The scripts run one after another in one process of their own, because importing LiteLLM takes
longer than all of them. The endpoint is asked over real HTTP, and the notebook runs in a kernel.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import runpy
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import nbformat
import pytest
import uvicorn
from nbclient import NotebookClient

from llmroute import ModelPool, RouterChain
from llmroute.testing import Fault, ScriptedModel, ScriptedProvider
from tests.cli.test_quickstart import ROOT
from tests.conftest import KEY, WordScorer

EXAMPLES = ROOT / "examples"
SCRIPTS = (
    "agent",
    "batch_with_budget",
    "conversation",
    "graph",
    "local_model",
    "own_chat_models",
    "rag",
)
#: Runs the scripts named, and writes what each printed, or how it failed, as JSON.
RUN = """
import io, json, runpy, sys, traceback
from contextlib import redirect_stdout
printed = {}
for name in sys.argv[1:]:
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            runpy.run_path(f"{name}.py", run_name="__main__")
    except BaseException:
        said.write(traceback.format_exc())
    printed[name] = said.getvalue()
json.dump(printed, sys.stdout)
"""


def test_every_script_is_tested_here_or_needs_more_than_a_minute() -> None:
    elsewhere = {"_models", "serve", "quickstart"}
    measuring = {"benchmark", "evaluate_at_scale", "overhead"}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*SCRIPTS, *elsewhere, *measuring}


class TestScripts:
    @pytest.fixture(scope="class")
    @classmethod
    def printed(cls) -> dict[str, str]:
        kept = {n: v for n, v in os.environ.items() if not n.startswith("LLMROUTE_")}
        done = subprocess.run(
            [sys.executable, "-c", RUN, *SCRIPTS],
            cwd=EXAMPLES,
            capture_output=True,
            text=True,
            timeout=300,
            env={**kept, "PYTHONPATH": f"{EXAMPLES}{os.pathsep}{ROOT}", "PYTHONUTF8": "1"},
        )
        assert done.returncode == 0, done.stderr
        said: dict[str, str] = json.loads(done.stdout)
        return said

    @pytest.mark.parametrize("name", SCRIPTS)
    def test_runs(self, printed: dict[str, str], name: str) -> None:
        assert "Traceback" not in printed[name], printed[name]

    def test_rag_asks_the_strong_model_where_the_weak_one_gives_up(
        self, printed: dict[str, str]
    ) -> None:
        first, second = printed["rag"].split("What do I owe")
        assert "It opens at nine.\n  [small; asked: small (draft);" in first
        assert "2.50 USD" in second
        assert "[large; asked: small (draft), large (answer);" in second
        assert "I don't know" not in printed["rag"]

    def test_the_agent_calls_both_tools_and_knows_who_answered_each_step(
        self, printed: dict[str, str]
    ) -> None:
        lines = printed["agent"].splitlines()
        kinds = [line.split(":")[0].strip() for line in lines]
        assert kinds == ["human", "ai", "tool", "ai", "tool", "ai", "step 1", "step 2", "step 3"]
        assert lines[5].endswith("It is 39 °F in Oslo: wear a coat.")
        assert lines[-1].startswith("step 3: [large; asked: small (draft), large (answer);")
        assert "not sure" not in printed["agent"]

    def test_the_graph_has_the_strong_model_review(self, printed: dict[str, str]) -> None:
        assert printed["graph"].split("\n") == [
            "",
            "write (small): Bees make honey of pollen.",
            "review (large): Wrong: honey is made of nectar.",
            "write (small): Bees make honey of nectar.",
            "review (large): Good.",
            "",
        ]

    def test_the_batch_stops_within_its_budget(self, printed: dict[str, str]) -> None:
        *_, stopped, last = printed["batch_with_budget"].splitlines()
        done, of, spent, budget = (
            float(word) for word in last.split() if word.replace(".", "").isdigit()
        )
        assert stopped.startswith("stopped: ")
        assert 0 < done < of
        assert 0 < spent <= budget

    def test_a_table_answers_first_and_a_chat_model_the_rest(self, printed: dict[str, str]) -> None:
        tea, grey = printed["own_chat_models"].split("Is there caffeine")
        assert "Yes, and coffee.\n  [table; asked: table (draft); 0.000000 USD]" in tea
        assert "[large; asked: table (draft), large (answer);" in grey

    def test_the_local_model_answers_for_nothing_until_it_is_gone(
        self, printed: dict[str, str]
    ) -> None:
        here, gone = printed["local_model"].split("The local server has been stopped.")
        assert "[local; asked: local (answer); 0.000000 USD]" in here
        assert "[large; asked: large (answer);" in here
        assert "(fallback);" in gone

    def test_the_chat_goes_from_model_to_model_and_loses_nothing(
        self, printed: dict[str, str]
    ) -> None:
        said = printed["conversation"]
        assert [line[3:8] for line in said.splitlines() if line.startswith("  [")] == [
            "small",
            "large",
            "small",
        ]
        assert "Of course, Anna." in said


@pytest.mark.parametrize(("name", "questions"), [("rag", 2), ("own_chat_models", 1)])
def test_models_that_the_reader_names_are_asked(
    name: str, questions: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weak, strong = ScriptedModel("gpt-4.1-nano"), ScriptedModel("gpt-4.1")
    with ScriptedProvider([weak, strong]) as provider:
        monkeypatch.setenv("LLMROUTE_WEAK", "openai/gpt-4.1-nano")
        monkeypatch.setenv("LLMROUTE_STRONG", "openai/gpt-4.1")
        monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.syspath_prepend(str(EXAMPLES))
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        sys.modules.pop("_models")
        assert [entry.model for entry in provider.requests] == ["gpt-4.1"] * questions
    assert capsys.readouterr().out.count("stand-in answer from gpt-4.1 to:") == questions


class TestEndpoint:
    @pytest.fixture
    def app(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        monkeypatch.syspath_prepend(str(EXAMPLES))
        for name in ("LLMROUTE_WEAK", "LLMROUTE_STRONG"):
            monkeypatch.delenv(name, raising=False)
        import serve

        yield serve.app
        for name in ("serve", "_models"):
            sys.modules.pop(name)

    @pytest.fixture
    def router(self, litellm_pool: Callable[..., ModelPool], scorer: WordScorer) -> RouterChain:
        return RouterChain(pool=litellm_pool(), scorer=scorer, escalation=None)

    async def test_streams_words_and_then_the_record(self, app: Any) -> None:
        async with served(app) as client:
            events = [event async for event in asked(client, "Who wrote Hamlet?")]
        assert [name for name, _ in events] == ["words"] * (len(events) - 1) + ["record"]
        assert len(events) > 5
        assert "Who wrote Hamlet" in "".join(data for _, data in events[:-1])
        assert events[-1][1]["answered_by"] == "small"
        assert events[-1][1]["cost_usd"] > 0

    async def test_is_an_error_when_no_model_answers(
        self, app: Any, router: RouterChain, provider: ScriptedProvider
    ) -> None:
        for model in router.pool.names:
            provider.fail(model, Fault.server_error(), times=None)
        async with served(app) as client:
            app.state.router = router
            response = await client.post("/answers", json={"text": "Who wrote Hamlet?"})
        assert response.status_code == 503
        assert "small" in response.json()["detail"]

    async def test_tells_of_an_answer_that_broke_off(
        self, app: Any, router: RouterChain, provider: ScriptedProvider
    ) -> None:
        provider.fail("small", Fault.cut_stream(after=3))
        async with served(app) as client:
            app.state.router = router
            events = [event async for event in asked(client, "Who wrote Hamlet?")]
        assert [name for name, _ in events] == ["words"] * (len(events) - 1) + ["error"]
        assert "".join(data for _, data in events[:-1])


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The app behind a real server on a free port of loopback."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        await running


async def asked(client: httpx.AsyncClient, text: str) -> AsyncIterator[tuple[str, Any]]:
    async with client.stream("POST", "/answers", json={"text": text}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        name = ""
        async for line in response.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def test_the_notebook_runs_and_its_outputs_are_what_it_prints() -> None:
    stored = nbformat.read(EXAMPLES / "tour.ipynb", as_version=4)
    fresh = copy.deepcopy(stored)
    where: dict[str, Any] = {"metadata": {"path": str(EXAMPLES)}}
    NotebookClient(fresh, timeout=300, kernel_name="python3", resources=where).execute()
    shown = [shown_by(cell) for cell in fresh.cells]
    stale = "run `jupyter execute --inplace examples/tour.ipynb`"
    assert shown == [shown_by(cell) for cell in stored.cells], stale


def shown_by(cell: Any) -> list[Any]:
    """A cell's outputs; of pictures only that they are there."""
    outputs = cell.get("outputs", ())
    return [
        o.get("text") or {k: v for k, v in o["data"].items() if "image" not in k} for o in outputs
    ]
