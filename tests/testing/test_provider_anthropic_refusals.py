"""What Anthropic refuses, and in which words: what breaks when a conversation changes models."""

import pytest

from llmroute.testing import Reply, ScriptedModel, ScriptedProvider, ToolCall

PATH = "/v1/messages"
THINK = {"type": "enabled", "budget_tokens": 1024}
USER = {"role": "user", "content": "Hi"}
TEXT = {"type": "text", "text": "Well."}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}


def say(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def tell(*blocks):
    return {"role": "user", "content": list(blocks)}


@pytest.fixture
def provider():
    def reply(request):
        return Reply("Yes.", tool_calls=[ToolCall("f", {}, id="t1")], reasoning="well, well")

    models = [ScriptedModel("opus", reply=reply), ScriptedModel("sonnet", reply=reply)]
    with ScriptedProvider(models) as running:
        yield running


@pytest.fixture
def ask(client):
    def one(*messages, model="opus", **body):
        asked = {"model": model, "max_tokens": 2000, "messages": list(messages or [USER])}
        return client.request({**asked, "tools": [TOOL], **body}, PATH)

    return one


def refused(response):
    """The message of a refusal."""
    assert response.status == 400
    assert response.error["type"] == "invalid_request_error"
    return response.error["message"]


class TestThinking:
    """Signed thinking goes back to the very model that thought it, and nowhere else."""

    @pytest.fixture
    def thought(self, ask):
        return ask(thinking=THINK).json["content"][0]

    def test_the_model_knows_its_thoughts_again(self, ask, thought):
        assert ask(USER, say(thought, USE), tell(RESULT), thinking=THINK).status == 200

    def test_another_model_does_not(self, ask, thought):
        answer = ask(USER, say(thought, USE), tell(RESULT), thinking=THINK, model="sonnet")
        assert refused(answer) == "messages.1.content.0: Invalid `signature` in `thinking` block"

    @pytest.mark.parametrize("change", [{"thinking": "Oh!"}, {"signature": "mine"}])
    def test_nor_is_a_changed_thought_known(self, ask, thought, change):
        answer = ask(USER, say({**thought, **change}, TEXT), USER)
        assert "Invalid `signature` in `thinking` block" in refused(answer)

    def test_a_thought_without_a_signature_is_no_thought(self, ask):
        answer = ask(USER, say({"type": "thinking", "thinking": "hm"}, TEXT), USER)
        assert refused(answer) == "messages.1.content.0.thinking.signature: Field required"

    def test_sealed_thoughts_are_bound_likewise(self, ask):
        answer = ask(USER, say({"type": "redacted_thinking", "data": "abc"}, TEXT), USER)
        assert "Invalid `data` in `redacted_thinking` block" in refused(answer)

    def test_a_tool_loop_must_begin_with_thinking_where_thinking_is_on(self, ask):
        answer = ask(USER, say(TEXT, USE), tell(RESULT), thinking=THINK)
        assert refused(answer).startswith(
            "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
            "`text`. When `thinking` is enabled, a final `assistant` message must start with a "
            "thinking block"
        )

    def test_outside_of_a_tool_loop_it_need_not(self, ask):
        assert ask(USER, say(TEXT), USER, thinking=THINK).status == 200

    def test_free_thinking_need_not_either(self, ask):
        free = {"type": "adaptive"}
        assert ask(USER, say(TEXT, USE), tell(RESULT), thinking=free).status == 200

    def test_a_loop_that_began_with_thinking_may_go_on_without(self, ask, thought):
        second = {**USE, "id": "t2"}
        loop = [say(thought, USE), tell(RESULT), say(second)]
        result = tell({**RESULT, "tool_use_id": "t2"})
        assert ask(USER, *loop, result, thinking=THINK).status == 200

    def test_thinking_turned_off_must_not_stand_at_the_end(self, ask, thought):
        answer = ask(USER, say(thought, USE), tell(RESULT))
        assert "When thinking is disabled, an `assistant` message in the final position" in refused(
            answer
        )

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "greater than or equal to"),
            ({"max_tokens": 1024}, "`max_tokens` must be greater than `thinking.budget_tokens`."),
            ({"temperature": 0}, "`temperature` may only be set to 1"),
            ({"tool_choice": {"type": "any"}}, "Thinking may not be enabled when tool_choice"),
            ({"thinking": {"type": "hard"}}, "thinking: Input tag 'hard'"),
        ],
    )
    def test_what_thinking_does_not_go_with(self, ask, body, words):
        assert words in refused(ask(**{"thinking": THINK, **body}))


