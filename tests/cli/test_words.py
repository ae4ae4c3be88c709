"""What the API refuses or does not say is told in words, wherever a command asks it."""

from unittest.mock import Mock

import pytest
import requests
from hcloud import APIException

from cli.live import ask
from cli.words import reason, with_remedy
from components.cloud import Cloud, ServerRequest
from images.costs import PricesError, read_prices
from tests.components.test_cloud import request_

__all__ = ["request_"]


def test_a_reason_is_one_line_and_a_remedy_follows_where_there_is_one() -> None:
    silent = requests.ConnectTimeout("a page of causes")
    assert reason(silent) == "the API does not answer (ConnectTimeout)"
    assert with_remedy(silent).startswith(f"{reason(silent)}.\n")
    assert "make sandbox-start" in with_remedy(silent)
    refused = APIException("unauthorized", "unable to authenticate", {})
    assert with_remedy(refused) == "the API refuses (unauthorized): unable to authenticate"
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
