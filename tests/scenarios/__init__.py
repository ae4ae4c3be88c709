"""Scenarios: the real engine against a disturbed sandbox, and what must hold once it has run again in peace.

*scenario* says what a scenario is, *catalogue* lists all of them, *world* is where one runs, *acts* what may happen meanwhile,
*invariants* what must hold afterwards, *run* runs one, *report* tells of all. `make soak` is `python -m tests.scenarios`.
"""