class TestBlocks:
    @pytest.mark.parametrize(
        "kind", ["reasoning", "refusal", "tool_call", "image_url", "input_audio", "non_standard"]
    )
    def test_a_block_of_another_providers(self, ask, kind):
        answer = ask(USER, say({"type": kind}), USER)
        assert f"messages.1.content.0: Input tag '{kind}' found using 'type'" in refused(answer)

    @pytest.mark.parametrize(
        ("block", "words"),
        [
            ({"type": "text", "text": ""}, "text content blocks must be non-empty"),
            ({"type": "text", "text": " \n"}, "must contain non-whitespace text"),
            ({**TEXT, "index": 0}, "messages.1.content.0.text.index: Extra inputs"),
            ({**TEXT, "annotations": []}, "messages.1.content.0.text.annotations: Extra inputs"),
        ],
    )
    def test_text_that_is_none_or_more(self, ask, block, words):
        assert words in refused(ask(USER, say(block), USER))

    def test_a_message_without_content(self, ask):
        assert "must have non-empty content" in refused(ask(USER, say(), USER))

    def test_a_key_of_another_providers(self, ask):
        answer = ask(USER, {**say(TEXT), "reasoning_content": "hm"}, USER)
        assert refused(answer) == "messages.1.reasoning_content: Extra inputs are not permitted"

    @pytest.mark.parametrize("role", ["system", "tool", "developer"])
    def test_a_role_of_another_providers(self, ask, role):
        assert f'Unexpected role "{role}"' in refused(ask(USER, {"role": role, "content": "x"}))

    def test_too_many_cache_markers(self, ask):
        marked = {**TEXT, "cache_control": {"type": "ephemeral"}}
        assert ask(tell(*[marked] * 4)).status == 200
        assert "A maximum of 4 blocks" in refused(ask(tell(*[marked] * 5)))


class TestToolTurns:
    @pytest.mark.parametrize("name", ["functions.f:0", "a b", "c__thought__AA=="])
    def test_a_name_of_a_call_that_others_write(self, ask, name):
        answer = ask(USER, say({**USE, "id": name}), tell({**RESULT, "tool_use_id": name}))
        assert refused(answer) == (
            "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
        )

    def test_a_call_without_its_result(self, ask):
        for follow in ([USER], []):
            assert "`tool_use` ids were found without `tool_result` blocks" in refused(
                ask(USER, say(USE), *follow)
            )

    def test_a_result_without_its_call(self, ask):
        for lead in ([], [USER, say(TEXT)]):
            assert "unexpected `tool_use_id` found in `tool_result` blocks: t1" in refused(
                ask(*lead, tell(RESULT))
            )

    def test_one_name_for_two_calls(self, ask):
        loop = [say(USE), tell(RESULT)]
        assert "`tool_use` ids must be unique" in refused(ask(USER, *loop, *loop))

    def test_results_in_messages_of_their_own_are_taken_together(self, ask):
        second = {**USE, "id": "t2"}
        results = [tell(RESULT), tell({**RESULT, "tool_use_id": "t2"})]
        assert ask(USER, say(USE, second), *results).status == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": [say(TEXT)]}, 'first message must use the "user" role'),
        ({"n": 2}, "n: Extra inputs are not permitted"),
        ({"stop": ["x"]}, "stop: Extra inputs are not permitted"),
        ({"response_format": {}}, "response_format: Extra inputs are not permitted"),
        ({"temperature": 2}, "temperature: range: 0..1"),
        ({"tools": [{"name": "f"}]}, "tools.0.custom.input_schema: Field required"),
        ({"tools": [{**TOOL, "name": "a b"}]}, "tools.0.custom.name: String should match"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools.0.name: Field required"),
        ({"tool_choice": "auto"}, "tool_choice: Input tag"),
        ({"tool_choice": {"type": "tool", "name": "g"}}, "Tool 'g' not found"),
        ({"system": [{"type": "image"}]}, "system.0: Input tag 'image'"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(ask, body, words):
    assert words in refused(ask(**body))


def test_a_body_that_is_no_json(client):
    assert refused(client.request(b"{", PATH)) == "The request body is not valid JSON."
