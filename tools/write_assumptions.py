"""Write docs/assumptions.md from its beginning and the list that the probe answers."""

from __future__ import annotations

from pathlib import Path

from intacct_provider.probe.assumptions import ASSUMPTIONS, Assumption

PAGE = Path(__file__).resolve().parents[1] / "docs" / "assumptions.md"
HEAD = Path(__file__).with_name("assumptions_head.md")


def format_assumption(one: Assumption) -> str:
    """Return the section about one assumption."""
    unknown = f"\n- **if unknown**: {one.if_unknown}" if one.if_unknown else ""
    write = " (only with `--write`)" if one.write else ""
    return (
        f"### `{one.id}`\n\n{one.claim}\n\n- **source**: {one.source}\n- **asked**: {one.asked}{write}\n"
        f"- **if it holds**: {one.if_holds}\n- **if not**: {one.if_not}{unknown}\n"
    )


def build_page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD.read_text(encoding="utf-8"), *map(format_assumption, ASSUMPTIONS)])


if __name__ == "__main__":
    PAGE.write_text(build_page(), encoding="utf-8")
    print(f"{PAGE.name}: {len(ASSUMPTIONS)} assumptions")
