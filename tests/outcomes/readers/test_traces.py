import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langsmith.schemas import Run

from llmroute.errors import ConfigurationError
from llmroute.evaluation import Outcomes
from llmroute.outcomes.columns import Rows
from llmroute.outcomes.readers.traces import find_traces, read_traces
from llmroute.outcomes.table import Wanted

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
SPACE = UUID(int=7)


def save(folder: Path, document: Any, name: str = "export.json") -> Path:
    path = folder / name
    rows = [document] if not isinstance(document, list) else document
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(lines if name.endswith("l") else json.dumps(document))
    return path


def run(name: str, **fields: Any) -> dict[str, Any]:
    """A LangSmith run, as the SDK's own type writes it to JSON."""
    given = {
        "name": "ChatOpenAI",
        "run_type": "llm",
        "start_time": START,
        "end_time": START + timedelta(seconds=1.5),
        "trace_id": uuid5(SPACE, name),
        **fields,
    }
    return json.loads(Run(id=uuid5(SPACE, name), **given).model_dump_json())


def chat(name: str, question: str, model: str, score: float | None, **fields: Any) -> Any:
    """A LangSmith run of a LangChain chat model."""
    feedback = {} if score is None else {"correct": {"n": 1, "avg": score}}
    return run(
        name,
        **{
            "inputs": {
                "messages": [[dumpd(SystemMessage("Be brief")), dumpd(HumanMessage(question))]]
            },
            "outputs": {"generations": [[{"text": "", "message": dumpd(AIMessage("Yes."))}]]},
            "extra": {"metadata": {"ls_model_name": model, "ls_provider": "openai"}},
            "feedback_stats": feedback,
            **fields,
        },
    )


def generation(name: str, question: Any, model: str, **fields: Any) -> dict[str, Any]:
    """A Langfuse observation, as its API returns it."""
    return {
        "id": name,
        "traceId": f"trace of {name}",
        "type": "GENERATION",
        "model": model,
        "input": question,
        "output": {"role": "assistant", "content": "Yes."},
        "startTime": "2026-01-01T12:00:00.000Z",
        "endTime": "2026-01-01T12:00:02.5Z",
        "usageDetails": {"input": 10, "input_cached_tokens": 5, "output": 3, "total": 18},
        "costDetails": {"input": 0.001, "output": 0.002, "total": 0.003},
        "calculatedTotalCost": 0.003,
        **fields,
    }


def score(name: str, value: Any, **fields: Any) -> dict[str, Any]:
    return {"name": name, "value": value, "dataType": "NUMERIC", **fields}


def grid(o: Outcomes) -> list[list[float]]:
    return o.score.tolist()


