"""Remove everything that a row of leftovers lists, until it lists nothing more."""

from __future__ import annotations

from functools import partial
from typing import Any

from clusterkit.engine import backoff
from clusterkit.engine.actions import Actions
from clusterkit.engine.inventory import Named
from clusterkit.engine.kind import Env
from clusterkit.engine.task import Task
from clusterkit.errors import AlreadyDone, Gone, Retryable

MOST_NAMED = 3
"""leftovers a note names"""


class Sweep:
    """Brings one row of leftovers after the other a step further."""

    def __init__(self, env: Env[Any], actions: Actions) -> None:
        self._env = env
        self._actions = actions

    def __call__(self, task: Task, named: Named) -> None:
        """What a look says of the row."""
        row = task.row
        stays = task.step.stays
        going = {name: have for name, [have] in named.items() if name not in stays}
        left = {name: have for name, have in going.items() if not row.keep(have)}
        if not left:
            task.removed = len(task.swept)
            none = "gone already" if task.step.found else "none"
            self._actions.done(
                task, note=f"{task.removed} {row.verbs[1]}" if task.removed else none
            )
            return
        if left.keys() != task.last:
            task.last, task.changed = set(left), self._actions.now()
        if task.asked and self._actions.now() - task.asked > backoff.resend(self._env.scale):
            task.swept.clear()
        fresh = {name: have for name, have in left.items() if name not in task.swept}
        if not fresh:
            some = ", ".join(sorted(left)[:MOST_NAMED])
            self._actions.wait(task, note=f"{len(left)} still being deleted: {some}")
            return
        task.asked = self._actions.now()
        self._actions.note(task, f"{row.verbs[0]} {len(fresh)}")
        for name, have in fresh.items():
            task.swept.add(name)
            self._actions.call(task, partial(self._clear, task, have), partial(self._swept, name))

    def _clear(self, task: Task, have: Any) -> object:
        row = task.row
        if row.disarm is not None:
            row.disarm(self._env, have)
        return row.delete(self._env, have)

    def _swept(self, name: str, task: Task, operation: Any, error: Exception | None) -> None:
        if error is not None and not isinstance(error, AlreadyDone | Gone):
            task.swept.discard(name)
            if not isinstance(error, Retryable):
                self._actions.fail(task, error)
                return
            self._actions.note(task, str(error))
            task.not_before = max(task.not_before, self._actions.now() + (error.after or 0.0))
        if not task.calling and not task.finished:
            self._actions.wait(task, 0.0 if error is None else None)
