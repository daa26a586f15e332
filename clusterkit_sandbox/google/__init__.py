"""The emulator of Google Cloud: Kubernetes Engine, Compute Engine and what a cluster needs of the
other services, as their discovery documents publish them.
"""