class TestLangSmith:
    def test_runs_of_chat_models_become_outcomes(self, tmp_path: Path) -> None:
        usage = {"total_cost": "0.0125", "prompt_tokens": 11, "completion_tokens": 4}
        runs = [
            chat("1", "Is it?", "gpt-4.1", 1.0, **usage),
            chat("2", "Is it?", "gpt-4.1-nano", 0.25, **usage),
        ]
        o = Outcomes.read(save(tmp_path, runs), responses=True)
        assert o.prompts == ("Be brief\n\nIs it?",)
        assert o.models == ("gpt-4.1", "gpt-4.1-nano")
        assert grid(o) == [[1.0, 0.25]]
        numbers = (o.cost, o.prompt_tokens, o.completion_tokens, o.latency)
        assert [n[0, 0] for n in numbers if n is not None] == [0.0125, 11.0, 4.0, 1.5]
        assert o.responses is not None
        assert o.responses.tolist() == [["Yes.", "Yes."]]
        assert o.source == "export"

    def test_jsonl_reads_the_same(self, tmp_path: Path) -> None:
        runs = [chat("1", "Is it?", "a", 1.0), chat("2", "Was it?", "a", 0.0)]
        as_list = Outcomes.read(save(tmp_path, runs))
        as_lines = Outcomes.read(save(tmp_path, runs, "export.jsonl"))
        as_page = Outcomes.read(save(tmp_path, {"runs": runs}))
        assert grid(as_list) == grid(as_lines) == grid(as_page) == [[1.0], [0.0]]

    @pytest.mark.parametrize(
        ("inputs", "text"),
        [
            ({"messages": [{"role": "user", "content": "Q"}], "model": "m"}, "Q"),
            ({"messages": [["human", "Q"]]}, "Q"),
            ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Q"}]}]}, "Q"),
            ({"input": "Q"}, "Q"),
            ({"prompts": ["Q"]}, "Q"),
            ({"anything": "Q"}, "Q"),
            ({"input": {"messages": [{"role": "user", "content": "Q"}]}}, "Q"),
            (
                {
                    "messages": [
                        {"role": "user", "content": "A"},
                        {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]},
                        {"role": "user", "content": '{"not": "opened"}'},
                    ]
                },
                'A\n\n{"not": "opened"}',
            ),
        ],
    )
    def test_inputs_have_many_shapes(self, tmp_path: Path, inputs: Any, text: str) -> None:
        path = save(tmp_path, [chat("1", "", "m", 1.0, inputs=inputs)])
        assert Outcomes.read(path).prompts == (text,)

    @pytest.mark.parametrize(
        ("outputs", "text"),
        [
            ({"choices": [{"message": {"role": "assistant", "content": "A"}}]}, "A"),
            ({"output": "A"}, "A"),
            ({"role": "assistant", "content": "A"}, "A"),
            ({}, None),
        ],
    )
    def test_outputs_have_many_shapes(self, tmp_path: Path, outputs: Any, text: str | None) -> None:
        path = save(tmp_path, [chat("1", "Q", "m", 1.0, outputs=outputs)])
        responses = Outcomes.read(path, responses=True).responses
        assert responses is not None
        assert responses.tolist() == [[text]]

    def test_the_models_name_may_stand_in_its_parameters(self, tmp_path: Path) -> None:
        extra = {"invocation_params": {"model": "gpt-4o"}}
        assert Outcomes.read(save(tmp_path, [chat("1", "Q", "", 1.0, extra=extra)])).models == (
            "gpt-4o",
        )

    def test_tokens_may_stand_in_the_usage(self, tmp_path: Path) -> None:
        usage = {"input_tokens": 100, "output_tokens": 20}
        extra = {"metadata": {"ls_model_name": "gpt-4o-mini", "usage_metadata": usage}}
        o = Outcomes.read(save(tmp_path, [chat("1", "Q", "", 1.0, extra=extra)]))
        assert o.prompt_tokens is not None
        assert o.prompt_tokens.item() == 100
        assert o.cost is not None  # at list prices, because the run states none

    def test_feedback_on_a_trace_counts_for_its_only_model_call(self, tmp_path: Path) -> None:
        root = run(
            "root",
            run_type="chain",
            inputs={"input": "outer"},
            feedback_stats={"correct": {"n": 2, "avg": 0.5}},
        )
        child = chat("c", "Q", "m", None, trace_id=root["id"], parent_run_id=root["id"])
        assert grid(Outcomes.read(save(tmp_path, [root, child]))) == [[0.5]]
        nested = {**root, "child_runs": [{**child, "trace_id": None}]}
        assert grid(Outcomes.read(save(tmp_path, [nested]))) == [[0.5]]

    def test_of_two_model_calls_neither_gets_the_traces_feedback(self, tmp_path: Path) -> None:
        root = run("root", run_type="chain", feedback_stats={"correct": {"n": 1, "avg": 1.0}})
        place = {"trace_id": root["id"], "parent_run_id": root["id"]}
        calls = [chat("1", "Q", "m", None, **place), chat("2", "R", "m", None, **place)]
        with pytest.raises(ConfigurationError, match="none of its 2 model calls has a numeric"):
            Outcomes.read(save(tmp_path, [root, *calls]))

    def test_a_root_run_that_names_its_model_is_a_call(self, tmp_path: Path) -> None:
        path = save(tmp_path, [chat("1", "Q", "m", 1.0, run_type="chain")])
        assert grid(Outcomes.read(path)) == [[1.0]]

    def test_runs_that_cannot_be_used_are_left_out_and_counted(self, tmp_path: Path) -> None:
        runs = [
            chat("1", "Q", "m", 1.0),
            chat("2", "R", "m", None),
            chat("3", "Q", "m", 0.0),
            chat("4", "S", "", 1.0, extra={}),
            chat("5", "", "m", 1.0, inputs={}),
        ]
        said = (
            "of 5 model calls 4 are left out: 1 without the score 'correct', 2 without a text or "
            "a model's name, 1 that repeat a prompt and model"
        )
        with pytest.warns(UserWarning, match=said):
            assert grid(Outcomes.read(save(tmp_path, runs))) == [[1.0]]

    def test_with_several_scores_one_must_be_named(self, tmp_path: Path) -> None:
        feedback = {"correct": {"avg": 1.0}, "stars": {"avg": 0.5}, "words": {"avg": None}}
        path = save(tmp_path, [chat("1", "Q", "m", None, feedback_stats=feedback)])
        with pytest.raises(ConfigurationError, match=r"'correct' \(1 calls\), 'stars' \(1 calls\)"):
            Outcomes.read(path)
        with pytest.raises(ConfigurationError, match="no score 'words'; it has 'correct'"):
            Outcomes.read(path, score_name="words")
        assert grid(Outcomes.read(path, score_name="stars")) == [[0.5]]

    def test_a_score_out_of_range_is_named_by_its_run(self, tmp_path: Path) -> None:
        runs = [chat("1", "private", "m", 1.0), chat("2", "other", "m", 4.0)]
        with pytest.raises(ConfigurationError, match=r"entry 2: score is 4; 0\.\.1"):
            Outcomes.read(save(tmp_path, runs))
        with pytest.raises(ConfigurationError, match="line 2: score is 4") as caught:
            Outcomes.read(save(tmp_path, runs, "export.jsonl"))
        assert "private" not in str(caught.value)

    def test_an_export_without_model_calls_says_what_to_export(self, tmp_path: Path) -> None:
        path = save(tmp_path, [run("1", run_type="chain"), run("2", run_type="tool")])
        with pytest.raises(ConfigurationError, match=r"no model call in its 2 entries.*type llm"):
            Outcomes.read(path)

    def test_fields_may_be_json_inside_of_texts(self, tmp_path: Path) -> None:
        flat = {
            key: json.dumps(value) if isinstance(value, dict) else value
            for key, value in chat("1", "Q", "m", 1.0).items()
        }
        assert Outcomes.read(save(tmp_path, [flat])).prompts == ("Be brief\n\nQ",)

    @pytest.mark.parametrize(
        ("start", "end", "seconds"),
        [
            ("2026-01-01T12:00:00", "2026-01-01T12:00:01", 1.0),
            ("2026-01-01T12:00:00.1Z", "2026-01-01T14:00:00.1234567+02:00", 0.023456),
            ("2026-01-01 12:00:00.500000", "2026-01-01 12:00:02+0000", 1.5),
            (1_700_000_000_000, 1_700_000_000_250, 0.25),
            ("2026-01-01T12:00:01", "2026-01-01T12:00:00", None),
            ("2026-01-01T12:00:01", "2026-99-01T12:00:00", None),
            ("yesterday", "2026-01-01T12:00:01", None),
            (None, None, None),
        ],
    )
    def test_times_have_many_shapes(
        self, tmp_path: Path, start: Any, end: Any, seconds: float | None
    ) -> None:
        entry = {**chat("1", "Q", "m", 1.0), "start_time": start, "end_time": end}
        latency = Outcomes.read(save(tmp_path, [entry])).latency
        if seconds is None:
            assert latency is None
        else:
            assert latency is not None
            assert latency.item() == pytest.approx(seconds)


