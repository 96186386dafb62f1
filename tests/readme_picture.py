"""Makes docs/report.png, the README's picture: a finding of a real check in its report.  ``make picture`` runs it."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium.webdriver.common.by import By

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(Path(__file__).parent / "unit"))

from chromium import chromium, emulate  # noqa: E402

COMMAND = [Path(sys.executable).with_name("faultline"), "check", "--patch", ROOT / "corpora/thread/t5.cocci"]
LIMITS = ["--seed", "1", "--jobs", "1", "--stop-first", "-q"]
#: Pixels; what shows the finding without what comes below its picture.
WIDTH, PADDING = 860, 2


def main() -> None:
    """Runs the check, makes its report and takes the picture."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*COMMAND, *LIMITS, "--out", folder], check=False, capture_output=True)
        subprocess.run([COMMAND[0], "report", folder], check=True)
        page = chromium(Path(folder) / "profile")
        try:
            emulate(page, width=WIDTH, height=3000)
            page.get((Path(folder) / "report.html").as_uri())
            finding = page.find_element(By.CSS_SELECTOR, "details.finding")
            image = Image.open(io.BytesIO(page.get_screenshot_as_png()))
            box, legend = finding.rect, finding.find_element(By.CSS_SELECTOR, ".legend").rect
        finally:
            page.quit()
    bottom = legend["y"] + legend["height"] + PADDING
    part = image.crop((int(box["x"]) - 1, int(box["y"]) - 1, int(box["x"] + box["width"]) + 1, int(bottom)))
    part.convert("RGB").quantize(192).save(ROOT / "docs/report.png", optimize=True)


if __name__ == "__main__":
    main()
