/* The words. */
#include "tools/rooms/things.h"

#include <string.h>

static const thing_word words[THINGS] = {
    [T_NOTHING] = { "thing", "things", NULL, "is", false },
    [T_WALL] = { "wall", "walls", NULL, "is", true },
    [T_FLOOR] = { "floor", "floor", NULL, "is", true },
    [T_CEILING] = { "ceiling", "ceiling", NULL, "is", true },
    [T_SKY] = { "sky", "sky", NULL, "is", true },
    [T_GROUND] = { "ground", "ground", NULL, "is", true },
    [T_WATER] = { "water", "water", NULL, "lies", true },
    [T_WINDOW] = { "window", "windows", NULL, "is", true },
    [T_DOOR] = { "door", "doors", NULL, "is", true },
    [T_CURTAIN] = { "curtain", "curtains", "drape", "hangs", true },
    [T_RUG] = { "rug", "rugs", "carpet", "lies", true },
    [T_PICTURE] = { "picture", "pictures", "framed picture", "hangs", false },
    [T_MIRROR] = { "mirror", "mirrors", NULL, "hangs", true },
    [T_SOFA] = { "sofa", "sofas", "couch", "stands", true },
    [T_ARMCHAIR] = { "armchair", "armchairs", NULL, "stands", true },
    [T_CHAIR] = { "chair", "chairs", NULL, "stands", true },
    [T_STOOL] = { "stool", "stools", "bar stool", "stands", false },
    [T_BENCH] = { "bench", "benches", NULL, "stands", true },
    [T_OTTOMAN] = { "ottoman", "ottomans", "pouffe", "stands", false },
    [T_COFFEE_TABLE] = { "coffee table", "coffee tables", "low table", "stands", true },
    [T_TABLE] = { "table", "tables", NULL, "stands", true },
    [T_DESK] = { "desk", "desks", NULL, "stands", true },
    [T_SIDE_TABLE] = { "side table", "side tables", "bedside table", "stands", false },
    [T_BED] = { "bed", "beds", NULL, "stands", true },
    [T_BUNK] = { "bunk", "bunks", NULL, "is", true },
    [T_WARDROBE] = { "wardrobe", "wardrobes", "closet", "stands", true },
    [T_DRESSER] = { "chest of drawers", "chests of drawers", "dresser", "stands", true },
    [T_BOOKSHELF] = { "bookshelf", "bookshelves", "bookcase", "stands", true },
    [T_CABINET] = { "cabinet", "cabinets", "cupboard", "stands", true },
    [T_TV] = { "television", "televisions", "TV", "stands", true },
    [T_LAMP] = { "lamp", "lamps", NULL, "stands", false },
    [T_CEILING_LAMP] = { "ceiling lamp", "ceiling lamps", "hanging lamp", "hangs",
                         false },
    [T_PLANT] = { "plant", "plants", "potted plant", "stands", true },
    [T_VASE] = { "vase", "vases", NULL, "stands", false },
    [T_FIREPLACE] = { "fireplace", "fireplaces", NULL, "is", true },
    [T_PIANO] = { "piano", "pianos", "upright piano", "stands", true },
    [T_FRIDGE] = { "fridge", "fridges", "refrigerator", "stands", true },
    [T_OVEN] = { "oven", "ovens", "cooker", "is", true },
    [T_COUNTER] = { "kitchen counter", "kitchen counters", "worktop", "runs", true },
    [T_ISLAND] = { "kitchen island", "kitchen islands", NULL, "stands", true },
    [T_SINK] = { "sink", "sinks", NULL, "is", false },
    [T_HOOD] = { "cooker hood", "cooker hoods", NULL, "hangs", true },
    [T_BATHTUB] = { "bathtub", "bathtubs", "bath", "stands", true },
    [T_SHOWER] = { "shower", "showers", "glass shower", "is", true },
    [T_TOILET] = { "toilet", "toilets", NULL, "stands", true },
    [T_BASIN] = { "washbasin", "washbasins", "sink", "is", false },
    [T_TOWEL] = { "towel", "towels", NULL, "hangs", false },
    [T_COMPUTER] = { "computer", "computers", "computer screen", "stands", false },
    [T_WHITEBOARD] = { "whiteboard", "whiteboards", NULL, "hangs", true },
    [T_SCREEN] = { "projection screen", "projection screens", "screen", "hangs", true },
    [T_LECTERN] = { "lectern", "lecterns", NULL, "stands", true },
    [T_SEATS] = { "row of seats", "rows of seats", "row of chairs", "stands", true },
    [T_BLACKBOARD] = { "blackboard", "blackboards", "chalkboard", "hangs", true },
    [T_LADDER] = { "ladder", "ladders", NULL, "leans", false },
    [T_GLOBE] = { "globe", "globes", NULL, "stands", false },
    [T_ARCADE_MACHINE] = { "arcade machine", "arcade machines", "arcade cabinet",
                           "stands", true },
    [T_POOL_TABLE] = { "pool table", "pool tables", "billiard table", "stands", true },
    [T_NEON] = { "neon light", "neon lights", "neon tube", "glows", false },
    [T_PAINTING] = { "painting", "paintings", "canvas", "hangs", true },
    [T_STATUE] = { "sculpture", "sculptures", "statue", "stands", false },
    [T_TRUNK] = { "trunk", "trunks", "chest", "stands", true },
    [T_BEAM] = { "beam", "beams", NULL, "runs", true },
    [T_BOX] = { "cardboard box", "cardboard boxes", "box", "stands", true },
    [T_CONSOLE] = { "control console", "control consoles", "control panel", "stands",
                    true },
    [T_PILOT_SEAT] = { "pilot seat", "pilot seats", "command chair", "stands", true },
    [T_PLANET] = { "planet", "planets", NULL, "is", true },
    [T_PANE] = { "big window", "big windows", "panoramic window", "is", true },
    [T_FISH] = { "fish", "fish", NULL, "swims", false },
    [T_CORAL] = { "coral", "corals", NULL, "grows", true },
    [T_POD] = { "sleeping pod", "sleeping pods", NULL, "stands", true },
    [T_TREE] = { "tree", "trees", NULL, "stands", true },
    [T_BUSH] = { "bush", "bushes", "shrub", "grows", true },
    [T_ROCK] = { "rock", "rocks", "boulder", "lies", true },
    [T_PALM] = { "palm tree", "palm trees", "palm", "stands", true },
    [T_PARASOL] = { "parasol", "parasols", "beach umbrella", "stands", true },
    [T_BOAT] = { "boat", "boats", "rowing boat", "lies", true },
    [T_CACTUS] = { "cactus", "cacti", NULL, "stands", true },
    [T_FLOWERS] = { "flowers", "flowers", NULL, "grows", false },
    [T_HOUSE] = { "building", "buildings", "house", "stands", true },
    [T_TOWER] = { "tower", "towers", NULL, "stands", true },
    [T_CAR] = { "car", "cars", "parked car", "stands", true },
    [T_STREET_LAMP] = { "street lamp", "street lamps", NULL, "stands", false },
    [T_FENCE] = { "fence", "fences", NULL, "runs", true },
    [T_PERGOLA] = { "pergola", "pergolas", NULL, "stands", true },
    [T_POND] = { "pond", "ponds", NULL, "lies", true },
    [T_PATH] = { "path", "paths", "footpath", "runs", true },
    [T_MOUNTAIN] = { "mountain", "mountains", "peak", "rises", true },
    [T_LAKE] = { "lake", "lakes", NULL, "lies", true },
    [T_DUNE] = { "dune", "dunes", "sand dune", "rises", true },
    [T_ROVER] = { "rover", "rovers", NULL, "stands", true },
    [T_DOME] = { "habitat dome", "habitat domes", "dome", "stands", true },
    [T_TENT] = { "tent", "tents", NULL, "stands", true },
    [T_SNOWMAN] = { "snowman", "snowmen", NULL, "stands", true },
    [T_CABIN] = { "wooden cabin", "wooden cabins", "hut", "stands", true },
    [T_VENT] = { "ventilation unit", "ventilation units", NULL, "stands", true },
    [T_WATER_TANK] = { "water tank", "water tanks", NULL, "stands", true },
    [T_HEDGE] = { "hedge", "hedges", NULL, "grows", true },
    [T_LOG] = { "fallen trunk", "fallen trunks", "log", "lies", true },
    [T_FERN] = { "fern", "ferns", NULL, "grows", false },
    [T_ANTENNA] = { "antenna", "antennas", "dish antenna", "stands", false },
    [T_AWNING] = { "awning", "awnings", NULL, "hangs", true },
    [T_UMBRELLA] = { "umbrella", "umbrellas", NULL, "stands", true },
    [T_HAMMOCK] = { "hammock", "hammocks", NULL, "hangs", true },
    [T_COLUMN] = { "column", "columns", "pillar", "stands", true },
    [T_PEW] = { "pew", "pews", NULL, "stands", true },
    [T_BARREL] = { "barrel", "barrels", NULL, "stands", true },
    [T_TREADMILL] = { "treadmill", "treadmills", NULL, "stands", true },
    [T_WEIGHTS] = { "weights", "weights", NULL, "lies", false },
    [T_COUCH_BED] = { "lounger", "loungers", "deck chair", "stands", true },
};

