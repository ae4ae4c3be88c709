"""What bash says of a script before anybody runs it."""

import os
import subprocess

# Servers have bash 5. An older one, such as macOS brings, would refuse what they take.
CHECK = "((BASH_VERSINFO[0] < 5)) || exec bash -n"


def syntax_error(script: str) -> str:
    """What bash says of the first line that it does not take: "line 3: syntax error near unexpected token `fi'".

    Nothing where all of it is, or where this machine has no bash to ask.
    """
    try:
        result = subprocess.run(
            ["bash", "-c", CHECK],
            input=script,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError:
        return ""
    return result.stderr.partition("\n")[0].removeprefix("bash: ")
