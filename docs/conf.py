"""Settings of the site: `sphinx-build -W docs build/site`. No network is needed.

With `GALLERY=skip` in the environment the examples are shown without being run.
"""

import datetime
import importlib.metadata
import os
import re
import sys
from pathlib import Path

from docutils import nodes
from pygments.lexers.special import TextLexer
from sphinx.util import logging

HERE = Path(__file__).parent.resolve()
ROOT = HERE.parent
sys.path.insert(0, str(HERE))

import reference  # noqa: E402  beside this file

project = "sklearn_masked"
author = "The sklearn_masked developers"
copyright = f"{datetime.date.today():%Y}, {author}"
release = version = importlib.metadata.version("sklearn-masked")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
root_doc = "index"
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["GALLERY_HEADER.rst"]
default_role = "py:obj"  # links what has a page, and shows the rest as code
add_module_names = False
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # numpydoc's sections say more
numpydoc_show_class_members = False
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
nitpicky = False  # `resolve` reports what the package itself should have

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "default_thumb_file": str(HERE / "_static" / "cells.png"),
    # CI runs the examples as programs, and builds their pages without output.
    "plot_gallery": os.environ.get("GALLERY", "run") == "run",
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "show_memory": False,
    "matplotlib_animations": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn_masked"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_last_updated_fmt = "%Y-%m-%d"  # when the examples were run
html_show_sourcelink = False
html_theme_options = {
    "show_nav_level": 1,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright", "last-updated"],
    "footer_end": [],
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": []}
html_context = {"default_mode": "auto"}

# Pages of the site whose text is a file outside docs/.
OUTSIDE = {
    "benchmarks": "benchmarks/README.md",
    "changes": "CHANGELOG.md",
    "conduct": "CODE_OF_CONDUCT.md",
    "contributing": "CONTRIBUTING.md",
    "security": "SECURITY.md",
}
LINK = re.compile(r"\]\(([^)#\s:]+)(#[^)\s]*)?\)")


def lead_inside(app, docname, source):
    """Read the files of `OUTSIDE`, and lead links to files to the site's pages."""
    file = (HERE / f"{docname}.md").resolve()
    if docname in OUTSIDE:
        file = ROOT / OUTSIDE[docname]
        source[0] = file.read_text(encoding="utf-8")
    pages = {ROOT / path: f"{name}.md" for name, path in OUTSIDE.items()}
    pages[ROOT / "examples"] = "gallery/index.rst"

    def lead(match):
        target = (file.parent / match[1]).resolve()
        if target.parent == ROOT / "examples" and target.suffix == ".py":
            page = f"gallery/{target.stem}.rst"
        elif target.is_relative_to(HERE):
            page = str(target.relative_to(HERE))
        else:
            page = pages.get(target, match[1])
        return f"]({page}{match[2] or ''})"

    if docname in OUTSIDE or "/" not in docname:
        source[0] = LINK.sub(lead, source[0])


def escape_underscores(app, what, name, thing, options, lines):
    """Keep reStructuredText from reading `(n_features_in_,)` as a link."""
    for i, line in enumerate(lines):
        lines[i] = re.sub(r"(?<=[\w(])_(?=,\))", r"\_", line)


def resolve(app, env, node, contnode):
    """Link scikit-learn's names to its site, and report names of ours without a page.

    A name that the package exports has a page under one module: other modules'
    names of the same object lead there.
    """
    target = node.get("reftarget", "")
    if target.startswith("sklearn."):
        url = f"https://scikit-learn.org/stable/modules/generated/{target}.html"
        return nodes.reference("", "", contnode, refuri=url, internal=False)
    if not target.startswith("sklearn_masked."):
        return None
    module, _, name = target.rpartition(".")
    home = reference.homes().get((module, name))
    if home and home != target:
        domain = env.get_domain("py")
        return domain.resolve_xref(
            env, node["refdoc"], app.builder, "obj", home, node, contnode
        )
    if node.get("reftype") != "obj":
        logging.getLogger(__name__).warning(
            "no page for %s", target, location=node, type="ref"
        )
    return None


def setup(app):
    """Write the reference, then let Sphinx read it."""
    reference.write(HERE / "api")
    app.add_lexer("csv", TextLexer)
    app.connect("source-read", lead_inside)
    app.connect("autodoc-process-docstring", escape_underscores, priority=900)
    app.connect("missing-reference", resolve)
