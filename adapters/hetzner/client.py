"""The one way to Hetzner Cloud's API, for the program and the commands: endpoint, token, time-outs, and words for errors."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import requests
from hcloud import Client, HCloudException

from adapters.hetzner.errors import (
    ENCRYPTED,
    FOREIGN_LETTERS,
    MISSING,
    UNOPENED,
    WRONG_TIMEOUTS,
    CloudError,
    explain,
    is_missing,
    not_the_api,
)
from adapters.hetzner.patience import Patience
from adapters.hetzner.transport import ANSWER_SECONDS, CONNECT_SECONDS, Transport, tell
from adapters.hetzner.waiting import pause, times_to_ask
from images.given import is_encrypted
from images.stackfile import PROJECT, Timeouts

VARIABLES = {"hcloud:token": "HCLOUD_TOKEN", "hcloud:endpoint": "HCLOUD_ENDPOINT"}
"""Of the environment, each for where the stack file lacks the setting."""

HETZNER_ENDPOINT = "https://api.hetzner.cloud/v1"
DEFAULT_TIMEOUTS = Timeouts()


class Api:
    """One Hetzner Cloud project. `endpoint` is the API's base URL, `token` 64 characters.

    `client` is the official SDK's, which raises its own errors; `in_words` makes a CloudError of them.
    """

    def __init__(  # noqa: PLR0913 - what it is reached with
        self,
        token: str,
        endpoint: str = HETZNER_ENDPOINT,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        advice: str = "",
        answer_seconds: float = ANSWER_SECONDS,
        say: Callable[[str], object] = tell,
    ) -> None:
        """`advice` is added where the endpoint does not answer. `say` gets a line for each wait that is longer than usual."""
        self.endpoint = endpoint
        self.timeouts = timeouts
        self.advice = advice
        self.client = Client(
            token=token,
            api_endpoint=endpoint,
            application_name="node-images",
            poll_interval=pause,
            poll_max_retries=times_to_ask(timeouts.action),
            timeout=(CONNECT_SECONDS, answer_seconds),
        )
        Patience(timeouts.action, say).take_over(self.client)
        session = self.client._client._session
        session.hooks["response"].append(_refuse_nothing)
        for scheme in ("http://", "https://"):
            session.mount(scheme, Transport(timeouts.action, say))

    @classmethod
    def from_settings(cls, get: Callable[[str], str | None], advice: str = "") -> Self:
        """From the stack's configuration, or the environment as pulumi-hcloud reads it. Raises CloudError."""
        token, endpoint = (get(key) or os.environ.get(variable) for key, variable in VARIABLES.items())
        if not token:
            raise CloudError(MISSING)
        if not re.fullmatch(r"[!-~]+", token):
            raise CloudError(FOREIGN_LETTERS)
        try:
            timeouts = Timeouts.model_validate(json.loads(get(f"{PROJECT}:timeouts") or "{}"))
        except ValueError:
            raise CloudError(WRONG_TIMEOUTS) from None
        return cls(token, endpoint or HETZNER_ENDPOINT, timeouts, advice)

    @classmethod
    def from_stack_file(cls, config: Mapping[str, Any], environments: Sequence[str] = ()) -> Self:
        """From the settings of a stack file as they stand there.

        What is encrypted, and what the `environments` of Pulumi ESC add, only the engine reads. Raises CloudError.
        """
        for key, words in ENCRYPTED.items():
            if is_encrypted(config.get(key)) and not os.environ.get(VARIABLES[key]):
                raise CloudError(words)
        if environments and not config.get("hcloud:token") and not os.environ.get("HCLOUD_TOKEN"):
            raise CloudError(UNOPENED.format(", ".join(environments)))
        texts = {key: value for key in VARIABLES if isinstance(value := config.get(key), str)}
        texts[f"{PROJECT}:timeouts"] = json.dumps(config.get(f"{PROJECT}:timeouts", {}))
        return cls.from_settings(texts.get)

    @contextmanager
    def in_words(self, *, of_lists: bool = False) -> Iterator[None]:
        """Whatever the API refuses, or that it does not answer, becomes a CloudError that says what to do.

        `of_lists`: nothing but lists is asked for, which every Hetzner Cloud API has.
        """
        try:
            yield
        except (HCloudException, requests.RequestException) as error:
            # Without the chain of causes, which the engine's host of providers would print whole.
            wrong = of_lists and is_missing(error)
            raise CloudError(not_the_api(self.endpoint) if wrong else self.explain(error)) from None

    def explain(self, error: Exception) -> str:
        """An error of the SDK or of `requests`, in words."""
        return explain(self.endpoint, error, self.advice, self.timeouts.action)


def _refuse_nothing(response: requests.Response, **_: object) -> None:
    """The SDK takes an answer without its content for one with nothing in it, and fails with a KeyError later."""
    if response.ok and response.status_code != requests.codes.no_content and not response.content:
        raise requests.exceptions.InvalidJSONError(f"{response.status_code} with an empty body", response=response)
