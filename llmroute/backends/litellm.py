"""A thin LangChain chat model over LiteLLM, for pool members given as `"provider/model"`.

Thin on purpose: LangChain's own converters make the request and read the answer. What is added is
what a router needs to be able to trust: the model name the provider returned, usage and cost of
every call, no hidden retries, a timeout always, a cut stream told from a finished one, errors in
the project's tree, and signed thinking that goes back to its model. For provider-native formats
(server tools, OpenAI's Responses), make the provider's own LangChain chat model the pool member.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any, Literal, NoReturn

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.output_parsers import BaseOutputParser, JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_function, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import ConfigDict, Field, SecretStr

from llmroute.backends.prices import lookup
from llmroute.backends.provider_errors import secrets_in, translate, without_secrets
from llmroute.backends.requests import write_messages
from llmroute.backends.responses import (
    ended_thoughts,
    read_delta,
    read_message,
    read_metadata,
    read_plain,
    read_usage,
)
from llmroute.errors import MalformedAnswer, StreamInterrupted

Schema = dict[str, Any] | type


@cache
def import_litellm() -> Any:
    """LiteLLM, imported at the first call that needs it (it takes seconds), and kept quiet.

    Neither its price table nor tokenizers are fetched over the network, unless the user has set
    LITELLM_LOCAL_MODEL_COST_MAP or `litellm.disable_hf_tokenizer_download` otherwise.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.suppress_debug_info = True
    if litellm.disable_hf_tokenizer_download is None:
        litellm.disable_hf_tokenizer_download = True
    return litellm


def litellm_is_imported() -> bool:
    """Whether `import_litellm` would return at once."""
    return import_litellm.cache_info().currsize > 0