class TestLangfuse:
    def test_observations_with_their_scores(self, tmp_path: Path) -> None:
        entries = [
            generation("1", "Q", "big", scores=[score("ok", 1)]),
            generation("2", [{"role": "user", "content": "Q"}], "small", scores=[score("ok", 0)]),
            {"id": "3", "traceId": "t", "type": "SPAN", "input": "x"},
        ]
        o = Outcomes.read(save(tmp_path, {"data": entries, "meta": {"page": 1}}), responses=True)
        assert o.prompts == ("Q",)
        assert o.models == ("big", "small")
        assert grid(o) == [[1.0, 0.0]]
        numbers = (o.cost, o.prompt_tokens, o.completion_tokens, o.latency)
        assert [n[0, 0] for n in numbers if n is not None] == [0.003, 15.0, 3.0, 2.5]
        assert o.responses is not None
        assert o.responses.tolist() == [["Yes.", "Yes."]]

    def test_traces_with_their_observations(self, tmp_path: Path) -> None:
        observation = generation("o", {"messages": [{"role": "user", "content": "Q"}]}, "m")
        trace = {
            "id": "trace of o",
            "observations": [observation],
            "scores": [score("ok", 0.75), score("words", None), score("ok", 9, observationId="x")],
        }
        assert grid(Outcomes.read(save(tmp_path, trace))) == [[0.75]]
        assert grid(Outcomes.read(save(tmp_path, {"traces": [trace]}))) == [[0.75]]

    def test_an_observations_own_score_goes_before_its_traces(self, tmp_path: Path) -> None:
        trace = {
            "id": "trace of o",
            "observations": [generation("o", "Q", "m")],
            "scores": [score("ok", 0.0, observationId=None), score("ok", 1.0, observationId="o")],
        }
        assert grid(Outcomes.read(save(tmp_path, [trace]))) == [[1.0]]

    def test_of_two_generations_neither_gets_the_traces_score(self, tmp_path: Path) -> None:
        same = {"traceId": "t"}
        calls = [generation("1", "Q", "m", **same), generation("2", "R", "m", **same)]
        trace = {"id": "t", "observations": calls, "scores": [score("ok", 1)]}
        with pytest.raises(ConfigurationError, match="none of its 2 model calls"):
            Outcomes.read(save(tmp_path, [trace]))

    def test_the_blob_export_is_in_snake_case_with_scores_apart(self, tmp_path: Path) -> None:
        observation = {
            "id": "o",
            "trace_id": "t",
            "type": "GENERATION",
            "provided_model_name": "m",
            "input": json.dumps([{"role": "user", "content": "Q"}]),
            "usage_details": {"input": 7, "output": 2},
            "cost_details": {"total": 0.5},
            "start_time": "2026-01-01 12:00:00.000000",
            "end_time": "2026-01-01 12:00:01.000000",
        }
        scores = [{"name": "ok", "value": 0.5, "trace_id": "t", "observation_id": None}]
        o = Outcomes.read(save(tmp_path, {"observations": [observation], "scores": scores}))
        assert o.prompts == ("Q",)
        assert grid(o) == [[0.5]]
        assert o.cost is not None
        assert o.cost.item() == 0.5

    def test_a_row_of_the_ui_export_has_each_score_as_a_key(self, tmp_path: Path) -> None:
        entry = generation("1", "Q", "m", ok=[0.5, 1.0], tags=["a"], words=["good"], other=None)
        assert grid(Outcomes.read(save(tmp_path, [entry], "rows.jsonl"))) == [[0.75]]

    def test_a_prompt_that_looks_like_json_stays_a_prompt(self, tmp_path: Path) -> None:
        path = save(tmp_path, [generation("1", '{"a": 1, "b": 2}', "m", scores=[score("ok", 1)])])
        assert Outcomes.read(path).prompts == ('{"a": 1, "b": 2}',)

    def test_the_list_of_traces_says_that_observations_are_missing(self, tmp_path: Path) -> None:
        trace = {"id": "t", "observations": ["id of one"], "scores": ["id of another"]}
        with pytest.raises(ConfigurationError, match="observations of type GENERATION"):
            Outcomes.read(save(tmp_path, {"data": [trace]}))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
