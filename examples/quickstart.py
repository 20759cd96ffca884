"""Route prompts between two models. Runs without a key: the provider is a scripted stand-in.

With real models the pool is a list of their names, `RouterChain(pool=["openai/gpt-4.1-nano",
"openai/gpt-4.1"])`, and the rest stays as it is.
"""

from llmroute import CheapestAbove, Model, RouterChain
from llmroute.testing import ScriptedModel, ScriptedProvider

with ScriptedProvider([ScriptedModel("small"), ScriptedModel("large")]) as provider:
    at = {"api_base": provider.base_url, "api_key": "any"}
    small = Model(
        "small", model="openai/small", input_price=0.1, output_price=0.4, ability=0.6, **at
    )
    large = Model("large", model="openai/large", input_price=2, output_price=8, ability=1.2, **at)
    policy = CheapestAbove(quality=0.9)
    # The stand-ins' answers are made up: the prompt alone decides here, nothing is looked at.
    router = RouterChain(pool=[small, large], policy=policy, escalation=None)

    for prompt in ("Translate 'good morning' to Spanish.", "Prove that √2 is irrational."):
        answer = router.invoke(prompt)
        record = answer.response_metadata["llmroute"]
        print(f"{prompt}\n  {answer.text}\n  {record['reason']}")
        print(f"  cost {record['cost_usd']:.6f} USD, saved {record['saved_usd']:.6f} USD")
