"""Exact search: every score is computed, and one order decides everywhere."""
