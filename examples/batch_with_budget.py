"""A batch job that stops before it would spend more than it may.

    python examples/batch_with_budget.py

Before each group of prompts the router says what they are expected to cost, and no model is asked
for that; after it the records say what they did cost. Both are as right as the pool's prices, and a
model whose price is unknown cannot be budgeted.
"""

from _models import two_models

from llmroute import CheapestAbove, RouterChain

BUDGET = 0.0025  # USD
GROUP = 4
TOPICS = ("rivers", "volcanoes", "honey bees", "tides", "glaciers", "owls", "salt", "amber")
PROMPTS = [
    text.format(topic)
    for topic in TOPICS
    for text in ("Name one fact about {}.", "Prove to an expert what is least understood of {}.")
]

with two_models() as pool:
    # Escalation would ask again where an answer looks bad, which no estimate made before can know.
    router = RouterChain(pool=pool, policy=CheapestAbove(quality=0.85), escalation=None)
    spent, done = 0.0, 0
    while done < len(PROMPTS):
        group = PROMPTS[done : done + GROUP]
        decisions = router.decide_batch(group)
        expected = sum(decision.estimates[decision.chosen].cost for decision in decisions)
        if spent + expected > BUDGET:
            print(f"stopped: {expected:.4f} USD expected, {BUDGET - spent:.4f} USD left")
            break
        answers = router.batch(group, {"max_concurrency": 4}, return_exceptions=True)
        records = [a.response_metadata["llmroute"] for a in answers if not isinstance(a, Exception)]
        spent += sum(record["cost_usd"] for record in records)
        done += len(group)
        asked = ", ".join(record["answered_by"] for record in records)
        print(
            f"{done:>2} done by {asked}: {expected:.4f} USD expected, {spent:.4f} USD spent by now"
        )
    print(f"{done} of {len(PROMPTS)} prompts for {spent:.4f} USD of {BUDGET} USD")
