"""Open every page of the site in Chromium: ``python docs/site/check_site.py FOLDER``.

Prints a line for each fault and ends with status 1 if there is one: a link or an anchor
that leads nowhere, a picture without a text, an error in the console, a request that
leaves the folder, a page wider than a small screen, a search that finds nothing.
"""

import shutil
import sys
from pathlib import Path
from urllib.parse import unquote, urldefrag

from playwright.sync_api import TimeoutError, sync_playwright

SCAN = """() => ({
    links: [...document.querySelectorAll("a[href], svg a")].map(
        a => new URL(a.getAttribute("href"), document.baseURI).href),
    ids: [...document.querySelectorAll("[id], [name]")].flatMap(e => [e.id, e.name]),
    blind: [...document.images].filter(i => !i.alt).map(i => i.src.slice(0, 99)),
    broken: [...document.images].filter(i => !i.naturalWidth
        && i.loading !== "lazy").map(i => i.src.slice(0, 99)),
    wide: document.documentElement.scrollWidth - innerWidth,
})"""


def check(folder: Path) -> list[str]:
    """The faults of the site in `folder`."""
    faults, scans = [], {}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 360, "height": 740})
        page.on("console", lambda m: m.type in ("error", "warning") and faults.append(
            f"{page.url}: console: {m.text}"))
        page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
        page.on("request", lambda request: faults.append(
            f"{page.url} loads {request.url}") if not request.url.startswith(
            ("file:", "data:", "about:")) else None)
        for file in sorted(folder.rglob("*.html")):
            page.goto(file.as_uri())
            scans[file] = page.evaluate(SCAN)
        page.goto((folder / "search.html").as_uri() + "?q=truncation")
        try:
            page.wait_for_selector("#search-results li")
        except TimeoutError:
            faults.append("the search for truncation finds nothing")
        browser.close()
    for file, scan in scans.items():
        faults += [f"{file}: picture without a text: {src}" for src in scan["blind"]]
        faults += [f"{file}: picture missing: {src}" for src in scan["broken"]]
        if scan["wide"] > 0:
            faults.append(f"{file}: {scan['wide']} pixels wider than a small screen")
        for link in sorted({*scan["links"]}):
            url, anchor = urldefrag(link)
            if not url.startswith("file:"):
                continue
            target = Path(unquote(url.removeprefix("file://")))
            if not target.is_file():
                faults.append(f"{file}: no page {url}")
            elif anchor and target.suffix == ".html" and (
                    unquote(anchor) not in scans[target]["ids"]):
                faults.append(f"{file}: no anchor {link}")
    return faults


if __name__ == "__main__":
    found = check(Path(sys.argv[1]).resolve())
    print(*found, sep="\n")
    sys.exit(bool(found))
