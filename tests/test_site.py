"""The site: its map, its links, its docstrings, and a check that finds faults.

`scripts/check` builds the site and opens each page in Chromium.
"""

import re
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs" / "site"))

import chapter_map
import docstrings

MERMAID = re.search(r"```mermaid\n(.*?)```", (ROOT / "notebooks" / "README.md")
                    .read_text(encoding="utf-8"), re.S)[1]


def test_the_map_has_every_chapter_once_with_its_page():
    found = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*[!e].ipynb"))
    chapters = [path for path in found if ".de." not in path.name]
    pages = {str(int(path.name[:2])): path.stem + ".html" for path in chapters}
    svg = chapter_map.draw(MERMAID, pages)
    assert re.findall(r'<a href="(.*?)"', svg) == [path.stem + ".html"
                                                   for path in chapters]
    assert svg.count("<path d=") == svg.count("needs") + 1      # and the arrow's head
    markdown = pytest.importorskip("markdown_it", reason="needs the extra `docs`")
    assert [token.type for token in markdown.MarkdownIt().parse(svg)] == ["html_block"]


def test_the_map_leaves_out_the_arrows_that_others_imply():
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")]
    assert chapter_map.direct(edges) == [("a", "b"), ("b", "c"), ("a", "d")]


def test_a_docstring_keeps_its_stars_and_its_indented_blocks():
    lines = ["The rows (h, *shape) of `mpc.share`, |x| < ``2**8``.", "",
             "    a   *b*", "      c_", "", "- one_", "  and `x = 1`"]
    docstrings.rewrite(None, "", "", None, {}, lines)
    assert lines == [
        r"The rows (h, \*shape) of :py:obj:`mpc.share`, \|x\| < ``2**8``.", "",
        "::", "", "        a   *b*", "          c_", "",
        r"- one\_", "  and ``x = 1``", "", ""]


def test_links_lead_to_pages():
    pytest.importorskip("sphinx", reason="needs the extra `docs`")
    import build_site

    def moved(text, *place):
        return build_site.Sources(ROOT).with_links(text, ROOT.joinpath(*place))

    text = ("[a](docs/COSTS.md#x) [b](mpc/ring.py) [c](mpc/audit) [d](examples) "
            "[e](LICENSE) [f](https://x.org/mpc) [g](nowhere.md)\n\n"
            "[tiny]: mpc/tiny.py\n")
    assert moved(text, "README.md") == (
        "[a](docs/COSTS.md#x) [b](mpc/ring.rst) [c](mpc/audit/index.rst) "
        "[d](examples/index.md) [e](LICENSE.md) [f](https://x.org/mpc) "
        "[g](nowhere.md)\n\n[tiny]: mpc/tiny.rst\n")
    assert moved("[r](../README.md#learn)", "docs", "X.md") == "[r](../index.md#learn)"


def test_the_check_finds_every_kind_of_fault(tmp_path):
    pytest.importorskip("playwright", reason="needs the extra `docs`")
    if not shutil.which("chromium"):
        pytest.skip("needs Chromium")
    import check_site

    good = '<h1 id="top">x</h1><a href="other.html#top">y</a>'
    for name in ("other", "search"):
        (tmp_path / f"{name}.html").write_text(good)
    (tmp_path / "bad.html").write_text(
        '<a href="other.html#down">a</a><a href="none.html">b</a><img src="no.png">'
        '<p style="width: 900px">wide</p><script src="http://127.0.0.1:9/x"></script>'
        "<script>oops()</script>")
    faults = "\n".join(check_site.check(tmp_path))
    for due in ("other.html#down", "no page file:", "without a text", "missing",
                "wider than", "loads http://127.0.0.1:9/x", "oops is not defined",
                "finds nothing"):
        assert due in faults, faults
    assert "other.html:" not in faults and faults.count("\n") < 12
