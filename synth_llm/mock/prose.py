"""Text that depends on some bytes alone, and reads like prose from afar."""

from __future__ import annotations

from hashlib import blake2b

from synth_llm.mock.draw import Draw

OPENINGS = (
    *("Most days", "At first", "In the end", "By evening", "After the rain", "Every spring", "Long ago", "Last week"),
    *(
        "Since then",
        "On Sundays",
        "Before dawn",
        "Without a word",
        "Some years later",
        "As always",
        "Once more",
        "Then",
    ),
)
ADJECTIVES = (
    *("quiet", "narrow", "old", "bright", "patient", "early", "broken", "green", "distant", "careful", "salty", "warm"),
    *("heavy", "plain", "curious", "slow", "clever", "empty", "golden", "gentle", "rough", "small", "famous", "pale"),
    *("simple", "strange", "tired", "loud", "honest", "deep", "sudden", "winter"),
)
NOUNS = (
    *("river", "teacher", "window", "garden", "letter", "engine", "baker", "harbour", "ladder", "orchard", "signal"),
    *("painter", "bridge", "market", "lantern", "kitchen", "doctor", "mountain", "story", "machine", "sailor", "clock"),
    *("village", "library", "driver", "forest", "neighbour", "piano", "question", "road", "farmer", "island", "tower"),
    *("recipe", "student", "theatre", "captain", "meadow", "museum", "answer", "city", "blanket", "weaver", "storm"),
    *("station", "mirror", "singer", "valley", "coat", "printer", "stranger", "boat", "hotel", "drawing", "cousin"),
    *("lake", "ticket", "film", "nurse", "plan", "festival", "carpenter", "beach", "camera"),
)
VERBS = (
    *("follows", "remembers", "repairs", "meets", "describes", "leaves", "finds", "watches", "needs", "carries"),
    *("praises", "forgets", "explains", "surprises", "keeps", "hides", "passes", "questions", "admires", "changes"),
    *("warns", "helps", "paints", "measures", "misses", "sells", "visits", "answers", "joins", "protects", "copies"),
    *("imagines",),
)
ENDINGS = (
    *("near the coast", "for a while", "with some doubt", "in the old town", "under open sky", "as best it can"),
    *("to everyone's surprise", "without a plan", "for the second time", "at half the price", "beyond the hills"),
    *("in silence", "with great care", "before it is too late", "for good reason", "across the square"),
)
MOST = 9
"""Sentences of the longest answer."""


def prose(seed: bytes) -> str:
    """Two to nine sentences, some 20 to 100 words."""
    draws = blake2b(seed, digest_size=64).digest()
    each = iter(draws[1 : 1 + 7 * (2 + draws[0] % (MOST - 1))])
    return " ".join(
        [
            f"{OPENINGS[opening & 15]} the {ADJECTIVES[first & 31]} {NOUNS[who & 63]} {VERBS[does & 31]} "
            f"the {ADJECTIVES[second & 31]} {NOUNS[whom & 63]} {ENDINGS[ending & 15]}."
            for opening, first, who, does, second, whom, ending in zip(*[each] * 7, strict=True)
        ]
    )


def phrase(draw: Draw) -> str:
    """A few words, for a field of an object."""
    return f"{draw.of(ADJECTIVES)} {draw.of(NOUNS)} {draw.of(ENDINGS)}"
