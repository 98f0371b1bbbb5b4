"""Configuration of Sphinx for the site: build_site.py writes the sources, runs it."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

project = "Machine learning on secret shares"
html_title = "Secret shares"
extensions = ["sphinx.ext.autodoc", "myst_nb", "formulas", "docstrings", "terms"]
smartquotes = False
highlight_language = "text"             # of blocks that name none

html_theme = "furo"
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = html_show_sourcelink = False
html_show_sphinx = html_show_copyright = False
html_show_search_summary = False        # it would fetch pages, which needs a server
html_math_renderer = "mathml"           # drawn by the browser, without a library

nb_execution_mode = "off"               # the stored output is shown; a test runs it
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}

# An annotation such as Tensor, of which there are two, then links to none of them.
suppress_warnings = ["ref.python"]
