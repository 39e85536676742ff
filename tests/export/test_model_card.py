"""A model card of texts that mean something to Markdown or HTML: they stay what they are."""

import re

import pytest

from kptkit.export.model_card import model_card

EVIL = [
    "<script>alert(1)</script>",
    "a|b",
    "`x`",
    "](http://x)",
    "![](http://x)",
    "\"quoted\" 'twice'",
    "two\nlines",
    "# title",
    "\x1b[31m",
]


def manifest(text):
    """A manifest in which every text that can be somebody else's is this one."""
    inputs = {"images": {"dtype": "uint8", "shape": [None, None, 3], "meaning": "pictures"}}
    return {
        "task": "pose",
        "kptkit": "1",
        "tensorflow": "2",
        "weights": {"source": text, "licence": text, "score": text, "cite": text},
        "largest_difference": {"scores": 0.0},
        "signatures": {"serving_default": {"inputs": inputs, "outputs": inputs}},
        "limits": {"pixels": 1},
        "schema": {
            "names": [text, "nose"],
            "edges": [],
            "flip_pairs": [[0, 1]],
            "oks_sigmas": [0.1, 0.1],
            "upper_body": [],
        },
        "recipe": {"network": text, "decoder": "dark"},
    }


@pytest.mark.parametrize("text", EVIL)
def test_foreign_text_makes_no_marks(text):
    harmless = model_card(manifest("harmless"))
    card = model_card(manifest(text))
    assert card.count("\n") == harmless.count("\n")
    for line, other in zip(card.splitlines(), harmless.splitlines(), strict=True):
        assert line.isprintable()
        # Code shows all but bars as they are; marks behind a backslash are none.
        bare = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", re.sub(r"\\[|]", "", line))
        bare = re.sub(r"\\.", "", bare)
        assert "<" not in bare
        assert "](" not in bare
        assert line.startswith("#") == other.startswith("#")
        assert bare.count("|") == other.count("|")


def test_settings_are_code():
    assert "| network | `` `x` `` |" in model_card(manifest("`x`"))
    assert "| decoder | `dark` |" in model_card(manifest("x"))
