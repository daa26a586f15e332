"""boto3's calls as ``Exchange``s, through botocore's events.

A session's handlers are those of every client made from it, also of the ones botocore makes to
assume a role (boto3 guide, "Extensibility").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clusterkit.engine.exchange import Exchange, Observe

if TYPE_CHECKING:
    from botocore.session import Session

READS = ("Describe", "List", "Get", "BatchGet", "Assume")
"""how the names of the operations begin that change nothing"""
_KEY = "clusterkit-exchange"


def report(session: Session, observe: Observe) -> None:
    """Tell ``observe`` of every call of this session's clients."""

    def before(model: Any, params: Any, context: Any, **_: Any) -> None:
        context[_KEY] = asked = Exchange(
            "before",
            model.service_model.service_name,
            model.name,
            mutating=not model.name.startswith(READS),
            method=params["method"],
            url=params["url"],
            sent=params.get("body") or None,
        )
        observe(asked)

    def after(http_response: Any, parsed: Any, context: Any, **_: Any) -> None:
        refused = parsed.get("Error", {})
        error = f"{refused.get('Code')}: {refused.get('Message')}" if refused else ""
        observe(context[_KEY].answered(http_response.status_code, parsed, error))

    def lost(exception: BaseException, context: Any, **_: Any) -> None:
        observe(context[_KEY].answered(None, error=exception))

    handlers: dict[str, Any] = {
        "before-call": before,
        "after-call": after,
        "after-call-error": lost,
    }
    for event, handler in handlers.items():
        session.register(event, handler)
