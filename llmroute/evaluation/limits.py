"""What well-known sets of recorded outcomes cannot tell, to be said beside their figures."""

from __future__ import annotations

#: Name of the data → its limits.
LIMITS = {
    "routellm": "Two models of 2023, no costs recorded: spend is the share of strong calls. GSM8K "
    "and MT-Bench are test only; MT-Bench scores are a judge's, scaled to 0..1.",
    "routerbench": "A part of RouterBench, models of 2023, at most 90 prompts of most tasks; ARC, "
    "WinoGrande and MBPP weigh most. Costs are the recorded USD.",
    "mmlu_pro": "Multiple choice with up to ten options, one subject a prompt, models of 2023 and "
    "2024. Costs are nominal: list prices times recorded or estimated tokens.",
    "zeroeval_math": "Competition mathematics only, 721 prompts in all, so intervals are wide. "
    "Costs are nominal.",
    "llmrouter_dc": "No costs recorded, so routers are compared at one call a prompt. Scores of "
    "GPQA and logic-grid look too low (answer extraction) and are noisy.",
    "cascades": "Llama, Qwen and GPT-4o on five benchmarks; real USD. Self-verification calls are "
    "not in the costs; nothing here uses them.",
    "agreement": "Built for disagreement of sampled generations: the models are one strong model "
    "in several prompting styles, and no costs are recorded.",
}
