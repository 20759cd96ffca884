"""Models that are right or wrong, by ability and difficulty."""

import json
import math

import pytest

from llmroute.testing import Question, ScriptedModel
from llmroute.testing.questions import QuestionBook

QUESTION = Question("What is 17 * 23?", answer="391", difficulty=0.5, wrong=["401", "381"])


def share_right(ability, samples=300):
    said = [QUESTION.answered_by("m", ability, sample) for sample in range(samples)]
    assert set(said) <= {"391", "401", "381"}
    return said.count("391") / samples


def test_the_chance_to_be_right_follows_the_logistic_rule():
    assert QUESTION.chance(0.5) == pytest.approx(0.5)
    assert QUESTION.chance(0.9) == pytest.approx(1 / (1 + math.exp(-3.2)))


@pytest.mark.parametrize("ability", [0.1, 0.5, 0.9])
def test_models_are_right_as_often_as_that(ability):
    assert share_right(ability) == pytest.approx(QUESTION.chance(ability), abs=0.08)


def test_a_question_is_found_inside_a_prompt(client):
    assert client.chat("Think first. What is 17 * 23? Be brief.", model="big").text == "391"


def test_the_longest_question_wins():
    book = QuestionBook([Question("2 + 2", answer="4"), Question("2 + 2 + 2", answer="6")])
    assert book.find("say 2 + 2 + 2 now").answer == "6"
    assert book.find("2 + 2").answer == "4"
    assert book.find("3 + 3") is None


def test_at_temperature_0_a_model_repeats_itself(client):
    choices = client.chat(QUESTION.prompt, n=10).json["choices"]
    assert len({choice["message"]["content"] for choice in choices}) == 1


def test_with_temperature_the_samples_of_a_torn_model_differ(ask):
    torn = ScriptedModel("torn", ability=0.5)
    body = ask(torn, QUESTION.prompt, questions=[QUESTION], n=20, temperature=1).json
    said = [choice["message"]["content"] for choice in body["choices"]]
    assert "391" in said
    assert len(set(said)) > 1


def test_logprobs_are_surer_where_the_model_is_abler(client):
    def margin(model):
        asked = {"model": model, "logprobs": True, "top_logprobs": 2}
        choice = client.chat(QUESTION.prompt, **asked).json["choices"][0]
        first, second = choice["logprobs"]["content"][0]["top_logprobs"]
        return math.exp(first["logprob"]) - math.exp(second["logprob"])

    assert margin("big") > margin("small") + 0.3


def test_tools_and_schemas_carry_the_answer_too(client):
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "A", "schema": schema}}
    text = client.chat(QUESTION.prompt, model="big", response_format=wanted).text
    assert json.loads(text) == {"answer": "391"}


@pytest.mark.parametrize(
    "broken", [{"prompt": ""}, {"wrong": []}, {"difficulty": 1.1}, {"difficulty": -0.1}]
)
def test_questions_are_checked_when_made(broken):
    with pytest.raises(ValueError, match=r"needs|must be"):
        Question(**{"prompt": "p", "answer": "a", **broken})


@pytest.mark.parametrize(
    "broken", [{"name": ""}, {"ability": 1.5}, {"delay": -1}, {"input_price": -1}]
)
def test_models_are_checked_when_made(broken):
    with pytest.raises(ValueError, match=r"needs|must"):
        ScriptedModel(**{"name": "m", **broken})
