/* Words: what things, materials, scene kinds and moods are called. */
#ifndef VBG_ROOMS_THINGS_H
#define VBG_ROOMS_THINGS_H

#include "tools/rooms/scene.h"

typedef enum thing_kind {
    T_NOTHING, /* belongs to the room, has no name of its own */
    T_WALL,
    T_FLOOR,
    T_CEILING,
    T_SKY,
    T_GROUND,
    T_WATER,
    T_WINDOW,
    T_DOOR,
    T_CURTAIN,
    T_RUG,
    T_PICTURE,
    T_MIRROR,
    T_SOFA,
    T_ARMCHAIR,
    T_CHAIR,
    T_STOOL,
    T_BENCH,
    T_OTTOMAN,
    T_COFFEE_TABLE,
    T_TABLE,
    T_DESK,
    T_SIDE_TABLE,
    T_BED,
    T_BUNK,
    T_WARDROBE,
    T_DRESSER,
    T_BOOKSHELF,
    T_CABINET,
    T_TV,
    T_LAMP,
    T_CEILING_LAMP,
    T_PLANT,
    T_VASE,
    T_FIREPLACE,
    T_PIANO,
    T_FRIDGE,
    T_OVEN,
    T_COUNTER,
    T_ISLAND,
    T_SINK,
    T_HOOD,
    T_BATHTUB,
    T_SHOWER,
    T_TOILET,
    T_BASIN,
    T_TOWEL,
    T_COMPUTER,
    T_WHITEBOARD,
    T_SCREEN,
    T_LECTERN,
    T_SEATS,
    T_BLACKBOARD,
    T_LADDER,
    T_GLOBE,
    T_ARCADE_MACHINE,
    T_POOL_TABLE,
    T_NEON,
    T_PAINTING,
    T_STATUE,
    T_TRUNK,
    T_BEAM,
    T_BOX,
    T_CONSOLE,
    T_PILOT_SEAT,
    T_PLANET,
    T_PANE,
    T_FISH,
    T_CORAL,
    T_POD,
    T_TREE,
    T_BUSH,
    T_ROCK,
    T_PALM,
    T_PARASOL,
    T_BOAT,
    T_CACTUS,
    T_FLOWERS,
    T_HOUSE,
    T_TOWER,
    T_CAR,
    T_STREET_LAMP,
    T_FENCE,
    T_PERGOLA,
    T_POND,
    T_PATH,
    T_MOUNTAIN,
    T_LAKE,
    T_DUNE,
    T_ROVER,
    T_DOME,
    T_TENT,
    T_SNOWMAN,
    T_CABIN,
    T_VENT,
    T_WATER_TANK,
    T_HEDGE,
    T_LOG,
    T_FERN,
    T_ANTENNA,
    T_AWNING,
    T_UMBRELLA,
    T_HAMMOCK,
    T_COLUMN,
    T_PEW,
    T_BARREL,
    T_TREADMILL,
    T_WEIGHTS,
    T_COUCH_BED,
    THINGS
} thing_kind;

typedef enum stuff_word {
    S_NONE,
    S_WOOD,
    S_LEATHER,
    S_FABRIC,
    S_METAL,
    S_MARBLE,
    S_BRICK,
    S_TILE,
    S_CARPET,
    S_CONCRETE,
    S_GLASS,
    S_PLASTER,
    S_STONE,
    S_PARQUET,
    S_PAPER,
    S_VELVET,
    S_GRASS,
    S_SAND,
    S_SNOW,
    STUFFS
} stuff_word;

typedef enum scene_kind {
    K_LIVING,
    K_KITCHEN,
    K_BEDROOM,
    K_OFFICE,
    K_LECTURE,
    K_LIBRARY,
    K_ARCADE,
    K_BATHROOM,
    K_CORRIDOR,
    K_GALLERY,
    K_ATTIC,
    K_SPACESHIP,
    K_UNDERWATER,
    K_BEACH,
    K_FOREST,
    K_MOUNTAINS,
    K_DESERT,
    K_MARS,
    K_CITY,
    K_ROOFTOP,
    K_GARDEN,
    K_SNOW,
    KINDS
} scene_kind;

typedef enum mood_word {
    MOOD_NONE,
    MOOD_COSY,
    MOOD_BRIGHT,
    MOOD_MODERN,
    MOOD_OLD,
    MOOD_DIM,
    MOODS
} mood_word;

typedef struct thing_word {
    const char *one, *many; /* "sofa", "sofas" */
    const char *also;       /* "couch" or NULL */
    const char *verb;       /* "stands", "hangs", "lies", "grows" */
    bool big;               /* named from 1 % of a view, else from .4 % */
} thing_word;

const thing_word *vr_thing(int what);
const char *vr_stuff(int stuff);        /* adjective: "wooden", or NULL */
const char *vr_colour_word(int colour); /* NULL for NO_COLOUR */
const char *vr_mood(int mood);         /* adjective: "cosy", NULL for MOOD_NONE */
const char *vr_kind_name(int kind);     /* "living_room" */
/* i-th way to call the kind ("living room", "lounge"), NULL past the end. */
const char *vr_kind_word(int kind, int i);
int vr_kind_find(const char *name); /* -1: unknown */

#endif
