"""The documentation site is built without a warning, and warns of what a reader would miss."""

import shutil
from pathlib import Path

import pytest

import doc_site
from bake import ROOT
from environments import CommandError, install


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of the site, and what builds them."""
    install(ROOT / "requirements" / "docs.txt", doc_site.ENVIRONMENT)
    source = tmp_path_factory.mktemp("site") / "source"
    doc_site.assemble(source)
    return source


def test_every_page_is_on_the_site(source: Path, tmp_path: Path) -> None:
    doc_site.build(source, tmp_path)
    pages = {page.relative_to(source).with_suffix(".html") for page in source.rglob("*.md")}
    assert len(pages) > 25
    assert {page for page in pages if not (tmp_path / page).is_file()} == set()
    start = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'href="project/docs/runbooks.html"' in start
    chassis = (tmp_path / "project" / "chassis" / "map.html").read_text(encoding="utf-8")
    assert "hot_reload.py" in chassis
    # A reader's browser asks no other machine for a font or a script.
    assert 'src="http' not in start
    assert 'rel="stylesheet" type="text/css" href="http' not in start


BROKEN = [
    ("docs/start.md", "[gone](absent.md)", "absent.md"),
    ("docs/start.md", "[gone](options.md#no-such-heading)", "no-such-heading"),
    ("docs/lonely.md", "# A page that no table of contents names", "lonely.md: WARNING"),
]


def test_what_is_not_there_stops_the_build_and_is_named(source: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(source, tmp_path / "source")
    for name, line, _ in BROKEN:
        with (broken / name).open("a", encoding="utf-8") as page:
            page.write(f"\n{line}\n")
    with pytest.raises(CommandError) as stopped:
        doc_site.build(broken, tmp_path / "pages")
    assert [warning for _, _, warning in BROKEN if warning not in str(stopped.value)] == []


def test_the_map_names_every_module_by_its_docstring(tmp_path: Path) -> None:
    package = tmp_path / "box"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text('"""The box."""\n')
    (package / "inner" / "__init__.py").write_text('"""Things\nin it.\n\nMore."""\n')
    (package / "inner" / "lid.py").write_text('"""A lid | cover."""\n')
    page = doc_site.describe(package)
    assert "## box.inner\n\nThings in it.\n" in page
    assert "| `lid.py` | A lid \\| cover. |" in page
