import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmroute.pool import Model, ModelPool
from llmroute.scoring import RoutingText, Scorer, load_scorer
from llmroute.scoring.latent import AUDIO_TOKENS, FILE_TOKENS, IMAGE_TOKENS, LatentAbilityScorer

PROMPTS = [
    "hi",
    "",
    "What is the capital of France?",
    "Prove that the square root of 2 is irrational. " * 30,
    "Which of the following is a prime?\nA. 4\nB. 6\nC. 7\nD. 9\nAnswer:",
    "¿Cuál es la capital de Francia?",
    "x" * 10_000,
    "[PAD] [PAD]",
]


def test_importing_the_package_is_cheap() -> None:
    code = (
        "import sys, llmroute.scoring; heavy = {'onnxruntime', 'tokenizers', 'torch', 'litellm', "
        "'sklearn'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_it_keeps_the_contract(scorer: LatentAbilityScorer, pool: ModelPool) -> None:
    assert isinstance(scorer, Scorer)
    est = scorer.estimate(PROMPTS, pool)
    assert est.models == ("small", "large")
    assert est.quality.shape == est.cost.shape == est.tokens.shape == (len(PROMPTS), 2)
    assert ((est.quality > 0) & (est.quality < 1)).all()
    assert (est.tokens > 0).all()
    assert (est.cost > 0).all()
    assert est.scorer == f"{scorer.name} {scorer.version}"
    assert (est.quality[:, 1] > est.quality[:, 0]).all()
    assert est.prior_quality[1] > est.prior_quality[0]


def test_each_row_of_a_batch_is_what_the_prompt_gets_alone(
    scorer: LatentAbilityScorer, pool: ModelPool
) -> None:
    whole = scorer.estimate(PROMPTS, pool)
    for index, prompt in enumerate(PROMPTS):
        alone = scorer.estimate([prompt], pool)
        for name in ("quality", "cost", "tokens", "prompt_tokens"):
            np.testing.assert_allclose(
                getattr(whole, name)[index], getattr(alone, name)[0], rtol=1e-5, err_msg=name
            )
        assert whole.unfamiliar[index] == alone.unfamiliar[0]


def test_a_large_batch_comes_back_in_order(scorer: LatentAbilityScorer, pool: ModelPool) -> None:
    prompts = [f"Question {i}: " + "word " * (i % 90) for i in range(700)]
    whole = scorer.estimate(prompts, pool)
    some = scorer.estimate(prompts[333:335], pool)
    np.testing.assert_allclose(whole.quality[333:335], some.quality, rtol=1e-5)


def test_no_prompt_gives_an_empty_table(scorer: LatentAbilityScorer, pool: ModelPool) -> None:
    est = scorer.estimate([], pool)
    assert est.quality.shape == (0, 2)
    assert len(est) == 0


def test_cost_is_tokens_times_price(scorer: LatentAbilityScorer, pool: ModelPool) -> None:
    est = scorer.estimate(["What is the capital of France?"], pool)
    assert est.tokens[0, 0] == pytest.approx(0.5 * est.tokens[0, 1])
    expected = (est.prompt_tokens[0] * 3 + est.tokens[0, 1] * 15) / 1e6
    assert est.cost[0, 1] == pytest.approx(expected)


def test_unknown_prices_and_speeds_are_nan(scorer: LatentAbilityScorer, pool: ModelPool) -> None:
    est = scorer.estimate(["hi"], ModelPool([Model("mystery"), Model("x", output_price=1.0)]))
    assert np.isnan(est.cost).all()
    assert np.isnan(est.latency).all()
    assert np.isnan(scorer.estimate(["hi"], pool).latency[0, 1])  # no first_token_s
    timed = ModelPool([Model("m", first_token_s=0.5, tokens_per_s=100.0)])
    est = scorer.estimate(["hi"], timed)
    assert est.latency[0, 0] == pytest.approx(0.5 + est.tokens[0, 0] / 100)


def test_what_is_unknown_of_one_model_leaves_the_others_known(
    scorer: LatentAbilityScorer, pool: ModelPool
) -> None:
    both = scorer.estimate(PROMPTS, pool)
    three = scorer.estimate(PROMPTS, ModelPool([Model("mystery"), *pool]))
    assert np.isnan(three.cost[:, 0]).all()
    for name in ("quality", "cost", "tokens", "latency", "cost_low", "cost_high"):
        np.testing.assert_allclose(getattr(three, name)[:, 1:], getattr(both, name), err_msg=name)
    assert np.isfinite(three.quality).all()


def test_the_whole_request_is_counted(scorer: LatentAbilityScorer, pool: ModelPool) -> None:
    text = "Describe what you see in the picture."
    plain = RoutingText(text, characters=len(text))
    longer = RoutingText(text, characters=10 * len(text))
    rich = RoutingText(text, characters=len(text), images=2, audio=1, files=1)
    a, b, c = scorer.estimate([plain, longer, rich], pool).prompt_tokens
    assert b == pytest.approx(10 * a)
    assert c == pytest.approx(a + 2 * IMAGE_TOKENS + AUDIO_TOKENS + FILE_TOKENS)


def test_an_unfamiliar_prompt_gets_the_prior(scorer: LatentAbilityScorer, pool: ModelPool) -> None:
    est = scorer.estimate(["What is 2 + 2?", "kq9 zx8v jjw0 qpfm 3xx1 wwzz ytrk" * 5], pool)
    assert est.unfamiliar.tolist() == [False, True]
    assert est.quality[1].tolist() == est.prior_quality.tolist()
    assert est.quality[0].tolist() != est.prior_quality.tolist()


def test_what_sets_models_apart_counts_only_on_prompts_like_those_it_was_measured_on(
    scorer: LatentAbilityScorer,
) -> None:
    known = ModelPool(["gpt-4-1106-preview", "mixtral-8x7b-instruct-v0.1"])
    vectors = scorer.abilities(known)
    general = ModelPool([Model(n, ability=float(v[0])) for n, v in zip("ab", vectors, strict=True)])
    exam = (
        "The term of the US president is\nA. 2 years\nB. 4 years\nC. 6 years\nD. 8 years\nAnswer:"
    )
    chat = "Could you help me plan a birthday party for my daughter, who loves dinosaurs?"

    def difference(prompt: str) -> float:
        by_vector = scorer.estimate([prompt], known).quality
        by_general = scorer.estimate([prompt], general).quality
        return float(np.abs(by_vector - by_general).max())

    assert difference(chat) < 0.02
    assert difference(exam) > difference(chat)


def test_everyday_prompts_are_familiar_and_noise_is_not(scorer: LatentAbilityScorer) -> None:
    generator = np.random.default_rng(0)
    noise = ["".join(map(chr, generator.integers(97, 123, size=60))) for _ in range(20)]
    noise += [" ".join(one[i : i + 6] for i in range(0, 60, 6)) for one in noise]
    noise += ["Объясни, почему небо голубое.", "لماذا السماء زرقاء؟"]
    everyday = [
        "hi",
        "thanks!",
        "Write a haiku about autumn",
        "Tell me a joke",
        "Who wrote Pride and Prejudice?",
        "Summarise this email: Dear team, the meeting on Friday is moved to Monday at 10am. "
        "Please bring your reports. Best, Anna",
        "Write a python function that reverses a string",
        "Can you help me write a cover letter for a job in marketing?",
    ]
    assert scorer.latent(noise).unfamiliar.mean() > 0.9
    assert not scorer.latent(everyday).unfamiliar.any()


def test_a_polite_system_prompt_hardly_matters(
    scorer: LatentAbilityScorer, pool: ModelPool
) -> None:
    from langchain_core.messages import HumanMessage, SystemMessage

    from llmroute.scoring import routing_text

    question = HumanMessage(
        "A train travels 120 km in 1.5 hours. What is its average speed, and how long does it "
        "need for another 300 km at that speed?"
    )
    bare = routing_text([question])
    dressed = routing_text([SystemMessage("You are a helpful assistant."), question])
    quality = scorer.estimate([bare, dressed], pool).quality
    assert np.abs(quality[0] - quality[1]).max() < 0.1


def test_eight_threads_get_the_same_numbers(scorer: LatentAbilityScorer, pool: ModelPool) -> None:
    expected = [scorer.estimate([p], pool).quality for p in PROMPTS]
    faults: list[str] = []

    def work() -> None:
        mine = load_scorer("static")
        for _ in range(30):
            for prompt, quality in zip(PROMPTS, expected, strict=True):
                if not np.array_equal(mine.estimate([prompt], pool).quality, quality):
                    faults.append(prompt)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


def test_one_session_serves_the_process(scorer: LatentAbilityScorer) -> None:
    assert load_scorer("static")._session is scorer._session


def test_what_a_pool_gives_is_kept_and_bounded(scorer: LatentAbilityScorer) -> None:
    for i in range(200):
        scorer.estimate(["hi"], ModelPool([Model(f"m{i}")]))
    assert len(scorer._views) <= 64


def test_a_long_prompt_is_no_more_work_than_the_part_that_is_read(
    scorer: LatentAbilityScorer, pool: ModelPool
) -> None:
    # Speed is measured by examples/benchmark.py; here is the work behind it.
    session, lengths = scorer._session, []

    class Counting:
        def tokenize(self, texts: list[str]) -> list[list[int]]:
            lengths.extend(len(text) for text in texts)
            return session.tokenize(texts)

        run = staticmethod(session.run)

    scorer._session = Counting()  # type: ignore[assignment]
    try:
        scorer.estimate(["word " * 100_000], pool)
    finally:
        scorer._session = session
    assert lengths == [scorer.card.budget]


class TestTokens:
    """Words are looked up among those met before; the ids are the tokeniser's own."""

    @pytest.mark.parametrize(
        "text",
        [
            "Why does a heavy stone fall as fast?",
            "snake_case(x)[0] != {'a': 1.5e-3};\n\treturn `x`",
            "",
            "Größe, naïve café, 数学",
            "a [MASK] b [SEP] [image]",
            "bell\x07 and \x00 null",
            "antidisestablishmentarianism" * 5,
        ],
    )
    def test_are_the_tokenisers(self, scorer: LatentAbilityScorer, text: str) -> None:
        session = scorer._session
        expected = session._tokenizer.encode(text, add_special_tokens=False).ids
        assert session.tokenize([text]) == [expected]
        assert session.tokenize([text]) == [expected]  # and again, from what was learnt

    def test_half_a_surrogate_pair_is_readable(self, scorer: LatentAbilityScorer) -> None:
        assert scorer._session.tokenize(["bad \ud83d"]) == scorer._session.tokenize(["bad ?"])

    @given(text=st.text(st.characters(max_codepoint=127), max_size=60))
    def test_are_the_tokenisers_for_any_ascii(self, text: str) -> None:
        session = load_scorer("static")._session
        expected = session._tokenizer.encode(text, add_special_tokens=False).ids
        assert session.tokenize([text]) == [expected]

    def test_what_is_kept_is_bounded(
        self, scorer: LatentAbilityScorer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session = scorer._session
        monkeypatch.setattr("llmroute.scoring.session._WORDS_KEPT", 5)
        session.tokenize([" ".join(f"word{i}" for i in range(50)) + " " + "x" * 90])
        assert len(session._words) <= 5
        assert all(len(word) <= 40 for word in session._words)
