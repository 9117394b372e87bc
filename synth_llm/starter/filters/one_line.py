"""Drops texts of more than one line: a message is one paragraph."""

from synth_llm import Row, Verdict


def one_line(row: Row, column: str = "text", max_lines: int = 1) -> Verdict:
    """Keep texts of at most `max_lines` lines. The value is the number of lines."""
    lines = len(str(row.get(column, "")).strip().splitlines())
    return Verdict(lines <= max_lines, f"{lines} lines", lines)
