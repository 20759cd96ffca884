"""When an answer is not good enough: evidence from further answers, and what to do next.

The rules are in `rules.py`; `from llmroute import Margin, Disagreement, …` is the short way.
"""
