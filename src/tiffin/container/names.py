"""Ids of 64 digits, and names for containers that nobody named: an adjective and something to eat."""

from __future__ import annotations

import re

from tiffin.errors import InvalidError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ADJECTIVES", "NOUNS", "check_name", "new_id", "random_name"]

_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]+"

_ADJECTIVES = """
airy ample aromatic autumnal baked balanced blended bold brisk bubbly buttery calm candied cheerful
chilled citrusy clear cosy creamy crisp crusty curious dainty deep delicate earthy easy fermented
festive fiery fluffy foamy fragrant fresh frosty fruity generous gentle gilded glazed golden grand
grilled hearty herbal homely honest jolly juicy keen leafy lemony light lively lucky marbled mellow
merry mild minty nimble noble nutty oaky oaten patient peppery pickled plain playful plump poached
polished proud pure quick quiet rested rich ripe roasted robust round rustic savoury seared shared
silky silver simmered simple slow smoky smooth snug soft spiced splendid spry steady steamed stuffed
sturdy sunny supple sweet swift tangy tart tender toasted tranquil upbeat vivid warm whipped whisked
wholesome wild witty zesty
"""

_NOUNS = """
almond apricot arepa artichoke baguette barley basil bento biryani biscuit bistro bhaji blini
borscht brioche broth burrito cafe canteen cardamom cashew casserole cellar chapati cherry chestnut
chowder chutney cinnamon clementine clove compote congee couscous crepe crumble cumin curry dal date
dosa dumpling fennel feta fig focaccia fondue galette garden ginger gnocchi goulash granola gratin
halva harvest hazelnut honey hummus idli jambalaya kebab kimchi kitchen korma lagoon larder lassi
laksa lemon lentil lime lychee macaron mango marmalade meadow miso muesli muffin mulberry naan
noodle nougat nutmeg oatcake olive omelette orchard paella pancake pantry papaya paprika paratha
peach pear picnic pierogi pilaf pistachio pita plum poha polenta porridge pretzel pudding quince
quinoa raita ramen raspberry ravioli relish risotto saffron samosa satay sesame sherbet soda sorbet
souffle stew sumac sushi tagine tamarind tapas tavern tempeh terrace thali thyme tofu tortilla
truffle turnip uttapam vanilla vineyard waffle walnut wasabi yuzu
"""

ADJECTIVES = tuple(_ADJECTIVES.split())
NOUNS = tuple(_NOUNS.split())


def new_id(random_bytes: Callable[[int], bytes]) -> str:
    """Return an id whose first twelve digits are no number: those would be taken for one by some tools."""
    while True:
        found = random_bytes(32).hex()
        if not found[:12].isdigit():
            return found


def random_name(choose: Callable[[Sequence[str]], str], taken: Callable[[str], bool]) -> str:
    """Return a name that is free, with a number at its end when luck does not help."""
    for attempt in range(1000):
        name = f"{choose(ADJECTIVES)}_{choose(NOUNS)}"
        if attempt > 5:
            name += str(attempt - 5)
        if not taken(name):
            return name
    raise InvalidError("no free name was found for the container", hint="give one with --name")


def check_name(name: str) -> str:
    """Return the name without the slash that Docker puts before it, or say what is wrong with it."""
    bare = name.removeprefix("/")
    if not re.fullmatch(_NAME, bare):
        raise InvalidError(
            f"{name!r} cannot be the name of a container",
            code="invalid-name",
            hint="use at least two of a-z, A-Z, 0-9, _, . and -, the first a letter or digit",
        )
    return bare
