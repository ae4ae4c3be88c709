"""Headless Chromium over the WebDriver protocol, which is plain HTTP: Debian's chromedriver and no library of its own."""

import base64
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.workspace import free_port

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"]
OFFLINE = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


class Browser:
    """One window. What it says is JSON; errors of the page's script are exceptions."""

    def __init__(self, session: httpx.Client) -> None:
        self._session = session

    def _post(self, command: str, **body: Any) -> Any:
        answer = self._session.post(command, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["value"]

    def open(self, page: Path) -> None:
        self._post("url", url=page.absolute().as_uri())

    def script(self, text: str, *arguments: Any) -> Any:
        """The value of an expression, waited for where it is a promise; `arguments` are `arguments` in it."""
        return self._post("execute/sync", script=f"return {text}", args=arguments)

    def find(self, selector: str) -> str:
        return self._post("element", using="css selector", value=selector)[ELEMENT]

    def click(self, selector: str) -> None:
        self._post(f"element/{self.find(selector)}/click")

    def type(self, selector: str, text: str) -> None:
        self._post(f"element/{self.find(selector)}/value", text=text)

    def allow(self, permission: str) -> None:
        self._post("permissions", descriptor={"name": permission}, state="granted")

    def console(self) -> list[str]:
        """What the browser complained of since it was last asked."""
        return [entry["message"] for entry in self._post("se/log", type="browser")]

    def picture(self) -> bytes:
        return base64.b64decode(self._session.get("screenshot").json()["value"])


@contextmanager
def browser(width: int, height: int, *, phone: bool = False) -> Iterator[Browser]:
    """A window of this size; a phone's takes touches and shows two pixels for one."""
    port = free_port()
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with tempfile.TemporaryDirectory(prefix="chromium-") as profile, httpx.Client(timeout=60) as client:
            server = f"http://127.0.0.1:{port}"
            _wait_for(client, f"{server}/status")
            flags = [*QUIET, *OFFLINE, f"--window-size={width},{height}", f"--user-data-dir={profile}"]
            options: dict[str, Any] = {"args": flags}
            if phone:
                options["mobileEmulation"] = {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 2}}
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            answer = client.post(f"{server}/session", json={"capabilities": {"alwaysMatch": wanted}}).json()
            session = f"{server}/session/{answer['value']['sessionId']}/"
            with httpx.Client(base_url=session, timeout=60) as window:
                yield Browser(window)
            client.delete(session.rstrip("/"))
    finally:
        driver.terminate()
        driver.wait(timeout=30)


def _wait_for(client: httpx.Client, url: str) -> None:
    for _ in range(200):
        try:
            if client.get(url).json()["value"]["ready"]:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{url} did not answer")
