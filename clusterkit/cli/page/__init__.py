"""``--report`` and ``--html``: one self-contained page with the graph and the timeline of clusters.

``record`` collects what a run says, ``critical_path`` and ``layout`` compute, ``graph``,
``timeline`` and ``html`` draw, ``writing`` is the option.
"""
