"""What an unknown model can do: anchor prompts and abilities; calibrations of escalation.

llmroute profile --model ollama/llama3.2=0/0 --out profiles.json

pool = with_profiles(ModelPool(["ollama/llama3.2", "openai/gpt-4.1"]), "profiles.json")
pool = fit_abilities(pool, Outcomes.read("my_log.csv"))     # from recorded answers instead
"""

from llmroute.profiling.ability_profile import fit_abilities, fit_profile
from llmroute.profiling.anchors import Anchor, load_anchors
from llmroute.profiling.ask import ask_anchors, expected_cost
from llmroute.profiling.grading import grade
from llmroute.profiling.profile_file import (
    Profile,
    Profiles,
    read_profiles,
    with_profiles,
    write_profiles,
)

__all__ = [
    "Anchor",
    "Profile",
    "Profiles",
    "ask_anchors",
    "expected_cost",
    "fit_abilities",
    "fit_profile",
    "grade",
    "load_anchors",
    "read_profiles",
    "with_profiles",
    "write_profiles",
]
