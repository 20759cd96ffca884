"""How the package's names resolve: lazy faces, and modules that have moved.

`import llmroute` must load nothing heavy, so a face (the `__init__.py` of a room) lists its names
and the modules they live in, and imports such a module when somebody asks for the name.

A module that has moved answers under its old name for one release, with a DeprecationWarning.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec

# Not typing's: importing that takes longer than all of this package's face.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType
    from typing import Any

#: Old names of modules and their names now, without the package's own; modules of a package that
#: moved as a whole go with it.
_NAMES = """
backends.answers=backends.responses backends.messages=backends.requests call=api
configuration=config configuration.forms=config.schema configuration.keys=config.secrets
configuration.marks=config.source configuration.reading=config.load
configuration.recording=config.dump conversation=request.conversation deciding=routing.decide
decision=records drivers=engine.drivers escalation.agreement=answers.equivalence
escalation.answers=answers.extract escalation.budget=state.running_quantile
escalation.calibration=escalation.calibration_file escalation.case=escalation.context
escalation.choices=answers.multiple_choice escalation.code=answers.code
escalation.curves=escalation.confidence_model escalation.dates=answers.dates
escalation.difficulty=escalation.latent_difficulty escalation.encoder=answers.embedding
escalation.expecting=answers.answer_type escalation.fitting=escalation.calibration_fit
escalation.heard=escalation.evidence escalation.judge=escalation.belief
escalation.labellings=escalation.hypotheses escalation.logprobs=answers.logprobs
escalation.meaning=answers.similarity escalation.numbers=answers.numbers
escalation.outlook=escalation.request_plan escalation.outset=escalation.first_call
escalation.places=state.confidence_ranks escalation.planning=escalation.next_call
escalation.tiers=escalation.escalation escalation.traits=escalation.priors
escalation.values=answers.structured escalation.votes=answers.votes
escalation.window=state.sorted_window escalation.wordings=escalation.prompts
escalation.words=answers.normalize evaluation.assemble=outcomes.assemble
evaluation.calibrating=profiling.calibrate evaluation.cascading=evaluation.simulated_cascade
evaluation.classic=evaluation.predictive_baselines evaluation.columns=outcomes.columns
evaluation.describe=outcomes.describe evaluation.evaluating=evaluation.evaluator
evaluation.limits=evaluation.glossary
evaluation.labelling=evaluation.label_placement evaluation.measuring=evaluation.figures
evaluation.metrics=metrics evaluation.outcomes=outcomes.outcomes evaluation.pools=scoring.pool_fit
evaluation.predictors=routers.base evaluation.readers=outcomes.readers
evaluation.readers.calls=outcomes.readers.traces evaluation.readers.frames=outcomes.readers.pickles
evaluation.readers.langfuse=outcomes.readers.traces
evaluation.readers.langsmith=outcomes.readers.traces evaluation.records=evaluation.recorded_provider
evaluation.replaying=evaluation.replayer evaluation.vectors=routers.features
failures=backends.provider_errors flow=engine.flow hidden=engine.drafts history=request.history
history.markers=request.history.cache_control history.reader=request.history.target
history.retelling=request.history.sanitize members=engine.prepare observing=state.observers
prices=backends.prices profiling.asking=profiling.ask profiling.files=profiling.profile_file
profiling.fitting=profiling.ability_profile replies=engine.call_results
requirements=request.capabilities routers.costs=routers.cost_regression
routers.encoding=scoring.session routers.files=scoring.router_folder
routers.finetuning=routers.finetune routers.heads=routers.base routers.lessons=routers.dataset
routers.loading=routers.folder_loader routers.measuring=evaluation.card_metrics
routers.minilm=routers.minilm_features routers.scorer=routers.trained_scorer
routers.training=routers.trainer routers.vectors=routers.features
routers.words=routers.word_features scoring.base=scoring.scorer
scoring.corrections=scoring.hierarchical_fit scoring.ensemble=scoring.ensemble_scorer
scoring.fitting=scoring.ability_fit streams=engine.streaming structured=routing.structured_output
terms=request.overrides tracing=state.tracing writing=files
"""
_MOVED = dict(pair.split("=") for pair in _NAMES.split())


def lazy_face(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__`, which imports a name's module when the name is first used.

    Args:
        package: The package's `__name__`.
        homes: By name, the full dotted name of the module that defines it.

    Returns:
        A function to be called `__getattr__` in the package.
    """

    def load(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(home), name)
        setattr(sys.modules[package], name, value)  # the next look-up is a plain one
        return value

    return load


class MovedModules:
    """A finder for `sys.meta_path`: imports of a module's old name give the module itself."""

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module that has moved; None for any other.

        Args:
            name: The module's full name.
            path: Where its package looks for modules; of no use here.
            target: A module that is reloaded; likewise.
        """
        package, _, rest = name.partition(".")
        if package != "llmroute":
            return None
        parent, _, last = rest.rpartition(".")
        moved = _MOVED.get(rest) or (f"{_MOVED[parent]}.{last}" if parent in _MOVED else None)
        if moved is None:
            return None
        from importlib.util import find_spec  # noqa: PLC0415  # takes longer than all of this face

        own = find_spec(f"llmroute.{moved}")
        assert own is not None, "it has moved there"
        spec = ModuleSpec(name, _MovedLoader(own))  # type: ignore[arg-type]  # a loader by its methods
        spec.submodule_search_locations = own.submodule_search_locations
        return spec


class _MovedLoader:
    def __init__(self, own: ModuleSpec) -> None:
        self._own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        _warn(f"{spec.name} is now {self._own.name}; the old name goes with the next release.")
        return import_module(self._own.name)

    def get_code(self, name: str) -> Any:  # for `python -m`
        return self._own.loader.get_code(self._own.name)  # type: ignore[union-attr]

    def exec_module(self, module: ModuleType) -> None:
        # It has been executed under its own name. Importing it under another set its spec.
        module.__spec__ = self._own


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__`, by which names answer that had another one, with a warning."""

    def load(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        _warn(f"{module}.{name} is now {names[name]}; the old name goes with the next release.")
        return getattr(sys.modules[module], names[name])

    return load


def take_old_members(kind: type, names: Mapping[str, str]) -> None:
    """A user's subclass that defines members by their old names has them by their names now."""
    for old in names.keys() & vars(kind).keys():
        name = names[old]
        _warn(f"{old} of {kind.__name__} is now {name}; the old name goes with the next release.")
        setattr(kind, name, vars(kind)[old])


def _warn(text: str) -> None:
    warnings.warn(text, DeprecationWarning, stacklevel=3)
