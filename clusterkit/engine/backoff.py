"""How long to wait between two looks and before another try: the engine's only numbers about time.

All are seconds of the real cloud and are multiplied by the context's scale (1, or 1/pace on a
sandbox).
"""

from __future__ import annotations

import random

FIRST_POLL = 1.0
LONGEST_POLL = 15.0
"""the interval of the vendors' own waiters lies between 10 and 30 s"""
SHARE = 0.02
"""a wait of unknown length is noticed to be over at most this share of its length late"""
EARLY = 0.9
"""the share of its typical length before which a wait seldom ends: the least that was seen of most
is 0.84 to 0.95 of it (facts/durations.tsv, ``min``); ``Durations.early`` where it is less"""
AIMED = 1.01
"""times its typical length: when a wait most likely has just ended. A look at that length itself is
a moment too early wherever the request that began it took one
"""
RARE = 60.0
"""until then a wait is looked at so often: a failure shows within a minute"""
LATE = 0.04
"""from then on, a wait is noticed to be over at most this share of its length late"""
SETTLE = 10.0
"""how long a list may lag behind an update before the update is made again, and three times as long
before each next one: a driver that never settles is told from news that take two minutes"""
BACKOFF_FIRST = 1.0
BACKOFF_LONGEST = 60.0
OPTIONAL_TRIES = 8
"""lists of an optional kind that is throttled, before a plan goes on without it"""
PROBES = 3
PROBING = 10.0
"""lists of an optional kind whose server does not answer, and real seconds they take after which no
other is begun: one lost answer leaves nothing out, and an endpoint out of reach costs two
connections that time out
"""
COMPARE_TRIES = 8
"""comparisons that ask the cloud (a server-side dry run), before a plan fails"""
OPTIONAL_PATIENCE = 120.0
"""how long a run waits for what is optional and in trouble: a new endpoint's name takes a minute to
resolve. ``Propagating`` is no trouble"""
PROPAGATION = 120.0
"""how long something just made may be unknown to another service: identities need up to two minutes
(facts/durations.tsv, "IAM propagation allowed for")"""
RESEND = 30.0
"""after how long a delete that was accepted and shows no effect is sent again"""
SHORTEST = 0.01
"""real seconds: even a sandbox without latency is not asked in a tight loop"""
LEAST_PATIENCE = 60.0
"""real seconds: a fast sandbox still runs on a slow machine"""


def poll(elapsed: float, scale: float, typical: float = 0.0, early: float = EARLY) -> float:
    """Seconds until the next look at something that has been waited for ``elapsed`` seconds.

    ``typical``: how many seconds of the real cloud such a wait usually takes; 0 where nobody knows.
    ``early``: the share of that before which it seldom ends.
    """
    usual = typical * scale
    if not usual:
        return max(SHORTEST, min(max(elapsed * SHARE, FIRST_POLL * scale), LONGEST_POLL * scale))
    pause = max(elapsed * LATE, FIRST_POLL * scale)
    if elapsed < early * usual:
        pause = max(pause, early * usual - elapsed)
    elif elapsed < AIMED * usual:
        pause = min(pause, AIMED * usual - elapsed)
    return max(SHORTEST, min(pause, RARE * scale))


def delay(attempt: int, after: float | None, scale: float) -> float:
    """Seconds before try number ``attempt`` + 1 (from 1): full jitter, never less than ``after``.

    Full jitter: M. Brooker, "Exponential Backoff And Jitter", 2015.
    """
    longest = min(BACKOFF_LONGEST, BACKOFF_FIRST * 2.0 ** min(attempt - 1, 10))
    waited = max(random.uniform(0.0, longest), after or 0.0)
    return max(SHORTEST, waited * scale)


def resend(scale: float) -> float:
    """Seconds until a delete that was accepted and has had no effect is sent again."""
    return max(1.0, RESEND * scale)


def deadline(patience: float, scale: float) -> float:
    """Seconds here that a step of ``patience`` seconds may take."""
    return max(LEAST_PATIENCE, patience * scale)
