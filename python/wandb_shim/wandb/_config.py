# SPDX-License-Identifier: Apache-2.0
"""_config.py: wandb.config and wandb.summary: dictionaries that also read and write as attributes.

Of a configuration, what the sweep set is locked: defaults of the script, later assignments and updates leave it as it
is, whole top-level keys at a time, so a nested parameter of the sweep replaces a dictionary of the same name (W&B's
rule). Values are kept as given; nothing is converted.
"""

import sys


def plain_dict(data, what):
    """A dictionary from what scripts hand over: a mapping, an argparse.Namespace, absl or click flags, pairs."""
    if data is None:
        return {}
    if isinstance(data, Attributes):
        return data.as_dict()
    if isinstance(data, str):
        return read_file(data)
    if hasattr(data, "flag_values_dict"):  # absl
        return dict(data.flag_values_dict())
    if hasattr(data, "keys") and hasattr(data, "__getitem__"):
        return {k: data[k] for k in data.keys()}
    if hasattr(data, "__dict__"):
        return dict(vars(data))
    try:
        return dict(data)
    except (TypeError, ValueError):
        raise TypeError("%s is neither a dictionary nor a namespace: %r" % (what, type(data).__name__)) from None


def read_file(path):
    """A configuration file: JSON, or YAML where PyYAML is installed; W&B's own form has {key: {value: v}}."""
    import json

    with open(path, encoding="utf-8") as f:
        text = f.read()
    try:
        data = json.loads(text)
    except ValueError:
        try:
            import yaml
        except ImportError:
            raise ImportError("reading the configuration file '%s' needs PyYAML: pip install pyyaml" % path) from None
        data = yaml.safe_load(text) or {}
    data.pop("wandb_version", None)
    return {k: v["value"] if isinstance(v, dict) and "value" in v and set(v) <= {"value", "desc"} else v
            for k, v in data.items() if k != "_wandb"}


class Attributes:
    """A dictionary with attribute access. Names that begin with an underscore are Python's own."""

    def __init__(self):
        object.__setattr__(self, "_items", {})

    # ---- reading
    def __getitem__(self, key):
        return self._items[key]

    def __getattr__(self, key):
        if key.startswith("__") or key == "_items":  # _items: an object that copy or pickle has not filled yet
            raise AttributeError(key)
        try:
            return self._items[key]
        except KeyError:
            raise AttributeError("%r has no entry '%s'; it has: %s"
                                 % (type(self).__name__, key, ", ".join(map(str, self._items)) or "none")) from None

    def get(self, *args):
        return self._items.get(*args)

    def keys(self):
        return self._items.keys()

    def values(self):
        return self._items.values()

    def items(self):
        return self._items.items()

    def __contains__(self, key):
        return key in self._items

    def __iter__(self):
        return iter(self._items)

    def __len__(self):
        return len(self._items)

    def __repr__(self):
        return repr(self._items)

    __str__ = __repr__

    def __eq__(self, other):
        return self._items == (other._items if isinstance(other, Attributes) else other)

    __hash__ = None

    def as_dict(self):
        return dict(self._items)

    def _as_dict(self):
        return dict(self._items)

    def __copy__(self):
        return self.as_dict()

    def __deepcopy__(self, memo):
        import copy

        return copy.deepcopy(self._items, memo)

    # ---- writing
    def _set(self, key, value):
        self._items[key] = value

    def __setitem__(self, key, value):
        self._set(key, value)

    def __setattr__(self, key, value):
        self._set(key, value)

    def __delitem__(self, key):
        del self._items[key]

    def __delattr__(self, key):
        self._items.pop(key, None)

    def pop(self, key, *default):
        return self._items.pop(key, *default)

    def setdefault(self, key, default=None):
        if key not in self._items:
            self._set(key, default)
        return self._items[key]

    def update(self, data=None, allow_val_change=None, exclude_keys=None, include_keys=None, **more):
        data = plain_dict(data, "the update")
        data.update(more)
        for key, value in data.items():
            if exclude_keys and key in exclude_keys or include_keys and key not in include_keys:
                continue
            self._set(key, value)


class Config(Attributes):
    def __init__(self, locked):
        super().__init__()
        object.__setattr__(self, "_locked", dict(locked))
        object.__setattr__(self, "_told", set())
        self._items.update(self._locked)

    def _set(self, key, value):
        if key not in self._locked:
            self._items[key] = value
        elif value != self._locked[key] and key not in self._told:
            self._told.add(key)
            print("wandb (hpt): the sweep sets '%s'; the script's value is ignored" % key, file=sys.stderr)

    def setdefaults(self, data):
        for key, value in plain_dict(data, "the defaults").items():
            if key not in self._items:
                self._items[key] = value

    def _take_defaults(self, data, include, exclude):
        """Arguments of init: what the sweep sets wins without a word."""
        for key, value in plain_dict(data, "init's config").items():
            if key in self._locked or include and key not in include or exclude and key in exclude:
                continue
            self._items[key] = value

    def persist(self):
        pass


class Summary(Attributes):
    """What is set here by hand stays; logged numbers fill the rest (`_logged`)."""

    def _logged(self, key, value):
        self._items[key] = value