static const char *const colours[COLOURS] = { "white",  "black",  "grey",  "red",
                                              "orange", "yellow", "green", "blue",
                                              "purple", "pink",   "brown" };

static const char *const stuffs[STUFFS] = {
    [S_WOOD] = "wooden",     [S_LEATHER] = "leather",   [S_FABRIC] = "fabric",
    [S_METAL] = "metal",     [S_MARBLE] = "marble",     [S_BRICK] = "brick",
    [S_TILE] = "tiled",      [S_CARPET] = "carpeted",   [S_CONCRETE] = "concrete",
    [S_GLASS] = "glass",     [S_PLASTER] = "plastered", [S_STONE] = "stone",
    [S_PARQUET] = "parquet", [S_PAPER] = "papered",     [S_VELVET] = "velvet",
    [S_GRASS] = "grassy",    [S_SAND] = "sandy",        [S_SNOW] = "snowy",
};

static const struct {
    const char *name;
    const char *say[5];
} kinds[KINDS] = {
    [K_LIVING] = { "living_room",
                   { "living room", "lounge", "sitting room", "family room" } },
    [K_KITCHEN] = { "kitchen", { "kitchen", "kitchen", "home kitchen" } },
    [K_BEDROOM] = { "bedroom", { "bedroom", "bedroom", "sleeping room" } },
    [K_OFFICE] = { "office", { "office", "office", "workplace", "study" } },
    [K_LECTURE] = { "lecture_hall", { "lecture hall", "auditorium", "lecture theatre" } },
    [K_LIBRARY] = { "library", { "library", "library", "reading room" } },
    [K_ARCADE] = { "arcade",
                   { "arcade", "game arcade", "amusement arcade", "video arcade" } },
    [K_BATHROOM] = { "bathroom", { "bathroom", "bathroom", "bath" } },
    [K_CORRIDOR] = { "corridor", { "corridor", "hallway", "hotel corridor" } },
    [K_GALLERY] = { "gallery", { "art gallery", "gallery", "museum gallery" } },
    [K_ATTIC] = { "attic", { "attic", "loft", "attic room" } },
    [K_SPACESHIP] = { "spaceship", { "spaceship", "starship bridge", "space station" } },
    [K_UNDERWATER] = { "underwater_hotel",
                       { "underwater hotel", "underwater hotel room",
                         "undersea lounge" } },
    [K_BEACH] = { "beach", { "beach", "sandy beach", "seaside" } },
    [K_FOREST] = { "forest", { "forest", "woodland", "wood" } },
    [K_MOUNTAINS] = { "mountains",
                      { "mountain landscape", "mountains", "mountain valley" } },
    [K_DESERT] = { "desert", { "desert", "sand desert", "dunes" } },
    [K_MARS] = { "mars", { "Mars landscape", "surface of Mars", "Martian desert" } },
    [K_CITY] = { "city_street", { "city street", "street in a city", "town street" } },
    [K_ROOFTOP] = { "rooftop", { "rooftop terrace", "rooftop", "roof terrace" } },
    [K_GARDEN] = { "garden", { "garden", "backyard", "park garden" } },
    [K_SNOW] = { "snow", { "snowy landscape", "winter landscape", "snow field" } },
};

const thing_word *vr_thing(int what)
{
    return &words[what];
}

const char *vr_stuff(int stuff)
{
    return stuffs[stuff];
}

const char *vr_colour_word(int colour)
{
    return colour < 0 ? NULL : colours[colour];
}

const char *vr_mood(int mood)
{
    static const char *const moods[MOODS] = { [MOOD_COSY] = "cosy",
                                              [MOOD_BRIGHT] = "bright",
                                              [MOOD_MODERN] = "modern",
                                              [MOOD_OLD] = "old",
                                              [MOOD_DIM] = "dim" };
    return moods[mood];
}

const char *vr_kind_name(int kind)
{
    return kinds[kind].name;
}

const char *vr_kind_word(int kind, int i)
{
    return i < 5 ? kinds[kind].say[i] : NULL;
}

int vr_kind_find(const char *name)
{
    for (int k = 0; k < KINDS; k++)
        if (strcmp(kinds[k].name, name) == 0)
            return k;
    return -1;
}
