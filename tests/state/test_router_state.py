"""What a router has seen is its own: policies and rules are plain values."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np

from llmroute import RouterChain, StrongShare
from llmroute.policies import StrongCalls
from llmroute.records import Estimates
from llmroute.state.router_state import RouterState


def gains(*weak_quality: float) -> Estimates:
    """Two models: the strong one is always right, the weak one as given."""
    quality = np.array([[q, 1.0] for q in weak_quality])
    shape = quality.shape
    return Estimates(
        models=("weak", "strong"),
        quality=quality,
        cost=np.tile([1.0, 10.0], (len(quality), 1)),
        tokens=np.ones(shape),
        latency=np.full(shape, np.nan),
        prompt_tokens=np.ones(len(quality)),
        unfamiliar=np.zeros(len(quality), dtype=bool),
        prior_quality=np.array([0.5, 1.0]),
        scorer="made up",
    )


def chosen(policy: StrongCalls, state: RouterState, *weak_quality: float) -> list[int]:
    """The column chosen for one prompt after another."""
    found = []
    for quality in weak_quality:
        estimates = gains(quality)
        found += policy.choose_next(estimates, np.ones((1, 2), dtype=bool), state).tolist()
    return found


def test_two_routers_with_one_policy_count_each_for_itself() -> None:
    policy, one, other = StrongCalls(share=0.5), RouterState(), RouterState()
    assert chosen(policy, one, 0.9, 0.1, 0.9, 0.1) == [0, 1, 0, 1]
    # The second router has seen nothing yet: its first prompt decides as the first router's did.
    assert chosen(policy, other, 0.9, 0.1, 0.9, 0.1) == [0, 1, 0, 1]
    # A prompt that gains little goes to the weak model, whichever has seen it.
    assert chosen(policy, one, 0.95) == [0]


def test_equal_policies_stay_equal_whatever_they_have_chosen() -> None:
    used, unused = StrongCalls(share=0.5), StrongCalls(share=0.5)
    chosen(used, RouterState(), 0.9, 0.1)
    assert used == unused
    assert hash(used) == hash(unused)
    assert StrongShare(share=0.2) == StrongShare(share=0.2)


def test_without_a_state_a_policy_answers_the_same_again_and_again() -> None:
    policy, estimates = StrongCalls(share=0.5), gains(0.9, 0.1, 0.9, 0.1)
    allowed = np.ones((4, 2), dtype=bool)
    first = policy.choose(estimates, allowed).tolist()
    assert first == [0, 1, 0, 1]
    assert policy.choose(estimates, allowed).tolist() == first


def test_shares_and_names_are_counted_apart_and_kept_within_bounds() -> None:
    state = RouterState()
    half = state.quantile("policy", 0.5)
    assert state.quantile("policy", 0.5) is half
    assert state.quantile("rule", 0.5) is not half
    assert state.quantile("policy", 0.4) is not half
    for number in range(61):  # with the three above, 64
        state.quantile(str(number), 0.5)
    assert state.quantile("policy", 0.5) is half
    state.quantile("one more", 0.5)  # the one that was not used for longest goes
    state.quantile("and another", 0.5)
    assert state.quantile("policy", 0.5) is half


def test_a_copy_has_seen_nothing() -> None:
    state = RouterState()
    half = state.quantile("policy", 0.5)
    for made in (copy.deepcopy(state), pickle.loads(pickle.dumps(state))):
        assert made.quantile("policy", 0.5) is not half


def test_threads_share_one_quantile() -> None:
    state, found = RouterState(), []
    threads = [
        threading.Thread(target=lambda: found.append(state.quantile("policy", 0.5)))
        for _ in range(32)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(quantile) for quantile in found}) == 1


def test_a_fresh_copy_of_a_router_counts_from_the_beginning() -> None:
    router = RouterChain(
        pool=["openai/gpt-4.1-nano", "openai/gpt-4.1"],
        policy=StrongCalls(share=0.5),
        escalation=None,
    )
    prompts = ["Prove that √2 is irrational.", "Say hello."] * 5
    first = [router.decide(prompt).chosen for prompt in prompts]
    again = [router.fresh_copy().decide(prompt) for prompt in prompts[:1]]
    assert [decision.chosen for decision in again] == first[:1]
    fresh = router.fresh_copy()
    assert [fresh.decide(prompt).chosen for prompt in prompts] == first
