# SPDX-License-Identifier: Apache-2.0
"""_media.py: objects that scripts make for a dashboard. There is none here, so they keep little and do nothing; what a
script may read back (a table's rows, an artifact's metadata) it can."""

import os
import tempfile

from .errors import no_server


class Inert:
    """Takes any arguments, has any method, and each returns the object itself."""

    def __init__(self, *args, **kwargs):
        pass

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args, **kwargs):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False

    def __iter__(self):
        return iter(())

    def __len__(self):
        return 0

    def __bool__(self):
        return True


class Image(Inert):
    pass


class Video(Inert):
    pass


class Audio(Inert):
    pass


class Html(Inert):
    pass


class Object3D(Inert):
    pass


class Molecule(Inert):
    pass


class Plotly(Inert):
    pass


class Bokeh(Inert):
    pass


class Graph(Inert):
    pass


class Classes(Inert):
    pass


class Histogram(Inert):
    pass


class JoinedTable(Inert):
    pass


class Table:
    def __init__(self, columns=None, data=None, rows=None, dataframe=None, **kwargs):
        if dataframe is not None:
            columns, data = list(dataframe.columns), dataframe.values.tolist()
        rows = data if data is not None else rows
        self.columns = list(columns) if columns is not None else ["Input", "Output", "Expected"]
        self.data = [list(r) for r in rows] if rows is not None else []

    def add_data(self, *row):
        self.data.append(list(row))

    add_row = add_data

    def add_column(self, name, data, optional=False):
        for i, value in enumerate(data):
            if i == len(self.data):
                self.data.append([None] * len(self.columns))
            self.data[i].append(value)
        self.columns.append(name)

    def get_column(self, name, convert_to=None):
        i = self.columns.index(name)
        column = [row[i] for row in self.data]
        if convert_to == "numpy":
            import numpy

            return numpy.array(column)
        return column

    def get_dataframe(self):
        import pandas

        return pandas.DataFrame(self.data, columns=self.columns)

    def iterrows(self):
        return enumerate(self.data)

    def add_computed_columns(self, fn):
        pass


class _NewFile:
    """A file that the script writes into an artifact: kept in a temporary place until it is closed, then dropped."""

    def __init__(self, mode, encoding):
        self.file = tempfile.TemporaryFile(mode.replace("r", "w") + ("" if "+" in mode else "+"), encoding=encoding)

    def __enter__(self):
        return self.file

    def __exit__(self, *exc):
        self.file.close()
        return False

    def __getattr__(self, name):
        return getattr(self.file, name)


class Artifact:
    """A name, a type and metadata. Files that are added stay where they are: nothing is copied or sent."""

    def __init__(self, name="", type="", description=None, metadata=None, **kwargs):
        self.name, self.type, self.description = name, type, description
        self.metadata = dict(metadata or {})
        self.aliases, self.tags, self.version, self.id, self.digest, self.size = [], [], "v0", None, "", 0
        self.state = "PENDING"

    def add_file(self, local_path=None, *args, **kwargs):
        if local_path is not None and not os.path.isfile(local_path):
            raise ValueError("Path is not a file: %r" % (local_path,))
        return self

    def add_dir(self, local_path=None, *args, **kwargs):
        if local_path is not None and not os.path.isdir(local_path):
            raise ValueError("Path is not a directory: %r" % (local_path,))

    def add(self, obj=None, name=None, *args, **kwargs):
        return self

    def add_reference(self, *args, **kwargs):
        return []

    def new_file(self, name=None, mode="w", encoding=None):
        return _NewFile(mode, encoding)

    def wait(self, timeout=None):
        return self

    def save(self, *args, **kwargs):
        pass

    def is_draft(self):
        return True

    def download(self, *args, **kwargs):
        raise no_server("Artifact.download")

    get = get_path = file = files = checkout = download
