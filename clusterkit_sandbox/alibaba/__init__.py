"""Alibaba Cloud as the sandbox emulates it: VPC, ECS, RAM, STS, load balancers, Container Registry
and Container Service for Kubernetes (ACK), behind the real host names.

Every request is checked against the vendor's published description (``data/``, written by
``tools/gen_alibaba_models.py``) and its signature; every answer has the published shape.
"""
