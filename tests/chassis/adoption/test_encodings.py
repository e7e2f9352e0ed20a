"""The encoding of a table is told, asked about, or refused: never guessed in silence."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest

from mlchassis.adoption.formats.detect_source import OpenedSource, inspect_files, open_files
from mlchassis.adoption.formats.encodings import rank_encodings
from mlchassis.adoption.formats.overrides import FormatOverrides
from mlchassis.errors import ProjectError
from mlchassis.sources.registry import read_as_text

CLEAR = [
    ("cp1251", "Москва Казань Тверь"),
    ("cp1251", "Москва Казань Тверь Новгород".upper()),
    ("cp1251", "Київ Львів Харків"),
    ("koi8-r", "Москва Казань Тверь"),
    ("cp866", "Москва Казань Тверь"),
    ("iso8859-5", "Москва Казань Тверь"),
    ("cp1250", "Łódź Kraków Gdańsk Wrocław"),
    ("iso8859-2", "Łódź Kraków Gdańsk Wrocław"),
    ("cp1250", "Plzeň Brno Třebíč Žďár"),
    ("cp1252", "München Köln Nürnberg"),
    ("cp1252", "rot grün blau"),
    ("latin-1", "Orléans Besançon Nîmes"),
    ("cp1252", "São Brasília Goiânia"),
    ("cp1252", "Malmö Århus Tromsø"),
    ("cp1252", "don\u2019t café 12\u00a0€"),
    ("cp850", "München Köln Nürnberg"),
    ("cp437", "Málaga León Córdoba"),
    ("shift_jis", "東京 大阪 京都"),
    ("shift_jis", "りんご バナナ みかん"),
    ("euc_jp", "東京 大阪 京都"),
    ("gb18030", "北京 上海 广州"),
    ("big5", "臺北 高雄 臺中"),
    ("euc_kr", "서울 부산 대구"),
    ("cp1253", "Αθήνα Πάτρα Θεσσαλονίκη"),
    ("cp1254", "İstanbul İzmir Eskişehir Beşiktaş Kad\u0131köy Muğla Çanakkale"),
    ("cp1255", "ירושלים חיפה אשדוד"),
    ("cp1256", "القاهرة الرياض بغداد"),
    ("cp1257", "Šiauliai Klaipėda Panevėžys"),
]


def encode(text: str, encoding: str) -> list[bytes]:
    return [word.encode(encoding) for word in text.split(" ") if not word.isascii()]


def write(path: Path, words: Sequence[str], encoding: str, rows: int = 300) -> None:
    lines = [f"{words[row % len(words)]},{row / 7:.3f},{row % 2}" for row in range(rows)]
    path.write_bytes(("city,x,late\n" + "\n".join(lines) + "\n").encode(encoding))


def inspect(path: Path, encoding: str | None = None, answer: str = "") -> OpenedSource:
    """The source as opened; the question that holds `answer` is agreed to."""
    formats = FormatOverrides(encoding)
    return inspect_files(
        path.name,
        path.parent,
        formats,
        lambda question, _safe: bool(answer) and f"(encoding {answer})" in question,
    )


@pytest.mark.parametrize(("encoding", "text"), CLEAR)
def test_words_of_a_language_tell_their_encoding(encoding: str, text: str) -> None:
    words = encode(text, encoding)
    found = rank_encodings(words)

    assert found.certain, found
    assert [word.decode(found.name) for word in words] == [word.decode(encoding) for word in words]


@pytest.mark.parametrize(
    ("encoding", "text"), [("cp1250", "Gdańsk Kraków"), ("cp1255", "כן לא"), ("cp1252", "é")]
)
def test_words_that_are_likely_in_two_encodings_are_not_decided(encoding: str, text: str) -> None:
    found = rank_encodings(encode(text, encoding))

    assert not found.certain


def test_words_read_as_they_were_written_whatever_the_encoding(tmp_path: Path) -> None:
    for encoding in ("cp1251", "koi8-r", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        write(tmp_path / "c.csv", ["Москва", "Казань", "Тверь"], encoding)
        words = read_as_text(open_files("c.csv", tmp_path), tmp_path)

        assert set(words["city"]) == {"Москва", "Казань", "Тверь"}, encoding


def test_a_file_that_is_utf8_but_for_a_few_bytes_is_refused_by_its_line(tmp_path: Path) -> None:
    write(tmp_path / "c.csv", ["München", "Köln"], "utf-8")
    lines = (tmp_path / "c.csv").read_bytes().split(b"\n")
    lines[41] = "Nürnberg,1,0".encode("latin-1")
    (tmp_path / "c.csv").write_bytes(b"\n".join(lines))

    with pytest.raises(ProjectError, match=r"UTF-8 except for 1 bytes, .* line 42; .*--encoding"):
        inspect(tmp_path / "c.csv")
    assert inspect(tmp_path / "c.csv", encoding="cp1252").params.kind == "files"


def test_what_cannot_be_told_is_asked_or_refused(tmp_path: Path) -> None:
    write(tmp_path / "c.csv", ["Gdańsk", "Kraków"], "cp1250")

    with pytest.raises(ProjectError, match=r"'Gdañsk'.*cp1250 it reads 'Gdańsk'.*--encoding"):
        inspect(tmp_path / "c.csv")
    opened = inspect(tmp_path / "c.csv", answer="cp1250")
    assert opened.encoding is not None
    assert opened.encoding.words == ("Gdańsk", "Kraków")
    assert opened == inspect(tmp_path / "c.csv", encoding="cp1250")


def test_an_encoding_that_does_not_fit_is_refused_by_the_line(tmp_path: Path) -> None:
    write(tmp_path / "c.csv", ["a", "b", "Łódź"], "utf-8")

    with pytest.raises(ProjectError, match=r"not valid in --encoding ascii: line 4 cannot"):
        inspect(tmp_path / "c.csv", encoding="ascii")
    with pytest.raises(ProjectError, match="--encoding is 'utf-9', which is not known"):
        inspect(tmp_path / "c.csv", encoding="utf-9")


def test_files_of_a_folder_are_in_one_encoding(tmp_path: Path) -> None:
    folder = tmp_path / "months"
    folder.mkdir()
    write(folder / "1.csv", ["a", "b"], "ascii")
    write(folder / "2.csv", ["Москва", "Казань", "Тверь"], "cp1251")
    assert inspect(folder).params.encoding == "cp1251"

    write(folder / "3.csv", ["Москва", "Казань", "Тверь"], "utf-8")
    with pytest.raises(ProjectError, match=r"3.csv is utf-8-sig, and 2.csv is not"):
        inspect(folder)


def test_a_database_in_a_file_is_named_with_the_way_to_read_it(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_bytes(b"SQLite format 3\0" + bytes(100))

    with pytest.raises(ProjectError, match=r"is a SQLite database; .*DATA=sqlite:///shop.db"):
        inspect(tmp_path / "shop.db")


@pytest.mark.parametrize("delimiter", ["^", "tab", "\\t", ";"])
def test_a_delimiter_is_what_the_flag_says(tmp_path: Path, delimiter: str) -> None:
    sign = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    (tmp_path / "a.csv").write_text(f"a{sign}b\n1{sign}2\n")
    formats = FormatOverrides(delimiter=delimiter)
    opened = inspect_files("a.csv", tmp_path, formats, lambda _question, safe: safe)

    assert list(read_as_text(opened.params, tmp_path)) == ["a", "b"]


@pytest.mark.parametrize("keep", [slice(0, 0), slice(None, -20)])
def test_a_packed_file_that_cannot_be_unpacked_is_refused(tmp_path: Path, keep: slice) -> None:
    packed = gzip.compress("".join(f"{n},München\n" for n in range(3000)).encode())
    path = tmp_path / "orders.csv.gz"
    path.write_bytes(packed[keep] or b"a,b\n1,2\n")
    with pytest.raises(ProjectError, match=r"orders\.csv\.gz cannot be read"):
        open_files(str(path), tmp_path)
