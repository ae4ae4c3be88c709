"""What the API refuses or does not say is told in words, wherever a command asks it."""

import subprocess
import sys
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner

from adapters.hetzner.cloud import Cloud
from adapters.hetzner.errors import CloudError
from adapters.hetzner.servers import ServerRequest
from cli.__main__ import app
from cli.live import ask
from cli.words import one_line, with_remedy
from images.costs import PricesError, read_prices
from tests.adapters.hetzner.test_cloud import request_

__all__ = ["request_"]


def test_where_there_is_room_for_a_line_an_error_takes_one() -> None:
    assert one_line(CloudError("it does not answer.\n    Start it.")) == "it does not answer. Start it."


def test_a_path_that_is_none_is_named() -> None:
    assert with_remedy(OSError("disk full")) == "disk full"
    assert with_remedy(NotADirectoryError(20, "Not a directory", "a/b")).startswith("a/b: Not a directory.\n")


def test_the_catalogue_has_the_prices_of_the_report_and_no_server_of_ours(
    cloud: Cloud, request_: ServerRequest
) -> None:
    cloud.create_server(request_)
    live = ask(cloud.client)
    prices = read_prices(cloud.client.request("GET", "/pricing"))
    assert (live.gigabyte_month, live.currency) == (float(prices.snapshot_gb_month), prices.currency)
    assert live.servers == {}


def test_prices_of_another_shape_are_told_in_words() -> None:
    with pytest.raises(PricesError, match="another shape"):
        ask(Mock(request=Mock(return_value={"pricing": {}})))


def test_a_misspelt_command_is_suggested_once() -> None:
    said = CliRunner().invoke(app, ["sumary"]).stderr
    assert said.count("Did you mean") == 1
    assert "'summary'" in said


def test_a_reader_that_goes_early_is_no_error() -> None:
    """As `head` does."""
    command = [sys.executable, "-m", "cli", "artifacts", "--stack", "sandbox"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
