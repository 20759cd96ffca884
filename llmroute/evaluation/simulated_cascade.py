"""RouterBench's cascading router with a simulated judge (arXiv 2403.12031).

Models are asked from the cheapest to the dearest. After each answer a judge says whether its score
reaches the threshold, and is wrong with probability ε, each time anew. The first accepted answer is
returned, or the last that the budget allows, and every call is paid for. No judge of this kind
exists: it shows what a cascade would gain from one, and how good a judge would have to be.

The figures are expectations over the judge's errors, exact, and not draws of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.evaluation.baselines import rising_spend
from llmroute.evaluation.run import Run, spend_of, strongest
from llmroute.numerics import Floats
from llmroute.outcomes.outcomes import Outcomes

#: Error rates of the judge that are worth comparing.
ERROR_RATES = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8)
#: Budgets of a sweep beside "the first model only".
BUDGETS = 33
#: RouterBench's threshold is this quantile of all scores, which is 1 where scores are 0 or 1 and
#: one in twenty is right.
_QUANTILE = 0.95


def cascades(
    outcomes: Outcomes, error_rates: Sequence[float] = ERROR_RATES, threshold: float | None = None
) -> Iterator[Run]:
    """`cascade` at each of some error rates, one at a time."""
    return (cascade(outcomes, rate, threshold=threshold) for rate in error_rates)


def cascade(
    outcomes: Outcomes,
    error_rate: float,
    *,
    threshold: float | None = None,
    budgets: Sequence[float] | None = None,
) -> Run:
    """The cascading router, swept over the budget of a prompt.

    The first model is always asked, and a further one where the spend on the prompt stays within
    the budget with it. `error_rate` is ε, the probability that the judge's verdict is the wrong
    one, 0..1; `threshold` the score from which an answer is good, 0..1, by default RouterBench's;
    `budgets` the most that may be spent on a prompt, in the outcomes' unit, by default from the
    first model only to all models.
    """
    if not 0 <= error_rate <= 1:
        raise ConfigurationError(
            f"an error rate is a probability, 0..1; {error_rate} was given for the judge."
        )
    order = rising_spend(outcomes)
    score, spend = outcomes.score[:, order], spend_of(outcomes)[:, order]
    limit = float(np.quantile(score, _QUANTILE)) if threshold is None else threshold
    accepted = np.where(score >= limit, 1 - error_rate, error_rate)
    # Whether a model is reached, and what came of those before it, where no budget ends it there.
    reached = _before(np.cumprod(1 - accepted, axis=1), 1.0)
    settled = _before(np.cumsum(reached * accepted * score, axis=1), 0.0)
    paid = np.cumsum(reached * spend, axis=1)
    total = np.cumsum(spend, axis=1)
    parameter = _budgets(total) if budgets is None else np.array(budgets, dtype=np.float64)
    # (N, P) the last model a budget allows; its answer is returned whatever the judge says.
    last = np.stack([(total[:, 1:] <= budget).sum(axis=1) for budget in parameter])
    prompts, strong = np.arange(len(outcomes)), int(np.flatnonzero(order == strongest(outcomes))[0])
    return Run(
        name=f"cascade ε={error_rate:g}",
        score=(settled + reached * score)[prompts, last],
        cost=paid[prompts, last],
        strong=np.where(last >= strong, reached[:, strong], 0.0),
        parameter=parameter,
        simulated=True,
    )


def _budgets(total: Floats) -> Floats:
    """Rising budgets: 0, the first model only, and quantiles of what more models than it cost."""
    if total.shape[1] == 1:
        return np.zeros(1)
    levels = np.quantile(total[:, 1:], np.linspace(0, 1, BUDGETS), method="nearest")
    return np.unique(np.append(levels, 0.0))


def _before(running: Floats, start: float) -> Floats:
    """A running product or sum as it stands before each column."""
    return np.hstack([np.full((len(running), 1), start), running[:, :-1]])
