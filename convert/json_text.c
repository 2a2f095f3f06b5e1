/* JSON of untrusted files.  jansson recurses up to 2,048 levels and builds every value
 * it meets, so depth and number of values are bounded by a scan before it runs. */
#include "convert/json_text.h"

#include <string.h>

/* Walks over the text outside strings; false with *cause when a bound is exceeded. */
static bool within_bounds(const char *text, size_t bytes, int depth, size_t max_values,
                          const char **cause)
{
    int level = 0;
    size_t values = 0;
    bool string = false;

    for (size_t i = 0; i < bytes; i++) {
        char ch = text[i];
        if (string) {
            if (ch == '\\')
                i++;
            else if (ch == '"')
                string = false;
            continue;
        }
        if (ch == '"')
            string = true;
        else if (ch == '{' || ch == '[')
            level++;
        else if (ch == '}' || ch == ']')
            level--;
        if (ch == ',' || ch == '{' || ch == '[')
            values++;
        if (level > depth) {
            *cause = "JSON is nested too deeply";
            return false;
        }
        if (values > max_values) {
            *cause = "JSON has too many values";
            return false;
        }
    }
    return true;
}

json_t *vbg_json_parse(const char *text, size_t bytes, int depth, size_t max_values,
                       const char **cause)
{
    json_error_t error;

    *cause = "";
    if (!within_bounds(text, bytes, depth, max_values, cause))
        return NULL;
    json_t *j = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (j)
        return j;
    switch (json_error_code(&error)) {
    case json_error_out_of_memory:
        *cause = "out of memory";
        break;
    case json_error_invalid_utf8:
        *cause = "JSON is not valid UTF-8";
        break;
    case json_error_duplicate_key:
        *cause = "JSON has the same key twice";
        break;
    case json_error_premature_end_of_input:
        *cause = "JSON is truncated";
        break;
    case json_error_end_of_input_expected:
        *cause = "text behind the JSON value";
        break;
    case json_error_numeric_overflow:
        *cause = "a number in the JSON does not fit";
        break;
    default:
        *cause = "not valid JSON";
        break;
    }
    return NULL;
}
