"""Chromium without a window, as Debian has it."""

from __future__ import annotations

import shutil
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

_WORDS = ("headless=new", "no-sandbox", "no-first-run", "hide-scrollbars")
#: What would look for a network, or for a graphics card.
_WITHOUT = ("gpu", "dev-shm-usage", "background-networking", "component-update", "sync", "quic", "extensions")
#: Pixels; narrower is a phone.
_PHONE_MAX = 500


def chromium(profile: Path) -> Chrome:
    """Starts it with an empty profile.  That it is missing is no reason to skip a test: ``make setup`` installs it."""
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    assert all(programs.values()), f"{programs}: apt-get install chromium chromium-driver, or make setup"
    options = ChromeOptions()
    options.binary_location = str(programs["chromium"])
    words = [*_WORDS, *(f"disable-{word}" for word in _WITHOUT), f"user-data-dir={profile}"]
    for word in words:
        options.add_argument(f"--{word}")
    return Chrome(options=options, service=Service(programs["chromedriver"]))


def emulate(page: Chrome, *, width: int, height: int, scheme: str = "light", media: str = "", scale: float = 1) -> None:
    """Makes it show pages as on such a screen."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < _PHONE_MAX}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
