"""Databases of a server, and the official client of the repositories in them."""

from __future__ import annotations

import json
import os
import tempfile

import psycopg2
from lsst.daf.butler import Butler, Config


class Server:
    def __init__(self, dsn: str, prefix: str):
        self.dsn = dsn
        self.prefix = prefix
        self.directory = tempfile.TemporaryDirectory()

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

    def butler(self, database: str, *, make: bool = False) -> Butler:
        """A client of the repository in a database."""
        at = psycopg2.extensions.parse_dsn(self.dsn)
        directory = os.path.join(self.directory.name, database)
        config = {"registry": {"db": f"postgresql+psycopg2://{at['user']}@{at['host']}:{at['port']}/{database}"}}
        if make:
            Butler.makeRepo(directory, config=Config(config))
        elif not os.path.exists(directory):
            os.mkdir(directory)
            config["datastore"] = {
                "cls": "lsst.daf.butler.datastores.fileDatastore.FileDatastore", "root": "<butlerRoot>",
                "records": {"table": "file_datastore_records"}}
            with open(os.path.join(directory, "butler.yaml"), "w") as file:
                json.dump(config, file)
        return Butler.from_config(directory, writeable=True)


def close(butler: Butler) -> None:
    """A template has no connections."""
    butler._registry._db._engine.dispose()
    butler.close()
