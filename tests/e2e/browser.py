"""Chromium without a window, driven by chromedriver's WebDriver API (https://www.w3.org/TR/webdriver2/)."""

import base64
import contextlib
import os
import pathlib

from lib import Process, check, free_port, http, temporary_directory, wait_until

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
]
# How WebDriver names an element in an answer.
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
# What keys are typed as (section 17.4.2).
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "End": "\ue010", "Home": "\ue011", "Left": "\ue012", "Right": "\ue014"}


class Browser:
    """One window."""

    def __init__(self, driver_url, profile):
        options = {"args": [*FLAGS, f"--user-data-dir={profile}", "--window-size=1400,1000"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.url = driver_url
        answer = self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}}, deadline_s=60)
        self.url = f"{driver_url}/session/{answer['sessionId']}"

    def _send(self, method, path, body=None, deadline_s=30):
        answer = http(method, self.url + path, body, deadline_s=deadline_s)
        check(answer.status == 200, f"WebDriver {method} {path}: {answer.status} {answer.body[:1500]!r}")
        return answer.json["value"]

    def open(self, url):
        self._send("POST", "/url", {"url": url})

    def reload(self):
        self._send("POST", "/refresh", {})

    def address(self):
        return self._send("GET", "/url")

    def run(self, script, *args):
        """What the body of a function answers within the page."""
        return self._send("POST", "/execute/sync", {"script": script, "args": list(args)})

    def find(self, selector):
        found = self._send("POST", "/elements", {"using": "css selector", "value": selector})
        check(found, f"there is no {selector} on the page")
        return f"/element/{found[0][ELEMENT]}"

    def shows(self, selector):
        """Whether there is such an element, and a person can see it."""
        return self.run("const e = document.querySelector(arguments[0]); return !!e && e.checkVisibility()", selector)

    def text(self, selector):
        return self._send("GET", f"{self.find(selector)}/text")

    def click(self, selector):
        self._send("POST", f"{self.find(selector)}/click", {})

    def type(self, selector, text):
        """Types into an element; a name of KEYS is that key."""
        self._send("POST", f"{self.find(selector)}/value", {"text": KEYS.get(text, text)})

    def choose(self, selector, value):
        """Chooses an option of a list by its value."""
        self.click(f'{selector} option[value="{value}"]')

    def devtools(self, command, **params):
        return self._send("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def width(self, pixels):
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=pixels, height=900, deviceScaleFactor=1, mobile=False
        )

    def zone(self, name):
        self.devtools("Emulation.setTimezoneOverride", timezoneId=name)

    def colours(self, scheme):
        """`light` or `dark`."""
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path):
        """The whole page as a PNG."""
        taken = self.devtools("Page.captureScreenshot", captureBeyondViewport=True)
        pathlib.Path(path).write_bytes(base64.b64decode(taken["data"]))

    def complaints(self):
        """What the console was told since the last call: errors of scripts, refused loads, answers that are none."""
        return [entry["message"] for entry in self._send("POST", "/se/log", {"type": "browser"})]

    def wait_for(self, selector):
        wait_until(lambda: self.shows(selector), f"{selector} on the page", state=lambda: self.run(PAGE))

    def close(self):
        self._send("DELETE", "")


PAGE = "return document.body.innerText"


@contextlib.contextmanager
def browser():
    with temporary_directory() as directory:
        port = free_port()
        env = {"HOME": directory, "XDG_CONFIG_HOME": directory, "XDG_CACHE_HOME": directory}
        driver = Process([os.environ.get("E2E_CHROMEDRIVER", "chromedriver"), f"--port={port}"], env)
        try:
            url = f"http://127.0.0.1:{port}"
            driver.wait_to_answer(f"{url}/status")
            window = Browser(url, directory / "profile")
            yield window
            window.close()
        finally:
            driver.stop()
