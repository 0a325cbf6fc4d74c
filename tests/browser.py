"""A real headless Chromium for tests, and what it can say about a page: what ran, what was asked for, what it cost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
_WATCH = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.__violations.push(
  `${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


class Browser:
    """One Chromium with an empty profile; every page is a file, and nothing else is to be asked for."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self.command("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)
        self.command("Performance.enable", timeDomain="threadTicks")
        self.command("Network.enable")

    def command(self, name: str, **parameters: Any) -> dict[str, Any]:
        """A command of the DevTools protocol."""
        found: dict[str, Any] = self.driver.execute_cdp_cmd(name, parameters)
        return found

    def size(self, width: int, height: int, *, mobile: bool = False) -> None:
        """The viewport from here on."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.command("Emulation.setDeviceMetricsOverride", **metrics)
        self.command("Emulation.setTouchEmulationEnabled", enabled=mobile)

    def media(self, *, dark: bool = False, print_: bool = False) -> None:
        """Which colours the system asks for, and whether this is paper."""
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},  # what is scrolled to is there at once
        ]
        self.command("Emulation.setEmulatedMedia", media="print" if print_ else "", features=features)

    def open(self, page: Path) -> None:
        """Load a page, and forget what was logged before."""
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)
        self.driver.get(page.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[WebElement]:
        """Every element that a selector finds."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        """The first."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def named(self, name: str, within: str = "button") -> WebElement:
        """The first element whose text is `name`."""
        return next(one for one in self.all(within) if one.text == name)

    def settle(self) -> None:
        """Wait until what was asked for is drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 0)));"
        )

    def seconds(self) -> float:
        """Processor time of the page's main thread so far, whatever else the machine is doing."""
        metrics = {one["name"]: one["value"] for one in self.command("Performance.getMetrics")["metrics"]}
        return float(metrics["TaskDuration"])

    def errors(self) -> list[str]:
        """What the page logged, violations of its policy included."""
        logged = [str(one["message"]) for one in self.driver.get_log("browser")]
        return logged + list(self.run("return window.__violations"))

    def asked(self) -> list[str]:
        """The addresses of every request since the page was opened, but for those that its policy stopped."""
        found: dict[str, str] = {}
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found[message["params"]["requestId"]] = message["params"]["request"]["url"]
            elif message["params"].get("blockedReason") == "csp":
                found.pop(message["params"]["requestId"], None)
        return list(found.values())

    def dialog(self) -> bool:
        """Whether the page put up a dialog."""
        try:
            self.driver.switch_to.alert.dismiss()
        except NoAlertPresentException:
            return False
        return True


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile in `profile`; gone when the block ends."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver") or ""))
    try:
        driver.set_page_load_timeout(120)
        driver.set_script_timeout(60)
        yield Browser(driver)
    finally:
        driver.quit()
