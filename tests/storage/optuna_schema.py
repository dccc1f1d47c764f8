#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the tables of a database of ours with those that Optuna makes.

usage: optuna_schema.py DATABASE | PROGRAM     (a PROGRAM is make_storage_fixture, which then makes the database)

Tables, columns in order with declared type, NOT NULL and primary key, every index with its columns and uniqueness,
foreign keys, and the revision must be equal.
"""
import os
import sqlite3
import subprocess
import sys
import tempfile

import optuna


def describe(path):
    db = sqlite3.connect(path)
    found = {}
    for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
        indexes = set()
        for _, name, unique, origin, partial in db.execute(f"PRAGMA index_list('{table}')"):
            columns = tuple(row[2] for row in db.execute(f"PRAGMA index_info('{name}')"))
            indexes.add((name, unique, origin, partial, columns))
        found[table] = {
            "columns": db.execute(f"PRAGMA table_info('{table}')").fetchall(),
            "indexes": indexes,
            "foreign keys": {row[2:] for row in db.execute(f"PRAGMA foreign_key_list('{table}')")},
        }
    found["alembic revision"] = db.execute("SELECT * FROM alembic_version").fetchall()
    found["schema version"] = db.execute("SELECT version_info_id, schema_version FROM version_info").fetchall()
    db.close()
    return found


def main():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        ours = sys.argv[1]
        with open(ours, "rb") as file:
            is_database = file.read(15) == b"SQLite format 3"
        if not is_database:
            ours = os.path.join(folder, "ours.db")
            subprocess.run([sys.argv[1], "make", ours], check=True)
        theirs = os.path.join(folder, "theirs.db")
        optuna.create_study(storage=f"sqlite:///{theirs}", study_name="s")
        a, b = describe(ours), describe(theirs)
    wrong = 0
    for name in sorted(a.keys() | b.keys()):
        if name.startswith("hpt_"):
            continue  # a table that is ours alone
        if a.get(name) != b.get(name):
            wrong += 1
            print(f"{name}:\n  ours   {a.get(name)}\n  Optuna {b.get(name)}")
    print(f"optuna_schema: {len(b) - 2} tables, {wrong} differences")
    sys.exit(1 if wrong or len(b) < 14 else 0)


main()
