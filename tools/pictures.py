"""Make the pictures of the documents anew: `.venv/bin/python -m tools.pictures`. Needs Chromium, which `make test` brings."""

import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "catalogue.png"
EXAMPLE = ROOT / "docs" / "exports.example.json"
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"]
OFFLINE = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def main() -> None:
    """The catalogue of the documents' example of exports."""
    PICTURE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder:
        command = [
            str(ROOT / "node-images"),
            "catalogue",
            "--stack",
            "prod",
            "--exports",
            str(EXAMPLE),
            "--output",
            folder,
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        window = ["--window-size=1080,520", f"--user-data-dir={folder}/profile", f"--screenshot={PICTURE}"]
        browser = ["chromium", *QUIET, *OFFLINE, *window, f"{folder}/index.html"]
        subprocess.run(browser, check=True, stderr=subprocess.DEVNULL)
    print(PICTURE.relative_to(ROOT), PICTURE.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
