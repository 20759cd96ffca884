import csv
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmroute.backends.prices import lookup
from llmroute.errors import ConfigurationError
from llmroute.evaluation import Outcomes
from llmroute.outcomes.assemble import assemble, id_of, side_of

HEAD = "prompt,model,score\n"
SECRET = "my own private question"


def log(folder: Path, text: str | bytes, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def lines(folder: Path, *rows: object, name: str = "log.jsonl") -> Path:
    return log(folder, "".join(json.dumps(row) + "\n" for row in rows), name)


def fault(path: Path) -> str:
    """The error text that reading ends with; it never holds a prompt."""
    with pytest.raises(ConfigurationError) as caught:
        Outcomes.read(path)
    assert SECRET not in str(caught.value)
    return str(caught.value)


class TestWhatIsRead:
    def test_a_csv_file_becomes_a_grid(self, tmp_path: Path) -> None:
        o = Outcomes.read(
            log(
                tmp_path,
                "prompt,model,score,cost_usd,prompt_tokens,completion_tokens,latency_s,category\n"
                "one,big,1,0.02,10,5,1.5,maths\n"
                '"two,\nlines",big,true,0.03,12,6,2.5,text\n'
                "one,small,0.25,0.01,10,7,,maths\n",
            )
        )
        assert o.prompts == ("one", "two,\nlines")
        assert o.categories == ("maths", "text")
        assert o.models == ("big", "small")
        assert o.source == "log"
        np.testing.assert_array_equal(o.score, [[1.0, 0.25], [1.0, np.nan]])
        np.testing.assert_array_equal(o.cost, [[0.02, 0.01], [0.03, np.nan]])
        np.testing.assert_array_equal(o.prompt_tokens, [[10, 10], [12, np.nan]])
        np.testing.assert_array_equal(o.latency, [[1.5, np.nan], [2.5, np.nan]])
        assert o.responses is None

    def test_jsonl_and_tsv_and_a_json_list_say_the_same(self, tmp_path: Path) -> None:
        rows = [
            {"prompt": "one", "model": "big", "score": True, "cost_usd": 0.02},
            {"prompt": "one", "model": "small", "score": 0.25, "cost_usd": 0},
        ]
        a = Outcomes.read(lines(tmp_path, *rows))
        b = Outcomes.read(log(tmp_path, json.dumps(rows), "log.json"))
        tsv = "prompt\tmodel\tscore\tcost_usd\none\tbig\tTRUE\t0.02\none\tsmall\t0.25\t0\n"
        c = Outcomes.read(log(tmp_path, tsv, "log.tsv"))
        for o in (a, b, c):
            assert (o.prompts, o.models) == (("one",), ("big", "small"))
            np.testing.assert_array_equal(o.score, [[1.0, 0.25]])
            np.testing.assert_array_equal(o.cost, [[0.02, 0.0]])

    @pytest.mark.parametrize(
        ("other", "column"),
        [
            ("input", "prompt"),
            ("Question", "prompt"),
            ("model_name", "model"),
            ("correct", "score"),
        ],
    )
    def test_columns_go_by_other_names(self, tmp_path: Path, other: str, column: str) -> None:
        head = HEAD.strip().replace(column, other)
        assert Outcomes.read(log(tmp_path, f" {head} \np,m,1\n")).score.tolist() == [[1.0]]

    def test_costs_latencies_and_tokens_go_by_other_names(self, tmp_path: Path) -> None:
        head = "prompt,model,score,cost,latency_ms,input_tokens,output_tokens,output,confidence\n"
        path = log(tmp_path, head + "p,m,1,0.5,1500,7,8,the answer,0.9\n")
        o = Outcomes.read(path, responses=True)
        numbers = (o.cost, o.latency, o.prompt_tokens, o.completion_tokens, o.confidence)
        assert [n.item() for n in numbers if n is not None] == [0.5, 1.5, 7.0, 8.0, 0.9]
        assert o.responses is not None
        assert o.responses.tolist() == [["the answer"]]

    def test_a_columns_own_name_goes_before_another(self, tmp_path: Path) -> None:
        path = lines(tmp_path, {"prompt": "p", "input": "x", "model": "m", "score": 1})
        assert Outcomes.read(path).prompts == ("p",)

    def test_any_column_can_be_the_score(self, tmp_path: Path) -> None:
        path = log(tmp_path, "prompt,model,score,Judge A\np,m,0,0.5\n")
        assert Outcomes.read(path).score.tolist() == [[0.0]]
        assert Outcomes.read(path, score_name="judge a").score.tolist() == [[0.5]]
        with pytest.raises(ConfigurationError, match="no column judge b; it has"):
            Outcomes.read(path, score_name="judge b")

    @pytest.mark.parametrize("kind", ["csv", "json"])
    def test_the_examples_of_the_documentation(self, tmp_path: Path, kind: str) -> None:
        page = (Path(__file__).parents[3] / "docs" / "outcomes.md").read_text("utf-8")
        example = page.split(f"```{kind}\n")[1].split("```")[0]
        o = Outcomes.read(log(tmp_path, example, "log.csv" if kind == "csv" else "log.jsonl"))
        assert o.models[-1] == "gpt-4.1-nano"
        assert o.cost is not None

    def test_columns_nobody_knows_are_passed_over(self, tmp_path: Path) -> None:
        assert len(Outcomes.read(log(tmp_path, "id,prompt,model,score\n7,p,m,1\n"))) == 1

    def test_long_cells_blank_lines_and_a_byte_order_mark_are_fine(self, tmp_path: Path) -> None:
        limit = csv.field_size_limit()
        long = "word " * 50_000
        path = log(tmp_path, b"\xef\xbb\xbf" + f"{HEAD}\n{long},m,1\n\n".encode())
        assert Outcomes.read(path).prompts == (long,)
        assert csv.field_size_limit() == limit

    def test_columns_without_any_number_are_none(self, tmp_path: Path) -> None:
        path = log(tmp_path, "prompt,model,score,cost_usd,latency_s\np,m,1,,nan\n")
        o = Outcomes.read(path)
        assert o.cost is None
        assert o.latency is None

    def test_a_prompt_is_known_by_its_id(self, tmp_path: Path) -> None:
        rows = [
            {"prompt": "same", "prompt_id": i, "model": m, "score": 1} for i in (1, 2) for m in "ab"
        ]
        o = Outcomes.read(lines(tmp_path, *rows))
        assert o.prompt_ids == ("1", "2")
        assert o.prompts == ("same", "same")

    def test_without_an_id_its_text_makes_one(self, tmp_path: Path) -> None:
        o = Outcomes.read(log(tmp_path, HEAD + "p,a,1\nq,a,1\np,b,1\n"))
        assert o.prompt_ids == (id_of("p"), id_of("q"))
        assert len(id_of("p")) == 16

    def test_half_of_a_surrogate_pair_is_no_obstacle(self, tmp_path: Path) -> None:
        path = log(tmp_path, r'{"prompt": "\ud800", "model": "m", "score": 1}', "log.jsonl")
        assert len(Outcomes.read(path)) == 1


class TestSplits:
    def test_a_stated_split_is_kept(self, tmp_path: Path) -> None:
        path = log(tmp_path, "prompt,model,score,split\na,m,1,train\nb,m,1,test\nc,m,1,exclude\n")
        assert Outcomes.read(path, "train").prompts == ("a",)
        assert Outcomes.read(path, "test").prompts == ("b",)
        assert Outcomes.read(path).prompts == ("a", "b")

    def test_otherwise_the_question_decides(self, tmp_path: Path) -> None:
        questions = [f"Question {i}" for i in range(400)]
        path = lines(tmp_path, *({"prompt": q, "model": "m", "score": 1} for q in questions))
        train, test = Outcomes.read(path, "train"), Outcomes.read(path, "test")
        assert sorted(train.prompts + test.prompts) == sorted(questions)
        assert 150 < len(test) < 250

    def test_sides_stay_what_they_are(self) -> None:
        """These came out once; a change would move questions between the sides."""
        assert [side_of(f"Question {i}") for i in range(6)] == EXPECTED_SIDES

    @given(st.text(), st.sampled_from(["lower", "upper", "title"]))
    def test_case_and_white_space_do_not_matter(self, text: str, how: str) -> None:
        if text.lower().upper().lower() == text.lower():  # not so of every letter there is
            spaced = f"  {getattr(text, how)()}\n".replace(" ", " \t ")
            if spaced.lower().split() == text.lower().split():
                assert side_of(spaced) == side_of(text)

    def test_a_side_without_prompts_is_an_error(self, tmp_path: Path) -> None:
        path = log(tmp_path, "prompt,model,score,split\na,m,1,train\n")
        with pytest.raises(ConfigurationError, match="no prompt with split 'test', of 1"):
            Outcomes.read(path, "test")


EXPECTED_SIDES = ["train", "train", "test", "test", "train", "test"]


class TestPrices:
    def test_tokens_are_priced_when_no_cost_is_stated(self, tmp_path: Path) -> None:
        facts = lookup("gpt-4o-mini")
        rows = [
            {
                "prompt": SECRET,
                "model": m,
                "score": 1,
                "prompt_tokens": 1000,
                "completion_tokens": 10,
            }
            for m in ("gpt-4o", "gpt-4o-mini")
        ]
        o = Outcomes.read(lines(tmp_path, *rows))
        assert o.cost is not None
        expected = (1000 * facts["input_price"] + 10 * facts["output_price"]) / 1e6
        assert o.cost[0, 1] == pytest.approx(expected)
        assert o.cost[0, 0] > o.cost[0, 1]

    def test_of_models_nobody_knows_there_is_no_cost(self, tmp_path: Path) -> None:
        head = "prompt,model,score,prompt_tokens,completion_tokens\n"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert Outcomes.read(log(tmp_path, head + "p,mine,1,5,5\n")).cost is None

    def test_one_unknown_model_leaves_all_costs_out_and_says_so(self, tmp_path: Path) -> None:
        head = "prompt,model,score,prompt_tokens,completion_tokens\n"
        path = log(tmp_path, head + "p,mine,1,5,5\np,gpt-4o,1,5,5\n")
        with pytest.warns(UserWarning, match="no token count for 'mine'"):
            assert Outcomes.read(path).cost is None

    def test_a_model_without_any_cost_is_named(self, tmp_path: Path) -> None:
        text = fault(log(tmp_path, "prompt,model,score,cost\np,a,1,0.5\np,b,1,\nq,b,0,\n"))
        assert "no cost is known of 'b', but of other models it is" in text
        assert "0 for a free model" in text


class TestFaults:
    @pytest.mark.parametrize(
        ("row", "said"),
        [
            (f"{SECRET},m,good", "line 2: score is 'good', which is not a number. 0..1, true"),
            (f"{SECRET},m,", "line 2: score is empty"),
            (f"{SECRET},m,nan", "line 2: score is empty"),
            (f"{SECRET},m,1.5", r"line 2: score is 1.5; 0..1 was expected. Scale the scores"),
            (f"{SECRET},m,inf", "line 2: score is inf"),
            (f" ,m,{SECRET}", "line 2: prompt is empty; every row needs one"),
            (f"{SECRET},,1", "line 2: model is empty"),
            (f"{SECRET},m", "line 2: 2 cells, where the header has 3"),
            (f"{SECRET},m,1,2", "line 2: 4 cells, where the header has 3"),
            (f'"{SECRET},m,1', "line 2: unexpected end of data. Is a quotation mark missing"),
            (f'"{SECRET}"x,m,1', "line 2: ',' expected after '\"'"),
        ],
    )
    def test_a_row_at_fault_is_named(self, tmp_path: Path, row: str, said: str) -> None:
        assert said in fault(log(tmp_path, f"{HEAD}{row}\n"))

    @pytest.mark.parametrize(
        ("column", "value", "said"),
        [
            ("cost_usd", "-0.1", "cost_usd is -0.1; a finite number, 0 or more, was expected"),
            ("cost_usd", "1,5", "cost_usd is '1,5', which is not a number. Correct it"),
            ("prompt_tokens", "-1", "prompt_tokens is -1"),
            ("latency_s", "inf", "latency_s is inf"),
            ("cost_usd", "true", "cost_usd is 'true', which is not a number"),
            ("confidence", "-0.5", "confidence is -0.5; 0..1 was expected. Give a probability"),
            ("split", "validation", "split is 'validation'; 'train', 'test', 'exclude'"),
            ("split", "", "split is empty"),
            ("prompt_id", "", "prompt_id is empty"),
        ],
    )
    def test_other_columns_are_checked_too(
        self, tmp_path: Path, column: str, value: str, said: str
    ) -> None:
        path = log(tmp_path, f'prompt,model,score,{column}\n{SECRET},m,1,"{value}"\n')
        assert f"line 2: {said}" in fault(path)

    def test_lines_are_counted_as_an_editor_does(self, tmp_path: Path) -> None:
        text = HEAD + '"two\nlines",m,1\n\nfour,m,1\nfive,m,bad\n'
        assert "line 6: score is 'bad'" in fault(log(tmp_path, text))

    def test_several_faults_are_told_in_order_and_the_rest_counted(self, tmp_path: Path) -> None:
        rows = "".join(
            f"q{i},{'m' if i % 2 else ''},{'1' if i % 3 else 'bad'}\n" for i in range(20)
        )
        text = fault(log(tmp_path, HEAD + rows))
        told = [line.split(":")[0].strip() for line in text.splitlines()[1:-1]]
        assert told == ["line 2", "line 2", "line 4", "line 5", "line 6"]
        assert text.endswith("… and 12 more of such faults")

    def test_a_repeated_pair_is_named_with_both_rows(self, tmp_path: Path) -> None:
        text = fault(log(tmp_path, f"{HEAD}{SECRET},m,1\nq,m,1\n{SECRET},m,0\n"))
        assert "line 4: model 'm' has answered the prompt of line 2 already" in text

    def test_one_id_has_one_text_one_category_and_one_split(self, tmp_path: Path) -> None:
        head = "prompt_id,prompt,model,score,category,split\n"
        rows = f"1,{SECRET},a,1,x,train\n1,{SECRET}?,b,1,x,train\n1,{SECRET},c,1,y,test\n"
        text = fault(log(tmp_path, head + rows))
        assert "line 3: the prompt has another text than on line 2. Give every text its" in text
        assert "line 4: the prompt has another category than on line 2" in text
        assert "line 4: the prompt has another split than on line 2. A prompt is on one" in text

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "is empty. Its first line names the columns"),
            (b"prompt,model,score\n", "has no rows after its header"),
            (b"prompt,score\np,1\n", "no column model; it has 'prompt', 'score'. model may also"),
            (b"prompt;model;score\np;m;1\n", "semicolons separate the cells"),
            (b"prompt,question,model,score\n", "has no rows"),
            (
                b"input,question,model,score\n",
                "columns 'input', 'question' could each be the prompt",
            ),
            (b"prompt,prompt,model,score\n", "columns 'prompt', 'prompt' could each be the prompt"),
            (HEAD.encode("utf-16"), "is UTF-16. Save it as UTF-8"),
            (HEAD.encode() + b"caf\xe9,m,1\n", "line 2: byte 3 is not UTF-8"),
            (HEAD.encode() + b"p\0,m,1\n", "line 2: a NUL byte"),
            (b'"prompt,model,score\n', "line 1: unexpected end of data"),
        ],
    )
    def test_files_that_are_no_log(self, tmp_path: Path, content: bytes, said: str) -> None:
        assert said in fault(log(tmp_path, content))

    def test_a_file_without_a_header_does_not_show_its_first_prompt(self, tmp_path: Path) -> None:
        fault(log(tmp_path, f"{SECRET} and more,m,1\n"))

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            (f'{{"prompt": "{SECRET}", ', "line 2: no JSON: "),
            (f'["{SECRET}"]', "line 2: no JSON object. Each line is one"),
            ("[" * 100_000, "line 2: no JSON: it is nested too deeply"),
            ("9" * 5_000, "line 2: no JSON"),
            (f'{{"prompt": ["{SECRET}"], "model": "m", "score": 1}}', "prompt is a list; a text"),
            ('{"prompt": 7, "model": "m", "score": 1}', "line 2: prompt is a number; a text was"),
            (f'{{"prompt": "{SECRET}", "model": null, "score": 1}}', "line 2: model is empty"),
            (f'{{"prompt": "{SECRET}", "model": "m"}}', "line 2: score is empty"),
            (f'{{"prompt": "{SECRET}", "model": "m", "score": {{}}}}', "score is an object, which"),
            (f'{{"prompt": "{SECRET}", "model": "m", "score": 1, "cost": true}}', "is True, which"),
            (f'{{"prompt": "{SECRET}", "model": "m", "score": 1{"0" * 400}}}', "not a number"),
        ],
    )
    def test_lines_that_cannot_be_used(self, tmp_path: Path, line: str, said: str) -> None:
        good = '{"prompt": "p", "model": "m", "score": 1, "cost": 0.1}'
        assert said in fault(log(tmp_path, f"{good}\n{line}\n", "log.jsonl"))

    def test_a_response_is_a_text(self, tmp_path: Path) -> None:
        path = lines(tmp_path, {"prompt": "p", "model": "m", "score": 1, "response": ["r"]})
        with pytest.raises(ConfigurationError, match="line 1: response is a list"):
            Outcomes.read(path, responses=True)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("[]", "is empty"),
            ("{}", "a list of objects was expected"),
            ("[1]", "a list of objects was expected"),
            ("[{]", "is no JSON"),
            ("[" * 100_000, "nested too deeply"),
            (b"\xff", "is not UTF-8"),
            ('[{"prompt": "p", "model": "m", "score": 2}]', "entry 1: score is 2"),
        ],
    )
    def test_json_files_that_are_no_log(
        self, tmp_path: Path, content: str | bytes, said: str
    ) -> None:
        assert said in fault(log(tmp_path, content, "log.json"))

    def test_an_empty_jsonl_file(self, tmp_path: Path) -> None:
        assert "is empty" in fault(log(tmp_path, "\n", "log.jsonl"))

    def test_paths_of_no_known_kind(self, tmp_path: Path) -> None:
        assert "no file or folder" in fault(tmp_path / "missing.csv")
        assert "a name that ends in .csv" in fault(log(tmp_path, "x", "log.txt"))
        with pytest.raises(ConfigurationError, match="has no samples"):
            Outcomes.read(log(tmp_path, HEAD), samples=True)
        with pytest.raises(ConfigurationError, match="has one score only"):
            Outcomes.read(tmp_path, score_name="x")


cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.lists(st.integers(), max_size=2),
)


@given(st.lists(st.tuples(cells, cells, cells, cells, cells), min_size=1, max_size=12))
def test_any_table_is_read_or_refused_with_a_reason(rows: list[tuple[object, ...]]) -> None:
    names = ("prompt", "model", "score", "cost_usd", "prompt_id")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    try:
        o = assemble(columns, source="made up")
    except ConfigurationError:
        return
    assert (~np.isnan(o.score)).sum() == len(rows)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("pqrs"),
            st.sampled_from("abc"),
            st.floats(0, 1),
            st.floats(0, 10),
        ),
        min_size=1,
        unique_by=lambda row: row[:2],
    )
)
def test_every_answer_is_found_again_in_the_grid(rows: list[tuple[str, str, float, float]]) -> None:
    prompts, models, scores, costs = map(list, zip(*rows, strict=True))
    o = assemble(
        {"prompt": prompts, "model": models, "score": scores, "cost_usd": costs}, source="made up"
    )
    for prompt, model, score, cost in rows:
        cell = o.prompts.index(prompt), o.models.index(model)
        assert o.cost is not None
        assert (o.score[cell], o.cost[cell]) == (score, cost)
    assert (~np.isnan(o.score)).sum() == len(rows)
