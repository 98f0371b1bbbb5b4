"""Docstrings are plain text: indented blocks are shown as they are, and so are stars.

A protocol's contract, which is data, follows its docstring as a list of fields.
"""

import re

FIELDS = ("rounds", "online", "offline", "secure", "source")


def inline(text):
    """Text without markup, but for names and code in backticks."""
    parts = re.split(r"(``.+?``|`[^`]+`)", text, flags=re.S)
    for i, part in enumerate(parts):
        name = part.strip("`")
        if not i % 2:
            parts[i] = re.sub(r"([\\*|_`])", r"\\\1", part)
        elif part.startswith("``") or not re.fullmatch(r"[\w.]+", name):
            parts[i] = f"``{name}``"
        else:
            parts[i] = f":py:obj:`{name}`"
    return "".join(parts)


def block(lines):
    """A block without blank lines as reStructuredText."""
    indents = [len(line) - len(line.lstrip()) for line in lines]
    if len(lines) > 1 and set(lines[1]) == {"-"}:       # the title of a section
        return [f"**{lines[0]}**", "", *(block(lines[2:]) if lines[2:] else ())]
    listed = lines[0].startswith("- ")
    terms = len(set(indents)) == 2 and all(             # each with its meaning below
        b > 0 for a, b in zip(indents, [*indents[1:], 0], strict=True) if a == 0)
    if not any(indents) or listed or terms and not indents[0]:
        return inline("\n".join(lines)).split("\n")
    return ["::", "", *("    " + line for line in lines)]


def shown(field, value):
    return inline(value) if field in ("secure", "source") else f"``{value}``"


def rewrite(app, what, name, obj, options, lines):
    """Turn a docstring into reStructuredText, in place."""
    text = "\n".join(lines).strip("\n")
    blocks = [part.split("\n") for part in re.split(r"\n\s*\n", text) if part]
    lines[:] = [line for part in blocks for line in [*block(part), ""]]
    contract = getattr(obj, "contract", None)
    for field in FIELDS if contract else ():
        price = getattr(contract, field)
        cases = price if isinstance(price, dict) else {"": price}
        told = "; ".join(f"{case}: " * bool(case) + shown(field, value)
                         for case, value in cases.items())
        lines.append(f":{field}: {told}")
    lines.append("")


def skip(app, what, name, obj, skipped, options):
    """The fields of a NamedTuple say that they are fields: leave them out."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for") else None


def setup(app):
    app.connect("autodoc-process-docstring", rewrite)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
