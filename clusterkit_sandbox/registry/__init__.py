"""The OCI registry behind the registry hosts of every emulated cloud, and of Docker Hub.

``api`` is the distribution API on what ``clusterkit_sandbox.content`` keeps on disk, ``server``
finds the ``service`` that a host belongs to. A service says who may do what in which repository;
each cloud has one, beside the rest of its emulator.
"""
