"""Sphinx settings of the documentation: `make docs` builds it, and fails on any warning."""

from importlib.metadata import version as installed_version

project = "Treadle"
copyright = "the Treadle contributors"
release = version = installed_version("treadle")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"

html_theme = "furo"
html_title = f"Treadle {release}"
