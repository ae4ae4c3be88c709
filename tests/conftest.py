"""What holds for all tests."""

import signal

# A shell that starts a command in the background has it ignore Ctrl-C, and whatever that command starts as well:
# programs under test must get the default that a terminal gives them.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The same of a closed terminal, which nohup takes away.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

pytest_plugins = ["tests.proofs"]
