"""Build the site: ``python docs/site/build_site.py FOLDER``; scripts/docs calls it.

The sources of the site are written into a temporary folder. There a page stands where
its file stands in the repository, and every link leads to a page:

    README.md                   index
    *.md, *.ipynb               the same, with the stored output of notebooks
    mpc/ring.py                 its documentation and its code
    mpc/audit, examples         a list of the pages or files in the folder
    other linked files          their text
    play/*.html                 protocols that play, from `mpc.course.play`
"""

import html
import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from sphinx.cmd.build import build_main

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE)]

import chapter_map  # noqa: E402

from mpc.course import play  # noqa: E402
from notebooks import run  # noqa: E402

PACKAGES = ("mpc", "nn", "data")
LINK = re.compile(r"(\]\(|^\[\w+\]: )([^)\s#:]+)(?=[)#\s]|$)", re.M)
MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.M | re.S)


class Sources:
    """The sources of the site, written into `folder`."""

    def __init__(self, folder: Path):
        self.folder, self.linked = folder, set()
        self.played: dict[str, Path] = {}       # players, and the chapters with them
        self.readme = (ROOT / "README.md").read_text(encoding="utf-8")

    def write(self, path, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def write_all(self) -> None:
        """All pages; those of linked files and folders last."""
        texts = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"),
                 *ROOT.glob("benchmarks/*.md"), *ROOT.glob("notebooks/*.md")]
        for file in texts:
            text = self.with_links(file.read_text(encoding="utf-8"), file)
            text = MERMAID.sub(self.map, text)
            if file == ROOT / "README.md":
                text += self.contents(texts)
            self.write(page_of(file), text)
        for file in run.chapters():
            self.write_chapter(file)
        for file in [*ROOT.glob("docs/pictures/*.png"), *ROOT.glob("benchmarks/*.png")]:
            place = self.folder / file.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())
        for package in PACKAGES:
            self.write_package(ROOT / package)
        self.write_players()
        for file in sorted(self.linked):
            if not (self.folder / page_of(file)).exists():
                self.write_file(file)

    # ------------------------------------------------------------ links

    def with_links(self, text: str, source: Path) -> str:
        """`text` with links to files of the repository turned into links to pages."""
        def moved(match):
            file = (source.parent / match[2]).resolve()
            if not file.exists() or file.suffix == ".png":
                return match[0]
            self.linked.add(file)
            place = ROOT / page_of(file)
            return match[1] + os.path.relpath(place, source.parent)

        return LINK.sub(moved, text)

    def contents(self, texts) -> str:
        """The table of contents, which the theme shows at the side."""
        chapters = [page_of(file) for file in run.chapters()]
        german = [page for page in chapters if ".de." in page.name]
        docs = sorted(page_of(file) for file in texts if file.parent.name == "docs")
        parts = {"The course": ["notebooks/README.md", "play/index.md",
                                *(page for page in chapters if page not in german)],
                 "Auf Deutsch": german, "Reference": docs,
                 "Code": [f"{name}/index.rst" for name in PACKAGES],
                 "Project": ["examples/index.md", "benchmarks/README.md",
                             "CONTRIBUTING.md", "CHANGELOG.md"]}
        return "".join(toctree(pages, caption) for caption, pages in parts.items())

    # ------------------------------------------------------------ kinds of pages

    def map(self, match) -> str:
        chapters = [page_of(file).name for file in run.chapters()]
        pages = {str(int(name[:2])): name.replace(".ipynb", ".html")
                 for name in reversed(chapters)}
        return chapter_map.draw(match[1], pages)

    def write_chapter(self, file: Path) -> None:
        """A notebook whose pictures have the text of their figure line."""
        notebook = nbformat.read(file, as_version=4)
        figures = [run.caption(notebook, i) for i in range(len(notebook.cells))]
        cells, notebook.cells = notebook.cells, []
        for i, cell in enumerate(cells):
            notebook.cells.append(cell)
            if cell.cell_type == "markdown":
                cell.source = self.with_links(cell.source, file)
                continue
            if figures[i]:
                alt = re.sub(r"[*`$\\]", "", figures[i])
                cell.metadata["mystnb"] = {"image": {"alt": alt}}
            if played := re.search(r'play\.show\("(\w+)"\)', cell.source):
                self.played.setdefault(played[1], page_of(file))
                notebook.cells.append(nbformat.v4.new_markdown_cell(
                    f'<a href="../play/{played[1]}.html">On a page of its own</a>'))
        self.write(page_of(file), nbformat.writes(notebook))

    def write_package(self, folder: Path) -> None:
        """A page for a package, and one for each of its modules."""
        for file in sorted(folder.rglob("*.py")):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            if file.name == "__main__.py":
                continue
            package = file.name == "__init__.py"
            name = name.removesuffix(".__init__")
            text = f"{name}\n{'=' * len(name)}\n\n.. automodule:: {name}\n"
            if package:
                text += "   :no-members:\n" + self.modules(file.parent)
            elif file.stat().st_size:
                code = os.path.relpath(file, self.folder / page_of(file).parent)
                text += (f"\nCode\n----\n\n.. literalinclude:: {code}\n"
                         "   :language: python\n   :linenos:\n")
            self.write(page_of(file.parent if package else file), text)

    def modules(self, folder: Path) -> str:
        """The pages in a package, those in the README's table in its order."""
        order = re.findall(r"^\|.*?\]\((mpc/\w+)(?:\.py)?\)", self.readme, re.M)
        found = [file for file in folder.iterdir()
                 if file.suffix == ".py" and not file.stem.startswith("__")
                 or (file / "__init__.py").exists()]
        names = {file: str(file.relative_to(ROOT).with_suffix("")) for file in found}
        found.sort(key=lambda file: (order.index(names[file]) if names[file] in order
                                     else len(order), file.name))
        lines = "\n".join(f"   /{page_of(file).with_suffix('')}" for file in found)
        return f"\n.. toctree::\n   :maxdepth: 1\n\n{lines}\n"

    def write_players(self) -> None:
        lines = [f'<li><a href="{name}.html">{html.escape(program.__doc__)}</a></li>'
                 for name, (program, _) in play.LESSONS.items()]
        self.write("play/index.md", "# Protocols, message by message\n\nChoose a party "
                   "and step through the messages: a page shows what this party sees."
                   f"\n\n<ul>\n{chr(10).join(lines)}\n</ul>\n")

    def write_file(self, file: Path) -> None:
        """The text of a file, or the names of the files in a folder."""
        name = str(file.relative_to(ROOT))
        text = f"---\norphan: true\n---\n\n# {name}\n\n"
        if file.is_dir():
            inside = sorted(f for f in file.rglob("*") if f.is_file()
                            and "__pycache__" not in f.parts and f.suffix != ".npz")
            for f in inside:
                own, page = f.relative_to(file), os.path.relpath(page_of(f), name)
                known = (self.folder / page_of(f)).exists() or f in self.linked
                text += f"- [{own}]({page})\n" if known else f"- `{own}`\n"
        else:
            kind = "python" if file.suffix == ".py" else "text"
            text += f"`````{kind}\n{file.read_text(encoding='utf-8')}\n`````\n"
        self.write(page_of(file), text)


