"""Questions that a model can get right or wrong, so that routing has something to be good at."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llmroute.testing.chance import draw, pick

_STEEPNESS = 8.0


@dataclass(frozen=True)
class Question:
    """A prompt with a known answer.

    Attributes:
        prompt: The question; a request asks it when its last user text is or contains this.
        answer: What a model that gets it right says, word for word.
        difficulty: 0..1, on the scale of :attr:`ScriptedModel.ability
            <llmroute.testing.ScriptedModel.ability>`: a model as able as the question is hard is
            right half the time.
        wrong: What models that get it wrong say.

    Raises:
        ValueError: If the prompt or the list of wrong answers is empty, or the difficulty is out of
            range.
    """

    prompt: str
    answer: str
    difficulty: float = 0.5
    wrong: Sequence[str] = ("I do not know.",)

    def __post_init__(self) -> None:
        # Refused here, and not later, in a server thread.
        if not self.prompt or not self.wrong:
            raise ValueError("a Question needs a prompt and at least one wrong answer")
        if not 0 <= self.difficulty <= 1:
            raise ValueError(f"difficulty must be within 0..1, not {self.difficulty}")

    def chance(self, ability: float) -> float:
        """How probable a right answer is for a model of this ability: sigma(8 (a - d))."""
        return 1 / (1 + math.exp(_STEEPNESS * (self.difficulty - ability)))

    def answered_by(self, model: str, ability: float, sample: int = 0) -> str:
        """What ``model`` says to this question; always the same for the same arguments."""
        if draw(model, self.prompt, sample) < self.chance(ability):
            return self.answer
        return pick(self.wrong, "wrong", model, self.prompt, sample)


class QuestionBook:
    """Finds the question that a prompt asks."""

    def __init__(self, questions: Iterable[Question] = ()) -> None:
        """Take in the questions; of two with one prompt the later counts."""
        self._by_prompt = {question.prompt.strip(): question for question in questions}
        # The longest first: "2 + 2 + 2?" contains "2 + 2" as well.
        self._longest = sorted(self._by_prompt.items(), key=lambda item: -len(item[0]))

    def find(self, text: str) -> Question | None:
        """The question ``text`` equals, else the longest one it contains, else None."""
        exact = self._by_prompt.get(text.strip())
        return exact or next((q for prompt, q in self._longest if prompt in text), None)
