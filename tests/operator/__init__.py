"""The operator on a management cluster of the sandbox, with emulated clouds beside it."""
