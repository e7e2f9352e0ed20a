"""Pictures of the documentation: each is there, small, of one size, and described in words."""

import re
from pathlib import Path

import pytest

import pictures
from bake import ROOT, list_tracked
from browser import open_browser

PAGES = [name for name in list_tracked() if name.endswith(".md")]
IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
FEWEST_WORDS = 5  # of a description


def find_undescribed(page: Path) -> list[str]:
    """Return the pictures of a page that are missing or have too short a description."""
    return [
        target
        for description, target in IMAGE.findall(page.read_text(encoding="utf-8"))
        if len(description.split()) < FEWEST_WORDS or not (page.parent / target).is_file()
    ]


def read_size(picture: Path) -> tuple[int, int]:
    """Return width and height of a WebP in its extended format, as Chromium writes it."""
    head = picture.read_bytes()[:30]
    assert (head[:4], head[8:16]) == (b"RIFF", b"WEBPVP8X")
    width, height = (int.from_bytes(part, "little") + 1 for part in (head[24:27], head[27:30]))
    return width, height


@pytest.mark.parametrize("name", PAGES)
def test_a_pages_pictures_are_there_and_described(name: str) -> None:
    assert find_undescribed(ROOT / name) == []


def test_every_picture_is_shown_on_a_page() -> None:
    shown = {
        (ROOT / name).parent / target
        for name in PAGES
        for _, target in IMAGE.findall((ROOT / name).read_text(encoding="utf-8"))
    }
    taken = set(pictures.PICTURES.iterdir())
    assert len(taken) == 4
    assert taken <= {place.resolve() for place in shown}


@pytest.mark.parametrize("picture", sorted(pictures.PICTURES.iterdir()), ids=lambda path: path.stem)
def test_pictures_are_small_and_of_one_size(picture: Path) -> None:
    assert picture.stat().st_size <= pictures.MAX_BYTES
    assert read_size(picture) == (pictures.SIZE["width"], pictures.SIZE["height"])


def test_a_picture_without_words_or_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.webp").touch()
    page = tmp_path / "page.md"
    page.write_text("![form](a.webp)\n![a form with five good words](b.webp)\n")
    assert find_undescribed(page) == ["a.webp", "b.webp"]
    page.write_text("![a form with five good words](a.webp)\n")
    assert find_undescribed(page) == []


def test_a_page_is_taken_and_one_with_too_much_on_it_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "ROOT", tmp_path)
    monkeypatch.setattr(pictures, "PICTURES", tmp_path)
    page = tmp_path / "page.html"
    page.write_text("<h1>Report</h1>")
    with open_browser() as browser:
        pictures.take(browser, "page", page.as_uri())
        assert read_size(tmp_path / "page.webp") == (1200, 800)
        monkeypatch.setattr(pictures, "MAX_BYTES", 100)
        with pytest.raises(pictures.PictureError, match="above 100; show less on it"):
            pictures.take(browser, "page", page.as_uri())


def test_without_a_demo_the_command_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pictures, "PROJECT", tmp_path)
    monkeypatch.setattr("sys.argv", ["pictures"])
    assert pictures.main() == 1
    assert capsys.readouterr().err.endswith("has no model report; run `make demo` first.\n")
