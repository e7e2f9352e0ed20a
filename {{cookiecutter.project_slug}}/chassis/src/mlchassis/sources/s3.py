"""Files in S3-compatible storage: fetched whole, then read as files are."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from pyarrow.fs import FileInfo, FileSelector, FileType, LocalFileSystem, S3FileSystem, copy_files

from mlchassis.config.source_params import FilesParams, S3Params
from mlchassis.confinement import NameLeavesFolderError, place_inside
from mlchassis.errors import ProjectError
from mlchassis.masking import mask_secrets
from mlchassis.sources.files import read_files
from mlchassis.sources.location import SourceMissingError


def read_objects(
    params: S3Params, root: Path, needed: Collection[str] | None = None
) -> list[pd.DataFrame]:
    """Every row as it is written, a frame for each object; as `read_files`.

    Raises:
        ProjectError: The server or the object cannot be reached, or is not a table.
    """
    settings = params.table_format().model_dump()
    with fetched(params) as folder:
        files = FilesParams(kind="files", path=str(folder), **settings)
        return read_files(files, root, needed)


def check_object(params: S3Params) -> None:
    """Look whether an object, or something below it, is there.

    Raises:
        SourceMissingError: The server does not answer or refuses, or there is nothing.
    """
    place = params.path.removeprefix("s3://").rstrip("/")
    try:
        info = _connect(params).get_file_info(place)
    except OSError as error:
        raise SourceMissingError(
            f"{params.path} cannot be reached ({type(error).__name__})."
        ) from None
    if info.type == FileType.NotFound:
        raise SourceMissingError(f"{params.path} is not there.")


@contextmanager
def fetched(params: S3Params) -> Iterator[Path]:
    """Yield a folder with a copy of the objects, and remove it afterwards.

    Raises:
        ProjectError: The server does not answer or refuses, or there is nothing.
    """
    place = params.path.removeprefix("s3://").rstrip("/")
    with TemporaryDirectory(prefix="source-") as folder:
        try:
            _fetch(_connect(params), place, Path(folder))
        except NameLeavesFolderError as error:
            raise ProjectError(f"{params.path} cannot be read: {error}.") from None
        # pyarrow refuses an odd address with a ValueError.
        except (OSError, ValueError) as error:
            reason = mask_secrets(" ".join(str(error).split()))
            raise ProjectError(
                f"{params.path} cannot be read ({reason:.300}); see to source.endpoint in "
                "params.yaml, and to AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            ) from None
        yield Path(folder)


def _connect(params: S3Params) -> S3FileSystem:
    given = {"endpoint_override": params.endpoint, "region": params.region}
    return S3FileSystem(
        **{name: value for name, value in given.items() if value},
        connect_timeout=10,
        request_timeout=60,
    )


def _fetch(storage: S3FileSystem, place: str, folder: Path) -> None:
    info = storage.get_file_info(place)
    if info.type == FileType.NotFound:
        raise FileNotFoundError("there is no such object and nothing below it")
    if info.type == FileType.File:
        objects = [info]
    else:
        objects = storage.get_file_info(FileSelector(place, recursive=True))
    for each in objects:
        if each.type == FileType.File:
            target = place_inside(folder, _name_inside(each, place))
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_files(each.path, str(target), storage, LocalFileSystem())


def _name_inside(info: FileInfo, place: str) -> str:
    """An object's name below the place that was asked for; an object that was named, its own."""
    path: str = info.path
    return path.rpartition("/")[2] if path == place else path.removeprefix(f"{place}/")
