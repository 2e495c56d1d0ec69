"""The pieces of code in docs/dev/adding-an-operator.md are the library's own."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def squeezed(text):
    """Return text without runs of blanks, so that alignment does not count."""
    return re.sub(r"\s+", " ", text)


def test_examples_stand_in_the_sources():
    sources = [*(ROOT / "cymx" / "ops").glob("*.py"), *(ROOT / "cymx" / "include" / "cymx").glob("*.h")]
    everything = squeezed("\n".join(p.read_text(encoding="utf-8") for p in sources))
    guide = (ROOT / "docs" / "dev" / "adding-an-operator.md").read_text(encoding="utf-8")
    pieces = re.findall(r"```(?:python|cpp)\n(.*?)```", guide, re.S)
    assert len(pieces) == 3
    for piece in pieces:
        assert squeezed(piece).strip() in everything, f"not in the sources any more:\n{piece}"
