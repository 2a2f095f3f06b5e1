/* Walks the cases of golden/malformed_media/index.json. */
#ifndef VBG_TESTS_MALFORMED_H
#define VBG_TESTS_MALFORMED_H

#include <jansson.h>

#include "tests/program.h"

/* Calls check for every case of these folders ("png/"); returns how many, -1 when the
 * index cannot be read. */
static inline int each_malformed(const char *folder, const char *other,
                                 void (*check)(const char *name, const json_t *c))
{
    char path[1200];
    const char *name;
    json_t *c;
    int tried = 0;

    snprintf(path, sizeof path, "%s/golden/malformed_media/index.json", shared_dir());
    json_t *index = json_load_file(path, 0, NULL);
    if (!index)
        return -1;
    json_object_foreach(json_object_get(index, "cases"), name, c)
    {
        if (strncmp(name, folder, strlen(folder)) == 0 ||
            strncmp(name, other, strlen(other)) == 0) {
            check(name, c);
            tried++;
        }
    }
    json_decref(index);
    return tried;
}

#endif
