"""What an answer says, and whether two answers say the same.

What reads answers is imported with the first answer: a decision needs none of it.
"""

from typing import TYPE_CHECKING

from llmroute._imports import lazy_face

if TYPE_CHECKING:
    from llmroute.answers.equivalence import groups as groups
    from llmroute.answers.extract import answer_of as answer_of

_HOMES = {"answer_of": "llmroute.answers.extract", "groups": "llmroute.answers.equivalence"}

__all__ = ["answer_of", "groups"]

__getattr__ = lazy_face(__name__, _HOMES)
