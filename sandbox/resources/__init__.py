"""What the API offers.

One folder per resource: ``routes`` (path to handler), ``responses`` (parse, shape JSON) and ``models`` (state, rules
and domain errors; no HTTP).
"""
