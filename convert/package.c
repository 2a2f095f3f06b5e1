/* Maps the tensors of a source into a package. */
#define _POSIX_C_SOURCE 200809L
#include "convert/package.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/io.h"
#include "engine/weights_format.h"

void vbg_package_problem(vbg_package *p, const char *fmt, ...)
{
    char text[200];
    size_t used = strlen(p->report);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    p->problems++;
    if (used + strlen(text) + 3 < sizeof p->report)
        snprintf(p->report + used, sizeof p->report - used, "%s%s", used ? ", " : "",
                 text);
}

bool vbg_package_is_table(const char *name, int rank)
{
    return rank == 2 &&
           (strstr(name, "token_embedding") || strstr(name, "position_embedding") ||
            strstr(name, "class_embedding"));
}

vbg_dtype vbg_package_small(const char *name, int rank, const int64_t *dim)
{
    static const char *const keep[] = { "conv_in", "conv_out", "time_emb" };
    int64_t count = 1;

    for (int k = 0; k < rank; k++)
        count *= dim[k];
    for (size_t k = 0; k < sizeof keep / sizeof *keep; k++)
        if (strstr(name, keep[k]))
            return VBG_BF16;
    return count < 4096 ? VBG_BF16 : VBG_I8;
}

/* Lookup tables and vectors stay row-major; [c][1][kh][kw] is depthwise; other layers
 * are packed in the type of the file. */
static void choose_layout(vbg_item *i, vbg_dtype dtype)
{
    bool table = vbg_package_is_table(i->name, i->rank), empty = false;

    for (int k = 0; k < i->rank; k++)
        empty |= i->dim[k] == 0;
    i->layout = VBG_LAYOUT_PLAIN;
    i->dtype = VBG_F32;
    if (empty || strstr(i->name, "freq_bands"))
        return;
    if (table) {
        i->dtype = dtype == VBG_I8 ? VBG_BF16 : dtype;
    } else if (i->rank == 4 && i->dim[1] == 1 && i->dim[0] > 1) {
        i->layout = VBG_LAYOUT_DEPTHWISE;
    } else if (!table && (i->rank == 2 || i->rank == 4)) {
        i->layout = VBG_LAYOUT_PACK16;
        i->dtype = dtype == VBG_I8 ? vbg_package_small(i->name, i->rank, i->dim) : dtype;
    }
}

vbg_status vbg_package_add(vbg_package *p, vbg_item **out, const char *component,
                           const char *name, vbg_dtype dtype, int rank,
                           const int64_t *dim, vbg_err *err)
{
    if (p->count == p->room) {
        size_t more = p->room ? 2 * p->room : 256;
        void *items = realloc(p->item, more * sizeof *p->item);
        if (!items)
            return vbg_fail(err, VBG_ENOMEM, "out of memory");
        p->item = items;
        p->room = more;
    }
    vbg_item i = { .component = strdup(component), .name = strdup(name), .rank = rank };
    if (!i.component || !i.name) {
        free(i.component);
        free(i.name);
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    }
    memcpy(i.dim, dim, (size_t)rank * sizeof *dim);
    vbg_dims_count(&i.count, rank, dim);
    choose_layout(&i, dtype);
    p->item[p->count] = i;
    *out = &p->item[p->count++];
    return VBG_OK;
}

const vbg_item *vbg_package_find(const vbg_package *p, const char *component,
                                 const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->item[i].name, name) == 0 &&
            strcmp(p->item[i].component, component) == 0)
            return &p->item[i];
    return NULL;
}

bool vbg_package_has(const vbg_package *p, const char *component)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->item[i].component, component) == 0)
            return true;
    return false;
}

/* Remembers a name that no layout knows. */
static vbg_status add_unknown(vbg_package *p, const char *name, vbg_err *err)
{
    void *list = realloc(p->unknown, (p->unknowns + 1) * sizeof *p->unknown);
    char *copy = strdup(name);

    p->unknown = list ? list : p->unknown;
    if (!list || !copy) {
        free(copy);
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    }
    p->unknown[p->unknowns++] = copy;
    return VBG_OK;
}

static bool is_float(vbg_dtype t)
{
    return t == VBG_F32 || t == VBG_F16 || t == VBG_BF16 || t == VBG_F64;
}