RUN = chat("1", "Q", "m", 1.0, total_cost=0.5)
OBSERVATION = generation("1", "Q", "m", scores=[score("ok", 1)], metadata={})


@pytest.mark.filterwarnings("ignore:.*are left out")
@given(st.sampled_from([RUN, OBSERVATION]), st.data())
def test_fields_of_any_kind_are_read_or_refused_with_a_reason(entry: Any, data: Any) -> None:
    fields = data.draw(st.lists(st.sampled_from(sorted({*entry} - {"id"})), min_size=1, max_size=4))
    changed = {**entry, "id": "2", **{name: data.draw(anything) for name in fields}}
    found = find_traces([entry, changed])
    assert found is not None
    try:
        o = read_traces(found, "made up", Rows("entry"), Wanted())
    except ConfigurationError:
        return
    assert "Q" in o.prompts or "Be brief\n\nQ" in o.prompts


def test_what_one_model_costs_must_be_known_of_the_others(tmp_path: Path) -> None:
    runs = [chat("1", "Q", "a", 1.0, total_cost=0.5), chat("2", "Q", "b", 1.0)]
    with pytest.raises(ConfigurationError, match="no cost is known of 'b'"):
        Outcomes.read(save(tmp_path, runs))


def test_prompts_of_traces_fall_on_one_side_each(tmp_path: Path) -> None:
    runs = [chat(str(i), f"Question {i}", "m", 1.0) for i in range(30)]
    path = save(tmp_path, runs)
    sides: Sequence[Outcomes] = (Outcomes.read(path, "train"), Outcomes.read(path, "test"))
    assert sum(map(len, sides)) == 30
    assert not set(sides[0].prompts) & set(sides[1].prompts)
    assert np.isfinite(sides[0].score).all()
