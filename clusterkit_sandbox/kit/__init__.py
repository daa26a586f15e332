"""The emulator kit: what the emulators of all clouds share.

``store`` keeps the objects, ``life`` takes them through their states, ``operations`` are the
vendors' long-running ones, ``calls`` finds a request's handler, ``shape`` and ``wire`` check and
write requests and answers, ``cluster`` is what every managed Kubernetes does.
"""
