/* What a program prints with --json, for tests. */
#ifndef VBG_TESTS_JSON_ANSWER_H
#define VBG_TESTS_JSON_ANSWER_H

#include <criterion/criterion.h>
#include <jansson.h>

#include "tests/program.h"

/* The JSON of a program that ended well, or the end of the test. */
static inline json_t *answer(said s)
{
    cr_assert_eq(s.code, 0, "%s", s.err);
    json_t *j = json_loads(s.out, 0, NULL);
    cr_assert(j, "%s", s.out);
    return j;
}

static inline double number(const json_t *j, const char *key)
{
    json_t *v = json_object_get(j, key);

    cr_assert(json_is_number(v), "no %s", key);
    return json_number_value(v);
}

#endif