def page_of(file: Path) -> Path:
    """The source of the page about a file or folder, relative to the root."""
    path = file.relative_to(ROOT)
    if file.is_dir():
        package = path.parts[0] in PACKAGES and (file / "__init__.py").exists()
        return path / ("index.rst" if package else
                       "README.md" if (file / "README.md").exists() else "index.md")
    if path == Path("README.md"):
        return Path("index.md")
    if path.suffix in (".md", ".ipynb"):
        return path
    if path.suffix == ".py":
        return path.with_suffix(".rst" if path.parts[0] in PACKAGES else ".md")
    return path.with_name(path.name + ".md")


def toctree(pages, caption: str) -> str:
    names = "\n".join(f"{page}".rpartition(".")[0] for page in pages)
    return (f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{names}\n```\n"
            if names else "")


def main(folder: str) -> int:
    with tempfile.TemporaryDirectory() as temporary:
        sources, trees = Path(temporary, "sources"), Path(temporary, "trees")
        site = Sources(sources)
        site.write_all()
        status = build_main(["-q", "-W", "--keep-going", "-j", "2", "-c", str(HERE),
                             "-d", str(trees), str(sources), folder])
    for name in play.LESSONS:
        place = Path(folder, "play", f"{name}.html")
        links = {"All players": "index.html", "The course": "../notebooks/README.html"}
        if chapter := site.played.get(name):
            links["The chapter"] = f"../{chapter.with_suffix('.html')}"
        back = " · ".join(f'<a href="{to}">{text}</a>' for text, to in links.items())
        place.write_text(play.page(name, f"<p>{back}</p>\n"), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
