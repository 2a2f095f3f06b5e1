/* Checks of prompts.  Weights "(word:1.3)" are checked as other programs write them,
 * but the models see the parentheses as plain text. */
#include "tools/prompt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { MAX_NESTING = 32, MAX_WEIGHT = 100 };

static vbg_status check_utf8(const char *text, size_t bytes, const char *what,
                             vbg_err *err)
{
    bool blank = true;

    for (size_t i = 0; i < bytes;) {
        utf8proc_int32_t cp;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + i,
                                              (utf8proc_ssize_t)(bytes - i), &cp);
        if (n <= 0)
            return vbg_fail(err, VBG_EUSAGE, "%s: byte %zu is not valid UTF-8", what, i);
        if (cp == 0)
            return vbg_fail(err, VBG_EUSAGE, "%s: byte %zu is NUL", what, i);
        utf8proc_category_t cat = utf8proc_category(cp);
        blank &= cat == UTF8PROC_CATEGORY_ZS || cat == UTF8PROC_CATEGORY_ZL ||
                 cat == UTF8PROC_CATEGORY_ZP || cat == UTF8PROC_CATEGORY_CC;
        i += (size_t)n;
    }
    if (blank)
        return vbg_fail(err, VBG_EUSAGE,
                        "%s: the text is empty; say what the room looks "
                        "like",
                        what);
    return VBG_OK;
}

/* The number in ":1.3)" that ends at a closing parenthesis; false: none or fine. */
static bool bad_weight(const char *text, size_t close)
{
    char number[65];
    size_t at = close;

    while (at > 0 && close - at < sizeof number - 1 &&
           strchr("0123456789.+-eEinfaINFA", text[at - 1]) && text[at - 1])
        at--;
    if (at == 0 || at == close || text[at - 1] != ':')
        return false;
    memcpy(number, text + at, close - at);
    number[close - at] = 0;
    char *end;
    double v = strtod(number, &end);
    return !*end && (!isfinite(v) || fabs(v) > MAX_WEIGHT);
}

static vbg_status check_weights(const char *text, size_t bytes, const char *what,
                                vbg_err *err)
{
    int depth = 0;

    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\\') {
            i++;
        } else if (text[i] == '(' || text[i] == '[') {
            if (++depth > MAX_NESTING)
                return vbg_fail(err, VBG_EUSAGE,
                                "%s: parentheses nested deeper than %d at byte %zu", what,
                                MAX_NESTING, i);
        } else if (text[i] == ')' || text[i] == ']') {
            depth -= depth > 0;
            if (bad_weight(text, i))
                return vbg_fail(err, VBG_EUSAGE,
                                "%s: the weight before byte %zu is beyond %d", what, i,
                                MAX_WEIGHT);
        }
    }
    return VBG_OK;
}

vbg_status vbg_prompt_take(char **out, const char *text, size_t bytes, const char *what,
                           vbg_err *err)
{
    if (bytes > VBG_PROMPT_MAX)
        return vbg_fail(err, VBG_EUSAGE, "%s: %zu bytes are more than %d", what, bytes,
                        VBG_PROMPT_MAX);
    vbg_status st = check_utf8(text, bytes, what, err);
    if (st == VBG_OK)
        st = check_weights(text, bytes, what, err);
    if (st != VBG_OK)
        return st;
    char *s = malloc(bytes + 1);
    size_t n = 0;
    if (!s)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    for (size_t i = 0; i < bytes; i++) {
        unsigned char ch = (unsigned char)text[i];
        if (ch == '\t' || ch == '\n' || ch == '\r')
            s[n++] = ' ';
        else if (ch >= 0x20 && ch != 0x7f)
            s[n++] = text[i];
    }
    s[n] = 0;
    *out = s;
    return VBG_OK;
}
