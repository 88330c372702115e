"""Sphinx configuration: Markdown by MyST, the furo theme, and nothing from the network."""

import atexit
import os
import shutil
import tempfile
from importlib.metadata import version as installed_version

# The API reference imports operators, and Airflow writes into its home as soon as it is imported.
if "AIRFLOW_HOME" not in os.environ:
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-docs-")
    atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

project = "airflow-provider-intacct"
author = "The airflow-provider-intacct authors"
copyright = author
version = release = installed_version("airflow-provider-intacct")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "sphinx_design"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nitpicky = False

autodoc_member_order = "bysource"
autodoc_typehints = "none"
# The arguments of a class stand at its name; a separate entry would be called __init__ in the side list.
autodoc_class_signature = "mixed"
python_maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"

# Commands are copied without their prompt, and without what they print.
copybutton_prompt_text = "$ "
copybutton_line_continuation_character = "\\"

html_theme = "furo"
html_logo = html_favicon = "images/logo.svg"
html_title = "Sage Intacct for Apache Airflow"
html_show_copyright = False
html_copy_source = False
