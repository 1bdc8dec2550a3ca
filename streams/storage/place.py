"""Where a store lies: a local folder, or a prefix on S3-compatible object storage; opened, or created whole.

Object storage is configured by the usual environment variables: ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``,
``AWS_SESSION_TOKEN``, ``AWS_REGION``; for servers other than Amazon's ``AWS_ENDPOINT_URL_S3`` or
``AWS_ENDPOINT_URL``; ``AWS_ALLOW_HTTP=true`` where that server speaks plain HTTP and is not on this machine.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import icechunk
import zarr

from terracast.streams.errors import StoreError
from terracast.streams.storage.failures import first_line, in_words, without_secrets
from terracast.streams.storage.lock import only_writer

BRANCH = "main"
KEEP = "keep-"  # and the id of a snapshot: the branch on which its data stay
DATA = "data"  # the repository lies in this subfolder, the writer lock beside it
FOLDERS = ("observations", "revisions", "states", "cursors")  # there from the start: no two writers create them
MANIFEST_CHUNKS = 128  # a commit rewrites the lists of chunks that it changed: none is longer than this
KEPT_IN_MEMORY = 2000  # entries of snapshots, logs and lists of chunks: icechunk's own limits let a process grow
CREATION_WAITS = 20  # tenths of a second
ANSWER_SECONDS = 5.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def local_folder(location: str | Path) -> Path | None:
    """The folder of a local store, made if absent; None for object storage."""
    scheme = urlsplit(str(location)).scheme if "://" in str(location) else ""
    if scheme == "s3":
        return None
    if scheme:
        raise StoreError(f"{scheme!r} is not supported", where=shown(location),
                         expected="a local folder or s3://bucket/prefix", remedy="choose one of them")
    folder = Path(location).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as failed:
        raise StoreError(f"the folder cannot be made ({failed.strerror})", where=str(location),
                         expected="a folder that may be written", remedy="check the location") from failed
    return folder


def repository_at(location: str | Path, folder: Path | None, wait_seconds: float) -> Any:
    """The icechunk repository there, created where there is none."""
    icechunk.set_logs_filter("off")  # what goes wrong is said once, by our errors
    try:
        if folder is None:
            return _created(_object_storage(str(location)))
        if not (folder / DATA).exists():
            with only_writer(folder, wait_seconds):
                try:
                    _create_in(folder)
                except (icechunk.IcechunkError, OSError) as failed:
                    raise in_words(failed, shown(location)) from failed
        return icechunk.Repository.open(icechunk.local_filesystem_storage(str(folder / DATA)), _settings())
    except icechunk.IcechunkError as failed:
        raise StoreError(f"the store cannot be opened ({first_line(failed)})", where=shown(location),
                         expected="a Terracast store or an empty place",
                         remedy="check the location" if folder else "check bucket, AWS_ENDPOINT_URL and credentials"
                         ) from without_secrets(failed)


def holds_store(location: str | Path) -> bool:
    """Whether a store is there already; unlike opening it, to ask makes none.

    >>> holds_store("/no/such/folder")
    False
    """
    if "://" not in str(location):
        return (Path(location).expanduser() / DATA).exists()
    icechunk.set_logs_filter("off")
    local_folder(location)  # refuses what is no place for a store
    try:
        return bool(icechunk.Repository.exists(_object_storage(str(location))))
    except icechunk.IcechunkError as failed:
        raise StoreError(f"the store cannot be opened ({first_line(failed)})", where=shown(location),
                         expected="object storage that answers",
                         remedy="check bucket, AWS_ENDPOINT_URL and credentials") from without_secrets(failed)


def shown(location: str | Path) -> str:
    """The location as it may be printed: without user and password.

    >>> shown("s3://key:secret@bucket/air")
    's3://***@bucket/air'
    """
    text = str(location)
    scheme, mark, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://***@{host.rpartition('@')[2]}{slash}{path}" if mark and "@" in host else text


def _object_storage(location: str) -> Any:
    parts = urlsplit(location)
    if "@" in parts.netloc:
        raise StoreError("a password in the location", where=shown(location), expected="s3://bucket/prefix",
                         remedy="give credentials by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if not parts.netloc:
        raise StoreError("no bucket", where=location, expected="s3://bucket/prefix", remedy="name the bucket")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    plain = bool(endpoint) and urlsplit(str(endpoint)).scheme == "http"
    allowed = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true", "yes")
    if plain and not allowed and urlsplit(str(endpoint)).hostname not in LOOPBACK:
        raise StoreError("the endpoint speaks plain HTTP", where=shown(str(endpoint)), expected="https://",
                         remedy="use HTTPS, or set AWS_ALLOW_HTTP=true on a network that you trust")
    if endpoint:
        _refuse_silent(endpoint)
    return icechunk.s3_storage(
        bucket=parts.netloc, prefix=parts.path.strip("/") or None, from_env=True, endpoint_url=endpoint,
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"), allow_http=plain,
        force_path_style=endpoint is not None)


def _refuse_silent(endpoint: str) -> None:
    """A server that is not there is told at once: icechunk would try for twenty seconds."""
    parts = urlsplit(endpoint)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    try:
        socket.create_connection((parts.hostname or "", port), ANSWER_SECONDS).close()
    except OSError as failed:
        raise StoreError(f"the S3 server does not answer ({failed.strerror or type(failed).__name__})",
                         where=shown(endpoint), expected="a server at AWS_ENDPOINT_URL",
                         remedy="start it, or correct the address") from failed


def _settings() -> Any:
    settings = icechunk.RepositoryConfig.default()
    settings.caching = icechunk.CachingConfig(num_snapshot_nodes=KEPT_IN_MEMORY, num_chunk_refs=KEPT_IN_MEMORY,
                                              num_transaction_changes=KEPT_IN_MEMORY)
    every_axis = {icechunk.ManifestSplitDimCondition.Any(): MANIFEST_CHUNKS}
    settings.manifest = icechunk.ManifestConfig(splitting=icechunk.ManifestSplittingConfig.from_dict(
        {icechunk.ManifestSplitCondition.AnyArray(): every_axis}))
    return settings


def _create_in(folder: Path) -> None:
    """Create the repository aside and move it into place whole: a kill on the way leaves no half of one."""
    if (folder / DATA).exists():  # another process was faster
        return
    aside = folder / f"{DATA}.unfinished"
    shutil.rmtree(aside, ignore_errors=True)
    _created(icechunk.local_filesystem_storage(str(aside)))
    aside.rename(folder / DATA)


MEANWHILE_CREATED = ("clean prefix", "config was updated by other session")  # what icechunk says of it


def _opened_or_created(storage: Any) -> Any:
    for _ in range(CREATION_WAITS):
        try:
            return icechunk.Repository.open_or_create(storage, _settings())
        except icechunk.IcechunkError as failed:
            if not any(words in str(failed) for words in MEANWHILE_CREATED):
                raise
        time.sleep(0.1)  # another first writer is creating it at this moment
    return icechunk.Repository.open_or_create(storage, _settings())


def _created(storage: Any) -> Any:
    repository = _opened_or_created(storage)
    session = repository.writable_session(BRANCH)
    try:
        zarr.open_group(session.store, mode="r")
        return repository
    except FileNotFoundError:
        root = zarr.create_group(session.store, attributes={"made_by": "terracast", "layout": 1})
        for name in FOLDERS:
            root.create_group(name)
    try:
        session.commit("store created")
    except icechunk.ConflictError:  # two first writers at once: the other one has created it
        zarr.open_group(repository.readonly_session(BRANCH).store, mode="r")
    return repository
