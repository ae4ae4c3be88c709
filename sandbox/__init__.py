"""Hetzner Cloud on one machine: its API, emulated, with real booted machines behind it.

Use it through ``python -m sandbox`` (see README.md beside this file). It knows nothing of the project around it.

Map: ``cli`` (commands) -> ``daemon`` (one process in the background) -> ``api`` (HTTP) -> ``resources`` (what the API
offers: per resource *routes*, *responses*, *models*; models know no HTTP) -> ``machines`` (real, light, instant or none).
Beside: ``resources/faults``, ``resources/conditions`` and ``journal``, what tests order, set and look at.

Gaps against the real API are listed in README.md and in the docstring of the module that has them.
"""

VERSION = "0.1"
