"""What the catalogue announces to the apps above it, which it may not import."""

from django.dispatch import Signal

# Sent with `benchmark`, inside the transaction that changed its datasets or one of their protocols:
# a receiver recomputes what it keeps about the benchmark, and by raising undoes the change.
benchmark_changed = Signal()
