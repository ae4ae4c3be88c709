"""Tests of the sandbox, by clients that know nothing of its code."""
