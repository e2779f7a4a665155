"""What mkdocs calls while it builds: pages that are made of the repository's files join those that are written by hand."""

from __future__ import annotations

import re

import recipes
import reference
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

INCLUDE = re.compile(r"^<!-- include (\S+): (.+) -->$", re.MULTILINE)  # a file of the repository: one of its headings


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Complete the navigation."""
    assert config.nav is not None
    config.nav = [*config.nav[:2], {"Recipes": recipes.nav()}, {"Reference": reference.nav()}, *config.nav[2:]]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of recipes, corpora and the reference."""
    for address, text in (recipes.pages() | reference.pages()).items():
        files.append(File.generated(config, address, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put in what a page includes of the repository's own Markdown, links led to the right pages."""
    uri = page.file.src_uri
    return INCLUDE.sub(lambda found: recipes.relink(recipes.section(found[1], found[2]), found[1], uri), markdown)
