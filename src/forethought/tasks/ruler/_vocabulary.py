"""The vocabulary of generated text."""

from __future__ import annotations


def words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


ADJECTIVES = words(
    """
    amber ancient autumn bitter blue bold brass brave bright brisk broad broken calm careful cheap
    clean clever cloudy cold copper coral crimson crooked curious damp dark dear deep distant dusty
    eager early eastern empty faded faint famous fancy fierce firm flat foggy foreign forgotten
    fragrant fresh friendly frozen gentle gilded glassy golden grand grateful gray green hasty
    hidden hollow  humble icy idle inner ivory jolly keen lavish lazy lively lonely loud lucky
    marble mellow merry mild misty modest mossy narrow neat nervous noble northern odd olive orange
    pale patient plain pleasant polished polite proud purple quick quiet rapid rare restless rich
    rough round royal rugged rusty salty scarlet secret shady sharp shiny silent silver simple
    sleepy slender small smooth snowy soft solemn sour southern spare steady steep stern stony
    stormy strange sturdy sudden sunny sweet swift tall tame tender thin thirsty tidy tiny tired
    vacant vast velvet violet vivid warm weary western wide wild windy winter wise wooden woolen
    yellow young
    """
)
NOUNS = words(
    """
    acorn almanac anchor anvil apron arch arrow atlas awning axle badge ballad banjo banner barge
    barley barrel basket beacon beetle bell bench berry blanket boat bonnet bottle boulder bracelet
    bridge broom brush bucket buckle bugle butter button cabin cactus camel candle canoe canvas
    carpet carriage castle cedar cellar chain chalk chapel cherry chimney chisel cider circus clay
    cliff cloak clock clover coach coat cobbler comet compass cottage cradle crane crate cricket
    crown cupboard curtain cushion daisy desk diary dolphin donkey drawer drum easel echo elm ember
    engine envelope falcon feather fence fern ferry fiddle field flask flute fossil fountain fox
    funnel garden garlic gate ginger glacier glove goat gravel guitar hammer hammock harbor harp
    hatchet hawk hazel helmet herring hinge honey hood horn island ivy jacket jar jewel jug juniper
    kettle kite ladder lagoon lamp lantern laurel ledger lemon lever lily linen lizard locket loom
    magnet mallet maple mask meadow medal melon mill mirror mitten moth mountain mushroom mustard
    napkin nest nettle notebook oak oar oboe onion orchard otter oven owl oyster paddle palace
    parcel parsley pear pebble pencil pepper petal piano pillow pine pipe pitcher plum pocket pond
    poppy postcard pottery puppet quarry quill quilt rabbit radish raft raven reed ribbon river
    robin rocket rope rudder saddle saffron sail salmon sandal satchel saucer scarf scissors seal
    shawl shelf shovel shutter sickle slipper soap sparrow spindle spoon stable staircase statue
    stove straw sugar sundial swan table teapot temple thimble thistle thread thunder ticket tiger
    timber torch tower trumpet tulip tunnel turnip turtle umbrella valley vase vest village vine
    violin wagon walnut wardrobe waterfall weasel wharf wheel whistle willow window wolf wreath
    yarn zebra zipper
    """
)
PEOPLE = words(
    """
    baker barber beekeeper bookbinder boatman brewer carpenter carter chemist clerk clockmaker cook
    cooper cousin dancer dentist doctor driver farmer ferryman fisherman florist gardener glazier
    goldsmith grocer guard hatter hunter innkeeper judge lawyer librarian locksmith mason mayor
    merchant messenger miller miner musician neighbor nurse painter pilot plumber poet porter
    potter printer sailor sculptor shepherd singer smith soldier stranger student surveyor tailor
    teacher traveler visitor waiter watchman weaver
    """
)
PLACES = words(
    """
    abbey alley arcade attic avenue bakery balcony bank bathhouse bay brewery cafe canal cathedral
    corridor courtyard crossroads dairy dock factory farmhouse foundry gallery greenhouse guesthouse
    hall hillside hospital hotel inn kitchen laundry library lighthouse market monastery museum
    observatory office park parlor pasture pharmacy pier plaza porch school shipyard station
    storehouse street studio tavern terrace theater vineyard warehouse workshop yard
    """
)
ACTIONS = words(
    """
    admired borrowed bought carried cleaned collected copied counted covered delivered described
    discovered displayed drew emptied examined exchanged fetched filled found hid inspected kept
    lifted lost measured mended moved noticed offered opened ordered packed painted placed praised
    pulled pushed remembered repaired replaced returned sketched sold stored studied tested traded
    unpacked washed weighed wrapped
    """
)
FIRST_NAMES = words(
    """
    Ada Adrian Agnes Albin Alma Anton Astrid August Beata Bella Bruno Carla Caspar Celia Clara
    Conrad Cora Dagmar Dario Delia Edgar Edith Elena Elias Elsa Emil Enid Erik Esther Fabian Felix
    Flora Frida Gerda Gideon Greta Gustav Hanna Harald Hedda Helga Henrik Hugo Ida Ingrid Irma Isak
    Ivan Jasper Johan Judith Julius Karin Klara Konrad Lars Lena Leopold Linus Lotte Magda Marek
    Maren Matilda Milo Mira Nadia Nils Nora Olga Oskar Otto Paula Petra Quentin Ragna Rasmus Rosa
    Rufus Sabina Selma Sigrid Silas Stella Sven Tamara Theo Tilda Tobias Ulla Vera Viktor Viola
    Walter Wanda Wilma Xenia Yvonne Zelda
    """
)
NAME_STARTS = words(
    """
    Ald Ash Bar Beck Bell Birk Blan Bram Bren Brom Cald Carn Cor Dal Dorn Dun Eld Fal Fen Finn Gar
    Glen Grim Had Hal Hart Hem Hol Ing Kel Kirk Lam Lang Lind Lor Mal Mar Mel Mor Nor Oak Ost Pel
    Pem Quil Rav Red Ros Sand Sel Stan Thor Til Ul Van Wal Wend Whit Win Yar
    """
)
SURNAME_ENDS = words("berg by dahl ell en er feldt gren holt ik ing lund man mark ner rud son")
TOWN_ENDS = words(
    "bourne bridge bury combe dale den field ford gate ham haven hurst ley minster mouth ness"
)
TRADES = words(
    """
    accountant architect astronomer botanist carpenter chemist engineer geologist glassblower
    goldsmith historian journalist librarian machinist mathematician photographer printer surgeon
    translator veterinarian
    """
)
INSTRUMENTS = words(
    "accordion banjo bassoon cello clarinet flute guitar harp mandolin oboe piano trombone"
)
PRODUCTS = words(
    """
    bicycles barometers bells brushes buttons candles carpets clocks compasses engines gloves
    kettles ladders lamps locks mirrors paper pianos pumps ropes sails scissors soap telescopes
    tiles typewriters umbrellas varnish violins wagons
    """
)
WORKS = words("Brothers Company Guild House Mills Partners Trading Works Workshop Yard")
