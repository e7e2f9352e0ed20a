"""Sphinx' configuration of the documentation site (`make docs`)."""

project = "ml-template"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "ml-template"
html_show_copyright = False
html_copy_source = False
highlight_language = "text"
myst_heading_anchors = 4
nitpicky = True
