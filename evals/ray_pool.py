"""Looks spread over the machines of a Ray cluster: a pool of actors, each with an agent of its own.

Ray finds the cluster by RAY_ADDRESS; without it, one is started on this machine. Photos are read where the actor runs:
the data must lie at the same path on every machine.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from evals.errors import EvalError

if TYPE_CHECKING:
    from evals.dataset import Sample
    from evals.look import Look, Looker


class RayPool:
    """Hands each sample to the next free actor; no more samples may be looked at at once than there are actors.

    An actor that dies is started anew, and its sample tried once more; then the sample has failed.
    """

    def __init__(self, actors: list[Any]) -> None:
        self._free = deque(actors)

    async def look(self, sample: Sample) -> Look:
        """Raises what the look raises, or a RuntimeError where the actor died at both tries."""
        from ray.exceptions import RayError, RayTaskError

        actor = self._free.popleft()
        try:
            look: Look = await actor.look.remote(sample)
            return look
        except RayTaskError as error:
            raise error.cause from None  # without the trace of the other machine, as a local look would
        except RayError as error:
            with suppress(RayError):  # so that the next sample does not lose a try to its restart
                await actor.ready.options(max_task_retries=-1).remote()
            raise RuntimeError(
                f"the worker's process died, and that of the second try ({type(error).__name__})"
            ) from error
        finally:
            self._free.append(actor)


@contextmanager
def ray_pool(load: Callable[[], Looker], workers: int) -> Iterator[RayPool]:
    """A pool of so many actors, with Ray shut down at the end.

    Args:
        load: Makes the looker of one actor; sent to it by cloudpickle.
        workers: How many.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        EvalError: more workers than the cluster has cores, or an actor that cannot load its agent.
    """
    import ray
    from ray.exceptions import RayActorError

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    cores = None if os.environ.get("RAY_ADDRESS") else workers
    ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        cluster = ray.cluster_resources()
        if cluster.get("CPU", 0) < workers:
            raise EvalError(
                f"jobs {workers}: the Ray cluster has {cluster.get('CPU', 0):.0f} cores; give no more than that"
            )
        gpus = min(1, cluster.get("GPU", 0) / workers)
        actor: Any = ray.remote(max_restarts=-1, max_task_retries=1, num_cpus=1, num_gpus=gpus)(_Actor)
        actors: list[Any] = [actor.remote(load) for _ in range(workers)]
        try:
            ray.get([one.ready.remote() for one in actors])
        except RayActorError as error:
            reason = str(error).strip().splitlines()[-1]
            raise EvalError(
                f"runner 'ray': a worker cannot load the agent ({reason}); is it installed there?"
            ) from error
        yield RayPool(actors)
    finally:
        ray.shutdown()


class _Actor:
    """Lives in a process of its own, on any of the machines."""

    def __init__(self, load: Callable[[], Looker]) -> None:
        self._looker = load()

    def ready(self) -> None:
        """Returns once the agent is loaded."""

    def look(self, sample: Sample) -> Look:
        """Look at one photo."""
        return self._looker.look(sample)
