"""Which models are asked when a draft was rejected, or when there is no time for one."""

from __future__ import annotations

from llmroute.engine.flow import Flow
from llmroute.escalation.context import DraftContext, Finding
from llmroute.records import Decision


def no_time(context: DraftContext) -> Flow:
    """The strongest model at once, because a draft and it would take too long.

    Args:
        context: The request.
    """
    decision = context.talk.decision
    reason = f"There was no time for a draft of {decision.chosen}."
    context.check("latency", decision.chosen, Finding(False, reason))
    return (yield from context.talk.until_answered([*above(decision), decision.chosen]))


def above(decision: Decision) -> list[str]:
    """The models to ask when the chosen one's answer was rejected: the strongest, then the rest.

    Only those expected to answer better than the chosen one; those that cool down after
    failures come last.

    Args:
        decision: The decision.
    """
    quality = {name: estimate.quality for name, estimate in decision.estimates.items()}
    least = quality.get(decision.chosen, 0.0)
    others = [
        name
        for name in decision.ranking
        if name not in (decision.chosen, decision.strongest) and quality.get(name, 0.0) > least
    ]
    better = [decision.strongest, *sorted(others, key=lambda name: -quality[name])]
    return sorted(better, key=lambda name: name in decision.excluded)