/* One third (0..2) of a tensor's rows, or all of it with part -1. */
static vbg_status add_part(vbg_package *p, const vbg_source_tensor *s,
                           const vbg_mapped *m, const char *name, int part,
                           vbg_dtype dtype, vbg_err *err)
{
    const vbg_st_tensor *t = s->t;
    int64_t dim[VBG_MAX_RANK];
    int rank = t->rank;
    size_t first = 0;
    vbg_item *i;

    memcpy(dim, t->dim, sizeof dim);
    if (part >= 0) {
        dim[0] /= 3;
        first = (size_t)part * (t->count / 3);
    }
    if (m->change == VBG_CHANGE_SQUEEZE && rank == 4 && dim[2] == 1 && dim[3] == 1)
        rank = 2;
    if (m->change == VBG_CHANGE_TRANSPOSE && rank == 2) {
        dim[0] = t->dim[1];
        dim[1] = t->dim[0];
    }
    vbg_status st = vbg_package_add(p, &i, m->component, name, dtype, rank, dim, err);
    if (st != VBG_OK)
        return st;
    i->file = s->file;
    i->from = t;
    i->first = first;
    i->transpose = m->change == VBG_CHANGE_TRANSPOSE && rank == 2;
    return VBG_OK;
}

static vbg_status add_mapped(vbg_package *p, const vbg_source_tensor *s,
                             const vbg_mapped *m, vbg_dtype dtype, vbg_err *err)
{
    char shown[96];
    vbg_status st = VBG_OK;

    vbg_shorten(shown, sizeof shown, s->t->name);
    if (!is_float(s->t->dtype)) {
        vbg_package_problem(p, "%s has type %s instead of floats", shown, s->t->kind);
        return VBG_OK;
    }
    if (m->change != VBG_CHANGE_SPLIT3)
        return add_part(p, s, m, m->name, -1, dtype, err);
    if (s->t->rank < 1 || s->t->dim[0] % 3) {
        vbg_package_problem(p, "%s is not three matrices stacked", shown);
        return VBG_OK;
    }
    const char *names[3] = { m->name, m->name2, m->name3 };
    for (int k = 0; k < 3 && st == VBG_OK; k++)
        st = add_part(p, s, m, names[k], k, dtype, err);
    return st;
}

/* The last block of an OpenCLIP text tower, which Stable Diffusion 2 does not use; -1
 * when there is none. */
static int last_openclip_block(const vbg_source *s, vbg_naming naming)
{
    vbg_mapped m;
    int last = -1;

    if (naming != VBG_NAMING_PREFIXED)
        return -1;
    for (size_t i = 0; i < s->count; i++)
        if (vbg_map_name(&m, naming, s->tensor[i].part, s->tensor[i].t->name) ==
                VBG_NAME_MAPPED &&
            m.openclip_layer > last)
            last = m.openclip_layer;
    return last;
}

/* Maps every tensor of s; only, when not NULL, is the one component to take. */
static vbg_status map_source(vbg_package *p, const vbg_source *s, vbg_naming naming,
                             const char *only, vbg_dtype dtype, vbg_err *err)
{
    int last = last_openclip_block(s, naming);
    vbg_status st = VBG_OK;
    vbg_mapped m;

    for (size_t i = 0; i < s->count && st == VBG_OK; i++) {
        const vbg_source_tensor *t = &s->tensor[i];
        switch (vbg_map_name(&m, naming, t->part, t->t->name)) {
        case VBG_NAME_IGNORED:
            break;
        case VBG_NAME_UNKNOWN:
            st = add_unknown(p, t->t->name, err);
            break;
        case VBG_NAME_MAPPED:
            if ((m.openclip_layer >= 0 && m.openclip_layer == last) ||
                (only && strcmp(m.component, only) != 0))
                break;
            p->openclip |= m.openclip_layer >= 0;
            st = add_mapped(p, t, &m, dtype, err);
            break;
        }
    }
    return st;
}

/* The last path component without extension, for model.name. */
static char *base_name(const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    size_t from = n;
    while (from > 0 && path[from - 1] != '/')
        from--;
    for (size_t i = n; i > from + 1; i--)
        if (path[i - 1] == '.') {
            n = i - 1;
            break;
        }
    return strndup(path + from, n - from);
}

