"""`make mutants`: how many small faults in the core the tests notice.

mutmut changes one operator, number, string, argument or assignment at a time and runs the tests
that reach the function. A mutant that survives, or that no test reaches, is a fault that nobody
would have noticed; one that makes its tests hang is noticed. All mutants take hours, so a seeded
sample is tried: SAMPLE=all takes all. Which code and which tests: [tool.mutmut] in pyproject.toml.

Not mutated is text for people, that is, string literals with a space in them (a reason, an error's
message, a prompt), and what mutmut leaves out: docstrings, annotations, the words of f-strings,
module constants, and decorated functions such as properties.

Where a fixture is shared by several tests, mutmut takes its code to be run by the first of them
alone, and does not try the others.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mutmut import __main__ as mutmut
from mutmut.mutation import mutators
from mutmut.mutation.data import SourceFileMutationData
from mutmut.runners.harness import PytestRunner
from mutmut.state import state
from mutmut.stats import status_by_exit_code

SURVIVED = ("survived", "no tests")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sample", nargs="?", default="400", help="how many mutants, or all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--match", default="", help="only mutants with this in their name")
    parser.add_argument("--keep", action="store_true", help="keep mutants/ of the run before")
    given = parser.parse_args()
    # Properties are tested on the same examples every time, so a mutant's fate is no chance.
    os.environ["CI"] = "true"
    leave_out_prose()
    take_quick_tests_first()
    if not given.keep:
        shutil.rmtree("mutants", ignore_errors=True)
    workers = os.cpu_count() or 1
    mutants = [name for name in generated(workers) if given.match in name]
    chosen = mutants
    if given.sample != "all":
        count = min(int(given.sample), len(mutants))
        chosen = sorted(random.Random(given.seed).sample(mutants, count))
    print(f"{len(mutants)} mutants; {len(chosen)} of them are tried.")
    # Imported once for all: every mutant's process is forked from this one's child.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    importlib.import_module("litellm")
    mutmut._run(chosen, workers)
    report(chosen)


def leave_out_prose() -> None:
    """Has mutmut leave string literals with a space in them as they are."""

    def of_string(node: Any) -> Iterable[Any]:
        return [] if " " in getattr(node, "value", "") else mutators.operator_string(node)

    mutators.mutation_operators[:] = [
        (kind, of_string if operator is mutators.operator_string else operator)
        for kind, operator in mutators.mutation_operators
    ]


def take_quick_tests_first() -> None:
    """Has mutmut run a mutant's quickest tests first: most mutants fall to the first ones."""
    run = PytestRunner.run_tests

    def run_tests(self: PytestRunner, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        seconds = state().duration_by_test
        ordered = sorted(tests, key=lambda test: seconds.get(test, math.inf))
        return run(self, mutant_name=mutant_name, tests=ordered)

    PytestRunner.run_tests = run_tests


def generated(workers: int) -> list[str]:
    """Names of all mutants, which are written to mutants/."""
    Path("mutants").mkdir(exist_ok=True)
    with mutmut.CatchOutput():
        mutmut.copy_src_dir()
        mutmut.copy_also_copy_files()
        mutmut.create_mutants(workers)
    return sorted(verdicts())


def verdicts() -> dict[str, int | None]:
    """What the tests made of each mutant; None where it was not tried."""
    found: dict[str, int | None] = {}
    for path in mutmut.walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        found |= data.exit_code_by_key
    return found


def report(chosen: list[str]) -> None:
    """Prints the survivors and, by room, how many there are."""
    of_all = verdicts()
    fates = {name: status_by_exit_code[of_all[name]] for name in chosen}
    survivors = [name for name, fate in fates.items() if fate in SURVIVED]
    print("\nSurvivors (`mutmut show NAME` tells what was changed):", *survivors, sep="\n  ")
    rooms: dict[str, Counter[str]] = {}
    for name, fate in fates.items():
        for room in (name.split(".")[1], "all"):
            rooms.setdefault(room, Counter())[fate] += 1
    kinds = sorted(set(fates.values()))
    print(f"\n{'':12}{'mutants':>9}", *(f"{kind:>10}" for kind in kinds), "  surviving share")
    for room in sorted(rooms, key=lambda room: (room == "all", room)):
        fated = rooms[room]
        tried, left = fated.total(), sum(fated[kind] for kind in SURVIVED)
        low, high = interval(left, tried)
        counts = "".join(f"{fated[kind]:>11}" for kind in kinds)
        share = f"{left / tried:7.1%} ({low:.1%} to {high:.1%})"
        print(f"{room:12}{tried:>9}{counts}  {share}")


def interval(count: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    share, spread = count / total, z * z / total
    middle = share + spread / 2
    half = math.sqrt(spread * (share * (1 - share) + spread / 4))
    return (middle - half) / (1 + spread), (middle + half) / (1 + spread)


if __name__ == "__main__":
    main()
