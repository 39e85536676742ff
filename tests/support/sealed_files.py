"""Documents of our own whose values were changed on purpose, with a right seal."""

import json

from kptkit.sealed import SEAL, sealed_text


def reseal(path, change):
    """Writes a document again after `change` has been called with its content."""
    content = json.loads(path.read_text())
    del content[SEAL]
    change(content)
    path.write_text(sealed_text(content))


def put(place, value):
    """A change for `reseal`: the value at a place such as ``shards.0.file``; ... removes it."""

    def change(content):
        *outer, last = (int(part) if part.isdecimal() else part for part in place.split("."))
        for part in outer:
            content = content[part]
        if value is ...:
            del content[last]
        else:
            content[last] = value

    return change