class LiteLLMChat(BaseChatModel):
    """A chat model that calls any provider LiteLLM knows.

    Args:
        model: LiteLLM's name of the model, such as `"openai/gpt-4.1-nano"`.
        api_base: The provider's URL.
        api_key: The provider's key; otherwise LiteLLM reads its usual environment variable.
        timeout: Seconds to wait for the provider: for the connection, and for each next word.
        temperature: Sampling temperature.
        max_tokens: The most output tokens.
        stop: Sequences that end the answer.
        params: Further arguments of every call.
        litellm_router: A `litellm.Router` to call instead, with `model` as its model group. Its
            own fallbacks to other groups are turned off, so that the answer is this member's.

    Raises:
        ProviderError: From every call that fails; see `llmroute.errors`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    model: str
    api_base: str | None = None
    api_key: SecretStr | None = None
    timeout: float = 120.0
    temperature: float | None = None
    max_tokens: int | None = None
    stop: list[str] | None = None
    streaming: bool = False
    params: dict[str, Any] = Field(default_factory=dict, repr=False)
    litellm_router: Any = Field(default=None, exclude=True, repr=False)

    @property
    def _llm_type(self) -> str:
        return "llmroute-litellm"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        # Part of the key of LangChain's cache, and of traces: everything that changes an answer,
        # and no secret.
        params = {
            "model": self.model,
            "api_base": self.api_base,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "stop": self.stop,
            **without_secrets(self.params),
        }
        if self.litellm_router is not None:
            params["deployments"] = [
                {name: d["litellm_params"].get(name) for name in ("model", "api_base")}
                for d in self.litellm_router.model_list or []
                if d["model_name"] == self.model
            ]
        return params

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        provider, _, name = self.model.rpartition("/")
        params["ls_provider"] = provider or "litellm"
        params["ls_model_name"] = kwargs.get("model", name)
        if stop := (stop or self.stop):
            params["ls_stop"] = stop
        return params

    # ---- tools and structured output

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools in OpenAI's format, which LiteLLM translates for the provider.

        Args:
            tools: Anything `convert_to_openai_tool` takes.
            tool_choice: `"auto"`, `"none"`, `"any"` (or True: some tool must be called), a tool's
                name, or OpenAI's dict.
            strict: Whether the provider must keep to the schema.
            kwargs: Further arguments of the call.
        """
        converted = [convert_to_openai_tool(tool, strict=strict) for tool in tools]
        if tool_choice is not None and tool_choice is not False:
            kwargs["tool_choice"] = _tool_choice(tool_choice)
        return self.bind(tools=converted, **kwargs)

    def with_structured_output(
        self,
        schema: Schema,
        *,
        include_raw: bool = False,
        method: Literal["function_calling", "json_schema", "json_mode"] | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Answers parsed to a schema.

        Args:
            schema: A pydantic class, TypedDict, JSON schema or tool schema.
            include_raw: Return `{"raw", "parsed", "parsing_error"}` instead of the parsed value.
            method: `"json_schema"` where LiteLLM's table says the model has it, otherwise
                `"function_calling"`; or `"json_mode"`, where the prompt must ask for JSON itself.
            strict: Whether the provider must keep to the schema.
            kwargs: None are known; any is an error.
        """
        if method is None:
            has_schema = lookup(self.model).get("capabilities", {}).get("json_schema")
            method = "json_schema" if has_schema else "function_calling"
        if method not in ("function_calling", "json_schema", "json_mode"):
            raise ValueError(
                f"method is 'function_calling', 'json_schema' or 'json_mode'; {method!r} was given."
            )
        if kwargs:
            raise ValueError(f"with_structured_output does not know {', '.join(kwargs)}.")
        trace = {"ls_structured_output_format": {"kwargs": {"method": method}, "schema": schema}}
        parser = _parser(schema, method)
        llm: Runnable[LanguageModelInput, AIMessage]
        if method == "function_calling":
            llm = self.bind_tools([schema], tool_choice="any", strict=strict, **trace)
        else:
            is_free = method == "json_mode"
            shape = {"type": "json_object"} if is_free else _json_schema(schema, strict)
            llm = self.bind(response_format=shape, **trace)
        if not include_raw:
            return llm | parser
        parsed = RunnablePassthrough.assign(
            parsed=itemgetter("raw") | parser, parsing_error=lambda _: None
        ).with_fallbacks(
            [RunnablePassthrough.assign(parsed=lambda _: None)], exception_key="parsing_error"
        )
        return RunnableMap(raw=llm) | parsed

    # ---- calls

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request("completion", messages, stop, kwargs)
        try:
            response = request.call(**request.arguments)
        except Exception as error:
            self._raise(error, request)
        return self._result(response)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request("acompletion", messages, stop, kwargs)
        try:
            response = await request.call(**request.arguments)
        except Exception as error:
            self._raise(error, request)
        return self._result(response)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        request = self._request("completion", messages, stop, kwargs, stream=True)
        reader, response = self._reader(), None
        try:
            response = request.call(**request.arguments)
            for event in response:
                for chunk in reader.read(event, response):
                    if run_manager:
                        run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk
        except Exception as error:
            self._raise(error, request, partial=reader.text)
        finally:
            for stream in _streams_in(response):
                if hasattr(stream, "close"):
                    stream.close()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        request = self._request("acompletion", messages, stop, kwargs, stream=True)
        reader, response = self._reader(), None
        try:
            response = await request.call(**request.arguments)
            async for event in response:
                for chunk in reader.read(event, response):
                    if run_manager:
                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk
        except Exception as error:
            self._raise(error, request, partial=reader.text)
        finally:
            streams: tuple[Any, ...] = (response, *_streams_in(response))
            for stream in streams:
                if hasattr(stream, "aclose"):
                    await stream.aclose()

    def _reader(self) -> _StreamReader:
        # A `litellm.Router` hands on streams in a wrapper that does not tell how they ended.
        return _StreamReader(notices_cuts=self.litellm_router is None)

    def _request(
        self,
        function: Literal["completion", "acompletion"],
        messages: list[BaseMessage],
        stop: list[str] | None,
        kwargs: dict[str, Any],
        stream: bool = False,
    ) -> _Request:
        litellm = import_litellm()
        arguments: dict[str, Any] = {
            "model": self.model,
            "api_base": self.api_base,
            "api_key": self.api_key,
            "timeout": self.timeout,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "stop": self.stop or None,
            **self.params,
            **{name: value for name, value in kwargs.items() if name != "stream"},
        }
        if stop:
            arguments["stop"] = stop
        if isinstance(arguments["api_key"], SecretStr):
            arguments["api_key"] = arguments["api_key"].get_secret_value()
        arguments = {name: value for name, value in arguments.items() if value is not None}
        arguments["messages"] = write_messages(messages)
        # LiteLLM's hidden default is two retries. Retries are the router's, so that the record
        # of attempts, waits and costs is the true one.
        arguments["max_retries"] = arguments["num_retries"] = 0
        # Without this, LiteLLM imports its MCP gateway for every call with tools, and that needs
        # packages that only its proxy extra installs.
        arguments["_skip_mcp_handler"] = True
        if stream:
            arguments |= {"stream": True, "stream_options": {"include_usage": True}}
        if self.litellm_router is not None:
            arguments["disable_fallbacks"] = True
        call = getattr(self.litellm_router or litellm, function)
        return _Request(call, arguments, sys.exc_info()[1])

    def _raise(self, error: Exception, request: _Request, partial: str = "") -> NoReturn:
        translated = translate(
            error, self.model, *secrets_in(request.arguments), handling=request.handling
        )
        if translated is None:
            raise error
        if isinstance(translated, StreamInterrupted):
            translated.partial = translated.partial or partial
        elif partial:
            translated = StreamInterrupted(
                translated.message, partial=partial, model=self.model, status=translated.status
            )
        # `from None`: the original's text may hold the key, and a traceback would print it.
        raise translated from None

    def _result(self, response: Any) -> ChatResult:
        if not getattr(response, "choices", None):
            raise MalformedAnswer("the answer holds no choices", model=self.model, status=200)
        usage = read_usage(getattr(response, "usage", None))
        generations = []
        for choice in response.choices:
            message = read_message(choice.message, usage)
            message.response_metadata = read_metadata(response, choice)
            generations.append(ChatGeneration(message=message))
            # Usage is of the whole call: on the first generation only, or sums count it n times.
            usage = None
        return ChatResult(generations=generations)


@dataclass(frozen=True)
class _Request:
    """One call of LiteLLM: the function, its arguments, and the error the caller is handling."""

    call: Callable[..., Any]
    arguments: dict[str, Any]
    handling: BaseException | None


class _StreamReader:
    """Reads one stream's events into chunks, and notices when it was cut."""

    def __init__(self, notices_cuts: bool) -> None:
        self.text = ""
        self._named = False
        self._notices_cuts = notices_cuts
        self._thoughts = 0

    def read(self, event: Any, stream: Any) -> Iterator[ChatGenerationChunk]:
        for choice in event.choices[:1]:
            if choice.finish_reason and self._notices_cuts and _was_cut(stream):
                raise StreamInterrupted("the stream ended before the answer did", partial=self.text)
            message = read_delta(choice.delta, self._thoughts)
            self._thoughts += ended_thoughts(message)
            self.text += message.text
            # Strings concatenate when chunks are added up, so each stands on one chunk only.
            if not self._named:
                message.response_metadata = {"model_provider": "litellm", "model_name": event.model}
                self._named = True
            if choice.finish_reason:
                message.response_metadata["finish_reason"] = choice.finish_reason
            if getattr(choice, "logprobs", None):
                message.response_metadata["logprobs"] = read_plain(choice.logprobs)
            yield ChatGenerationChunk(message=message)
        if usage := read_usage(getattr(event, "usage", None)):
            yield ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=usage))


