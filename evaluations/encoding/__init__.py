"""Texts to vectors, near the machine's limit, for every kind that has an encoder.

`threads` and `cache` import no torch; the others do, so that adapters import them where they load.
"""