/* Takes from the config folder what the source itself did not have. */
static vbg_status merge_texts(vbg_package *p, const char *config_from, vbg_err *err)
{
    vbg_source_texts more;
    vbg_status st = vbg_source_read_texts(&more, config_from, err);

    if (st != VBG_OK)
        return st;
    vbg_source_texts *t = &p->texts;
    char **mine[] = { &t->unet, &t->vae, &t->text, &t->scheduler };
    char **other[] = { &more.unet, &more.vae, &more.text, &more.scheduler };
    for (size_t i = 0; i < 4; i++)
        if (!*mine[i]) {
            *mine[i] = *other[i];
            *other[i] = NULL;
        }
    if (!t->merges && more.merges) {
        t->merges = more.merges;
        t->merges_bytes = more.merges_bytes;
        free(t->tokenizer);
        t->tokenizer = more.tokenizer;
        more.merges = more.tokenizer = NULL;
    }
    vbg_source_free_texts(&more);
    return VBG_OK;
}

/* The CAA blocks of another file, which may hold a whole model. */
static vbg_status add_caa(vbg_package *p, const char *path, vbg_dtype dtype, vbg_err *err)
{
    vbg_detected what;
    vbg_status st = vbg_source_open(&p->source[1], path, err);

    if (st == VBG_OK)
        st = vbg_detect(&what, p->source[1], err);
    if (st != VBG_OK)
        return st;
    if (strcmp(p->what.arch, "sd") != 0)
        return vbg_fail(err, VBG_EUSAGE,
                        "%s: --caa needs a Stable Diffusion model, not %s", path,
                        p->what.kind);
    if (vbg_package_has(p, "caa"))
        return vbg_fail(err, VBG_EUSAGE, "%s: --caa given, but the model has CAA blocks",
                        path);
    st = map_source(p, p->source[1], what.naming, "caa", dtype, err);
    if (st == VBG_OK && !vbg_package_has(p, "caa"))
        st = vbg_fail(err, VBG_EFORMAT, "%s: no CAA blocks (cp_blocks_...) in it", path);
    return st;
}

/* Opens a file, a folder, or the hub cache when path is neither but looks like an id. */
static vbg_status open_source(vbg_source **out, const char *path, vbg_err *err)
{
    struct stat info;
    char *folder = NULL;

    if (stat(path, &info) == 0 || !strchr(path, '/') || path[0] == '/' || path[0] == '.')
        return vbg_source_open(out, path, err);
    vbg_status st = vbg_hub_folder(&folder, path, err);
    if (st == VBG_OK)
        st = vbg_source_open(out, folder, err);
    free(folder);
    return st;
}

vbg_status vbg_package_open(vbg_package **out, const char *path,
                            const vbg_package_opt *opt, vbg_err *err)
{
    size_t n = strlen(path);
    vbg_package *p;

    if (n > 7 && strcmp(path + n - 7, ".tflite") == 0)
        return vbg_package_tflite(out, path, opt, err);
    p = calloc(1, sizeof *p);
    vbg_status st = p ? open_source(&p->source[0], path, err)
                      : vbg_fail(err, VBG_ENOMEM, "out of memory");
    if (st == VBG_OK)
        st = vbg_detect(&p->what, p->source[0], err);
    if (st == VBG_OK)
        st = map_source(p, p->source[0], p->what.naming, NULL, opt->dtype, err);
    if (st == VBG_OK) {
        p->texts = p->source[0]->texts;
        p->source[0]->texts = (vbg_source_texts){ 0 };
        p->name = opt->name ? strdup(opt->name) : base_name(path);
        if (!p->name)
            st = vbg_fail(err, VBG_ENOMEM, "out of memory");
    }
    if (st == VBG_OK && opt->caa)
        st = add_caa(p, opt->caa, opt->dtype, err);
    if (st == VBG_OK && opt->config_from)
        st = merge_texts(p, opt->config_from, err);
    if (st == VBG_OK && strcmp(p->what.arch, "sd") == 0)
        st = vbg_package_configs(p, opt, err);
    if (st == VBG_OK) {
        *out = p;
        p = NULL;
    }
    vbg_package_close(p);
    return st;
}

void vbg_package_close(vbg_package *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++) {
        free(p->item[i].component);
        free(p->item[i].name);
        free(p->item[i].values);
    }
    for (size_t i = 0; i < p->unknowns; i++)
        free(p->unknown[i]);
    free(p->item);
    free(p->unknown);
    free(p->name);
    free(p->hash);
    free(p->path);
    vbg_source_free_texts(&p->texts);
    vbg_source_close(p->source[0]);
    vbg_source_close(p->source[1]);
    free(p);
}
