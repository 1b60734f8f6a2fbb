"""Repositories of the official client on a server, each in a database of its own."""

from __future__ import annotations

import json
import os
import tempfile

import psycopg2
from lsst.daf.butler import Butler, Config


class Server:
    """A server, and the names of the databases that are made on it.

    `dsn` is a superuser's, without a database; the databases' names begin with `prefix`. The
    repositories' configurations, and their files if they have any, are in `directory`.
    """

    def __init__(self, dsn: str, prefix: str, directory: str | None = None):
        self.dsn = dsn
        self.prefix = prefix
        self._temporary = None if directory else tempfile.TemporaryDirectory()
        self.directory = directory or self._temporary.name

    def execute(self, database: str, *statements: str) -> None:
        connection = psycopg2.connect(self.dsn, dbname=database)
        connection.autocommit = True
        for statement in statements:
            connection.cursor().execute(statement)
        connection.close()

    def create(self, name: str, template: str = "template0") -> str:
        name = f"{self.prefix}_{name}"
        self.execute("postgres", f"create database {name} template {template}")
        return name

    def create_repository(self, name: str) -> str:
        """A fresh repository, to which nobody is connected."""
        database = self.create(name)
        self.execute(database, "create extension btree_gist")
        with tempfile.TemporaryDirectory() as directory:
            Butler.makeRepo(directory, config=Config(self._registry(database)))
            close(Butler.from_config(directory, writeable=True))
        return database

    def butler(self, database: str, *, writeable: bool = True) -> Butler:
        """A client of the repository in a database. All have one datastore."""
        file = os.path.join(self.directory, f"{database}.yaml")
        config = self._registry(database) | {"datastore": {
            "cls": "lsst.daf.butler.datastores.fileDatastore.FileDatastore", "root": "<butlerRoot>",
            "records": {"table": "file_datastore_records"}}}
        with open(file, "w") as text:
            json.dump(config, text)
        return Butler.from_config(file, writeable=writeable)

    def _registry(self, database: str) -> dict:
        at = psycopg2.extensions.parse_dsn(self.dsn)
        return {"registry": {"db": f"postgresql+psycopg2://{at['user']}@{at['host']}:{at['port']}/{database}"}}


def close(butler: Butler) -> None:
    """Ends its connections: a template of other databases has none."""
    butler._registry._db._engine.dispose()
    butler.close()
