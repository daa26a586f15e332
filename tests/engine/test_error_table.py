"""How the table of a cloud's error codes is read; what the codes are is in ``tests/facts``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterkit.engine.error_table import ErrorTable, Row
from clusterkit.errors import (
    Busy,
    CloudError,
    CredentialsError,
    Denied,
    Exists,
    Gone,
    InUse,
    QuotaExceeded,
    Rejected,
    Retryable,
    ServerError,
    Throttled,
)

TABLE = ErrorTable(
    [
        Row(Exists, "InUse", "Create*", message="already exists"),
        Row(InUse, "InUse", "Delete* Detach*", message="nodegroups attached"),
        Row(Busy, "InUse"),
        Row(Throttled, "Throttling* Later"),
        Row(CredentialsError, "BadKey", hint="sign in"),
        Row(Denied, "NoPermission"),
        Row(QuotaExceeded, "Quota.*", hint="ask for more"),
        Row(Gone, "*.NotFound"),
    ],
    hints={Denied: "needs the permission for {operation}", CredentialsError: "never shown"},
)


def test_code_operation_and_text_decide_and_the_first_row_wins() -> None:
    def kind(operation: str, message: str = "m", code: str = "InUse") -> type[Exception]:
        return type(TABLE.classify(code, 409, message, operation))

    assert kind("CreateX", "X ALREADY\nexists: already exists") is Exists
    assert kind("CreateX") is Busy
    assert kind("DeleteX", "it has nodegroups attached") is InUse
    assert kind("DetachX", "it has nodegroups attached") is InUse
    assert kind("UpdateX", "it has nodegroups attached") is Busy
    assert kind("Any", code="Throttling.User") is Throttled
    assert kind("Any", code="throttling") is Rejected  # case counts
    assert kind("Any", code="XThrottling") is Rejected
    assert kind("Any", code="Quotas") is Rejected  # the dot is a dot
    assert kind("Any", code="A.B.NotFound") is Gone


def test_what_the_error_says() -> None:
    error = TABLE.classify("NoPermission", 400, "not you", "DeleteX", "R1")
    assert isinstance(error, Denied)
    assert (str(error), error.hint) == ("DeleteX: not you", "needs the permission for DeleteX")
    assert (error.code, error.operation, error.request_id) == ("NoPermission", "DeleteX", "R1")
    assert str(TABLE.classify("NoPermission", 400, "", "DeleteX")) == "DeleteX: NoPermission"
    later = TABLE.classify("Later", 400, "m", "X", after=3.0)
    assert isinstance(later, Throttled)
    assert later.after == 3.0
    told = TABLE.classify("BadKey", 403, "who?", "X")
    assert isinstance(told, CredentialsError)
    assert told.hint == "sign in"


def test_messages_may_stand_alone() -> None:
    table = ErrorTable([], {}, prefix=False)
    assert str(table.classify("C", 400, "no", "PATCH /api")) == "no"


def test_a_failure_told_in_words_is_cured_by_the_first_code_that_has_a_cure() -> None:
    assert TABLE.cure("CreateFailed: InUse, then Quota.Vcpu: no more") == "ask for more"
    assert TABLE.cure("it did not work.") == ""


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, Throttled), (500, ServerError), (503, ServerError), (404, Rejected), (403, Rejected)],
)
def test_of_a_code_nobody_knows(status: int, kind: type[Exception]) -> None:
    assert type(TABLE.classify("Unheard", status, "m", "X")) is kind


@given(
    code=st.text(max_size=20),
    status=st.integers(0, 599),
    message=st.text(max_size=40),
    operation=st.text(max_size=20),
    after=st.none() | st.floats(0, 100),
)
def test_any_answer_at_all_is_some_error(
    code: str, status: int, message: str, operation: str, after: float | None
) -> None:
    error = TABLE.classify(code, status, message, operation, after=after)
    assert isinstance(error, CloudError | CredentialsError)
    assert operation in str(error)
    if isinstance(error, Retryable):
        assert error.after == after
    assert isinstance(TABLE.cure(message), str)
