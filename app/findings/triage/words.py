"""What people write: visible, bounded, and more than spaces. Pure."""

from app.detection.knob_rules import is_line

#: Characters of a reason, of a note, of a comment.
TEXT_MAX = 4_000
#: Of what names something elsewhere, e.g. a ticket.
REFERENCE_MAX = 200


def is_text(text: str) -> bool:
    """Whether it is visible text of one or several lines that says something."""
    lines = text.replace("\r\n", "\n").split("\n")
    return len(text) <= TEXT_MAX and bool(text.strip()) and all(line.replace("\t", " ").isprintable() for line in lines)


def is_reference(text: str) -> bool:
    return text == "" or is_line(text, REFERENCE_MAX)