def _streams_in(response: Any) -> tuple[Any, Any]:
    """What of a LiteLLM stream holds a provider's connection, from the outside in.

    LiteLLM leaves it open when nobody reads on, and for some providers always. The connection is
    then given back whenever the garbage collector comes, which may be while the pool of connections
    is locked: the process would wait for itself.
    """
    inner = getattr(response, "completion_stream", None)
    return inner, getattr(inner, "streaming_response", None)


def _was_cut(stream: Any) -> bool:
    # At the end of any stream LiteLLM makes up a "stop". What the provider sent stands beside it.
    return not (
        stream.received_finish_reason or getattr(stream, "intermittent_finish_reason", None)
    )


def _tool_choice(choice: str | dict[str, Any] | bool) -> str | dict[str, Any]:
    if isinstance(choice, dict) or choice in ("auto", "none", "required"):
        return choice
    if choice in ("any", True):
        return "required"
    return {"type": "function", "function": {"name": choice}}


def _parser(schema: Schema, method: str) -> BaseOutputParser[Any]:
    pydantic = isinstance(schema, type) and is_basemodel_subclass(schema)
    if method == "function_calling":
        if pydantic:
            return PydanticToolsParser(tools=[schema], first_tool_only=True)
        name = convert_to_openai_tool(schema)["function"]["name"]
        return JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)
    return PydanticOutputParser(pydantic_object=schema) if pydantic else JsonOutputParser()


def _json_schema(schema: Schema, strict: bool | None) -> dict[str, Any]:
    function = dict(convert_to_openai_function(schema, strict=strict))
    function["schema"] = function.pop("parameters", {"type": "object", "properties": {}})
    return {"type": "json_schema", "json_schema": function}
