"""Numbers of things in a sentence (pure)."""


def counted(number: int, noun: str) -> str:
    """The number with its noun, which takes an s.

    >>> counted(1, "image"), counted(2, "image")
    ('1 image', '2 images')
    """
    return f"{number} {noun}" + ("" if number == 1 else "s")
