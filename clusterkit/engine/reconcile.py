"""What to do about one resource, given what a look said: converge, remove or sweep.

look → absent? create : failed in an earlier life? remove, then create : not ready? come back later
: differs? edit : done. It decides; ``run.py`` makes the calls, waits and ends.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from clusterkit.engine import backoff, ownership
from clusterkit.engine.actions import Actions
from clusterkit.engine.compare import calls, differences, refuse, usable
from clusterkit.engine.edit import Edit
from clusterkit.engine.inventory import Inventory, Named
from clusterkit.engine.kind import Env, Kind
from clusterkit.engine.operation import Operation
from clusterkit.engine.seen import hint, reason
from clusterkit.engine.sweep import Sweep
from clusterkit.engine.task import Task
from clusterkit.errors import (
    Absent,
    AlreadyDone,
    Busy,
    CloudError,
    Diverged,
    Exists,
    Gone,
    InUse,
    Propagating,
    Protected,
    Rejected,
    Retryable,
    ServerError,
)

MOST_UPDATES = 3
MOST_DELETES = 3


class Reconcile:
    """Brings one task after the other a step further."""

    def __init__(
        self,
        env: Env[Any],
        states: dict[str, Any],
        lives: dict[str, int],
        inventory: Inventory,
        actions: Actions,
    ) -> None:
        """``states`` and ``lives`` are what ``env`` shows; only this writes them."""
        self._env = env
        self._states = states
        self._lives = lives
        self._inventory = inventory
        self._actions = actions
        self._sweep = Sweep(env, actions)

    def serve(self, task: Task, named: Named) -> None:
        """What a look says of the task's kind."""
        if task.op == "sweep":
            self._sweep(task, named)
            return
        states = named.get(task.step.name, [])
        if task.step.id:
            states = [state for state in states if state.id == task.step.id]
        elif len(states) > 1:
            self._actions.fail(task, ownership.twins(task.kind, task.step.name, states))
            return
        have = states[0] if states else None
        if have != task.last:
            task.last, task.changed = have, self._actions.now()
        if task.removing:
            self._remove(task, have)
        else:
            self._converge(task, have)

    def _converge(self, task: Task, have: Any) -> None:
        if have is None:
            self._absent(task)
            return
        task.appeared = True
        kind, status = task.type, reason(have)
        if have.status in kind.failed:
            if task.made and not self._too_new(task, have):
                self._actions.fail(task, _ended(task, have))
            else:
                self._actions.note(task, f"removing what failed before: {status}")
                task.removing = True
                self._remove(task, have)
        elif have.status in kind.leaving:
            task.removing = True
            task.asked = self._actions.now()
            self._remove(task, have)
        elif not usable(kind, have) or (have.status in kind.unhealthy and task.made):
            self._actions.wait(task, note=status.lower() if have.status else "not ready yet")
        else:
            self._actions.call(
                task, lambda: self._compared(task, have), partial(self._differs, have)
            )

    def _too_new(self, task: Task, have: Any) -> bool:
        words = task.type.too_new
        return bool(words) and words in reason(have) and not self._lives.get(task.key)

    def _absent(self, task: Task) -> None:
        if task.asked is not None and task.appeared:
            task.asked, task.appeared = None, False  # it was there and went: somebody removed it
        if task.asked is not None:
            self._actions.wait(task, note="created, not listed yet")
            return
        if not task.attempts:
            self._actions.note(task, "creating")
        self._actions.call(task, lambda: self._create(task), self._created)

    def _create(self, task: Task) -> Any:
        """Create it, and make the edits that follow at once; runs on a worker.

        An operation, or what is there now, or None if only a look can tell.
        """
        wish, env = task.wish, self._env
        made: Any = wish.create(env)
        if made is None or isinstance(made, Operation) or not usable(task.kind, made):
            return made
        # what is too early for an eventually consistent service is left to the next look
        with suppress(Absent, AlreadyDone, Gone, Retryable):
            edits = [] if wish.whole else differences(wish, env, made)
            wanted = calls(edits)[: 1 if wish.serial else None]
            operation = self._apply(task, made, wanted)
            return made if operation is None and len(wanted) == len(calls(edits)) else operation
        return None

    def _compared(self, task: Task, have: Any) -> list[Edit]:
        edits = differences(task.wish, self._env, have)
        refuse(task.wish, edits)
        return edits

    def _differs(
        self, have: Any, task: Task, edits: list[Edit] | None, error: Exception | None
    ) -> None:
        if isinstance(error, Retryable):
            self._actions.again(task, error)
        elif isinstance(error, Gone):
            self._propagating(task, error)
        elif error is not None or edits is None:
            self._actions.fail(task, error or TypeError("no edits"))
        elif not edits:
            self._states[task.key] = have
            self._actions.done(task, note=reason(have) if _sick(task, have) else "")
        elif any(edit.replace for edit in edits):
            if task.made:
                self._actions.fail(
                    task, _diverged(task, "still differs after it was created", edits)
                )
                return
            task.removing = True
            self._remove(task, have)
        else:
            self._edit(task, have, edits)

    def _edit(self, task: Task, have: Any, edits: list[Edit]) -> None:
        if task.fewest is None or len(edits) < task.fewest:
            task.updates = 0  # some services take one change at a time, and this one took it
            task.fewest = len(edits)
        if self._actions.now() < task.settled_after:
            self._actions.wait(task, note="updating")
        elif task.updates == MOST_UPDATES:
            what = f"still differs after {MOST_UPDATES} updates"
            self._actions.fail(task, _diverged(task, what, edits))
        else:
            names = dict.fromkeys(edit.field for edit in edits)
            self._actions.note(task, "updating " + ", ".join(names))
            wanted = calls(edits)[: 1 if task.wish.serial else None]
            self._actions.call(task, lambda: self._apply(task, have, wanted), self._edited)

    def _apply(
        self, task: Task, have: Any, wanted: list[Callable[[], Any]]
    ) -> Operation[Any] | None:
        """Make the calls; the first that begins an operation ends the round. Runs on a worker."""
        try:
            for apply in wanted:
                if isinstance(operation := apply(), Operation):
                    return operation
            return None
        finally:
            self._inventory.forget(task.kind, have.id)

    def _remove(self, task: Task, have: Any) -> None:
        if have is None:
            self._removed(task)
            return
        if have.status in task.type.leaving:
            task.asked, task.left = task.asked or self._actions.now(), True
            self._actions.wait(task, note=reason(have).lower())
        elif task.asked is not None:
            if have.status in task.type.failed and task.left:
                task.failures += 1
                if task.failures > MOST_DELETES:
                    self._actions.fail(task, _ended(task, have))
                    return
                task.asked, task.left = None, False
            elif have != task.target or self._actions.now() - task.asked > backoff.resend(
                self._env.scale
            ):
                task.asked = None  # it did a part, or is lost: delete again
            self._actions.wait(task, note=reason(have).lower() or "deleting")
        else:
            if not task.attempts:
                self._actions.note(task, "deleting")
            self._actions.call(task, lambda: self._delete(task, have), partial(self._deleted, have))

    def _delete(self, task: Task, have: Any) -> object:
        """Delete it; a refusal because it is in use names what is in the way. Runs on a worker."""
        try:
            return self._apply(task, have, [partial(task.type.delete, self._env, have)])
        except InUse as error:
            with suppress(CloudError):
                if found := [*task.type.occupants(self._env, have)]:
                    error.what += f" In the way: {', '.join(map(str, found))}"
            raise

    def _removed(self, task: Task) -> None:
        if task.step.wish is None:
            self._actions.done(task)
            return
        task.removing = task.appeared = False
        task.asked = None
        self._lives[task.key] = self._lives.get(task.key, 0) + 1
        self._converge(task, None)

    def _created(self, task: Task, operation: Any, error: Exception | None) -> None:
        if error is None or isinstance(error, AlreadyDone):
            task.asked, task.made = self._actions.now(), True
            task.expect(task.asked, task.type.takes.create)
            if operation is None or isinstance(operation, Operation):
                self._accepted(task, operation)
            else:
                self._accept(task)
                self._made(task, operation)
        elif isinstance(error, Exists):
            # our own earlier try, or an earlier run's, may not be listed yet
            self._unlisted(task, error)
        elif isinstance(error, Gone | Propagating):
            self._propagating(task, error)
        elif isinstance(error, Retryable):
            task.unsure = task.unsure or isinstance(error, ServerError)
            self._actions.again(task, error)
        else:
            self._actions.fail(task, error)

    def _unlisted(self, task: Task, error: Exists) -> None:
        now = self._actions.now()
        task.unlisted = task.unlisted or now
        bound = backoff.PROPAGATION if task.unsure else backoff.SETTLE
        if now - task.unlisted < max(0.5, bound * self._env.scale):
            self._actions.again(task, Busy(error.what, code=error.code, operation=error.operation))
        else:
            wish, env = task.wish, self._env
            self._actions.call(task, lambda: wish.taken(env), partial(self._taken, error))

    def _taken(self, exists: Exists, task: Task, holder: Any, error: Exception | None) -> None:
        """Whose name it is, if the cloud tells."""
        if error is None and holder is not None:
            self._actions.fail(task, ownership.not_ours(task.wish, holder.id))
        elif error is None and type(task.wish).taken is not Kind.taken:
            self._actions.fail(
                task, exists
            )  # nothing has the name: it is refused for other reasons
        else:
            self._actions.fail(task, ownership.name_taken(task.wish, exists))

    def _propagating(self, task: Task, error: Exists | Gone | Propagating) -> None:
        """Something that exists is not known to this service yet: for a time that is normal."""
        now = self._actions.now()
        task.propagating = task.propagating or now
        if now - task.propagating < max(5.0, task.wish.propagation * self._env.scale):
            busy = Propagating(
                error.what, code=error.code, operation=error.operation, request_id=error.request_id
            )
            self._actions.again(task, busy)
        elif not isinstance(error, Propagating):
            self._actions.fail(task, error)
        else:
            rejected = Rejected(
                error.what, code=error.code, operation=error.operation, request_id=error.request_id
            )
            rejected.hint = error.hint
            self._actions.fail(task, rejected)

    def _edited(self, task: Task, operation: Any, error: Exception | None) -> None:
        if error is None or isinstance(error, AlreadyDone):
            task.updates += 1
            task.expect(0.0, 0.0)
            lag = backoff.SETTLE * 3.0 ** (task.updates - 1)
            task.settled_after = self._actions.now() + lag * self._env.scale
            self._accepted(task, operation)
        elif isinstance(error, Exists | Gone | Propagating):
            # Exists: our own earlier try, which the look did not show yet
            self._propagating(task, error)
        elif isinstance(error, Retryable):
            self._actions.again(task, error)
        else:
            self._actions.fail(task, error)

    def _deleted(self, have: Any, task: Task, operation: Any, error: Exception | None) -> None:
        if error is None or isinstance(error, AlreadyDone | Gone):
            # a part that was gone may have kept the rest: the next look tells
            task.asked, task.target = self._actions.now(), have
            task.expect(task.asked, task.type.takes.delete)
            self._accepted(task, operation if error is None else None)
        elif isinstance(error, Protected) and task.type.protectable() and not task.unprotected:
            task.unprotected = True
            self._actions.note(task, "switching off its protection")
            self._actions.call(
                task, lambda: task.type.unprotect(self._env, have), self._unprotected
            )
        elif isinstance(error, Retryable):
            if isinstance(error, InUse):
                self._actions.sweep_again()
            self._actions.again(task, error)
        else:
            self._actions.fail(task, error)

    def _unprotected(self, task: Task, operation: Any, error: Exception | None) -> None:
        if error is None or isinstance(error, AlreadyDone | Gone):
            self._accepted(task, operation if error is None else None)
        elif isinstance(error, Retryable):
            task.unprotected = False
            self._actions.again(task, error)
        else:
            self._actions.fail(task, error)

    def failed(self, task: Task, error: CloudError) -> None:
        """The operation that a call began has failed. Some clouds say only then what others refuse
        at once (in use, too many requests): the call is worth another try.
        """
        if isinstance(error, Retryable):
            task.asked = None
            if isinstance(error, InUse):
                self._actions.sweep_again()
            self._actions.again(task, error)
        else:
            self._actions.fail(task, error)

    def _made(self, task: Task, have: Any) -> None:
        """What the cloud answered to the create is worth a look."""
        task.last = have
        if usable(task.kind, have):  # and the edits are made
            self._states[task.key] = have
            self._actions.done(task)
        else:
            self._converge(task, have)
            task.appeared = False  # in a list, which may lag behind

    def _accept(self, task: Task) -> None:
        task.attempts = 0
        if task.propagating is not None:
            task.changed = self._actions.now()  # the wait for news does not count
        task.propagating = task.unlisted = task.trouble = None

    def _accepted(self, task: Task, operation: object) -> None:
        self._accept(task)
        if isinstance(operation, Operation):
            self._actions.operate(task, operation)
        else:
            self._actions.wait(task, 0.0)


def _sick(task: Task, have: Any) -> bool:
    return have.status in task.type.unhealthy


def _diverged(task: Task, what: str, edits: list[Edit]) -> Diverged:
    return Diverged(
        f"{what}: {'; '.join(map(str, edits))}",
        where=task.key,
        hint="this is a bug in clusterkit's driver; please report it with this line",
    )


def _ended(task: Task, have: Any) -> Rejected:
    """The error for a thing that ended in a failed state."""
    why = getattr(have, "reason", "")
    what = why or f"the {task.type.kind.replace('-', ' ')} failed"
    return Rejected(what, where=task.key, code=have.status, hint=hint(have))
