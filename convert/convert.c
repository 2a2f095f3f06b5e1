/* Streams a package into a .vbg file.
 *
 * One tensor at a time is widened to f32, checked for values that are not finite, packed
 * by the writer, and its source pages are given back, so memory stays at the size of the
 * largest tensor whatever the checkpoint's. */
#define _POSIX_C_SOURCE 200809L
#include "convert/convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/sha256.h"
#include "engine/io.h"

typedef struct job {
    vbg_package *p;
    const vbg_convert_opt *opt;
    bool *keep; /* per item */
    uint64_t done, total;
    float *values, *turned; /* room for the largest tensor */
} job;

/* ---- announcing ---- */

static vbg_status declare(const job *j, vbg_writer *w, vbg_err *err)
{
    const vbg_package *p = j->p;
    const vbg_source_texts *t = &p->texts;
    const struct {
        const char *key, *value;
    } meta[] = {
        { "model.arch", p->what.arch },
        { "model.name", p->name },
        { "model.hash", p->hash },
        { "model.source", p->what.kind },
        { "unet.config", t->unet },
        { "vae.config", t->vae },
        { "text.config", t->text },
        { "scheduler.config", t->scheduler },
        { "tokenizer.config", t->tokenizer },
    };
    vbg_status st = VBG_OK;

    for (size_t i = 0; i < sizeof meta / sizeof *meta && st == VBG_OK; i++)
        if (meta[i].value)
            st = vbg_writer_string(w, meta[i].key, meta[i].value, err);
    const struct {
        const char *key;
        int value;
    } sizes[] = {
        { "segmenter.width", p->width },
        { "segmenter.height", p->height },
        { "segmenter.stride", p->stride },
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && st == VBG_OK; i++)
        if (sizes[i].value)
            st = vbg_writer_int(w, sizes[i].key, sizes[i].value, err);
    if (st == VBG_OK && t->merges)
        st = vbg_writer_bytes(w, "tokenizer.merges", t->merges, t->merges_bytes, err);
    for (size_t i = 0; i < p->count && st == VBG_OK; i++) {
        const vbg_item *it = &p->item[i];
        if (j->keep[i])
            st = vbg_writer_declare(w, it->component, it->name, it->dtype, it->layout,
                                    it->rank, it->dim, err);
    }
    return st;
}

/* Appends ", text" to a list that must stay shorter than size. */
static void append(char *list, size_t size, const char *text)
{
    size_t used = strlen(list);
    if (used + strlen(text) + 8 < size)
        snprintf(list + used, size - used, "%s%s", used ? ", " : "", text);
    else if (used + 6 < size && list[used - 1] != '.')
        snprintf(list + used, size - used, ", ...");
}

/* Tensors that are part of a network but not of its inference. */
static bool unused_at_inference(const char *name)
{
    static const char *const prefixes[] = {
        "aux_classifier.", "aux_conv_", "conv_out16.", "conv_out32.", "aux2.",
        "aux3.",           "aux4.",     "aux5_4.",     "logit_scale"
    };

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (vbg_after(name, prefixes[i]))
            return true;
    return false;
}

/* Tensors of entry i's component that were asked for. */
static size_t asked_of(const vbg_weights *w, size_t i)
{
    const char *component = vbg_weights_at(w, i)->component;
    size_t n = 0;

    for (size_t k = 0; k < vbg_weights_count(w); k++)
        n += vbg_weights_asked(w, k) &&
             strcmp(vbg_weights_at(w, k)->component, component) == 0;
    return n;
}

/* Keeps what the networks asked for and collects the names of the rest.  A component
 * that nobody asked about (not checked, or its config was refused) stays whole. */
static void keep_asked(job *j, const vbg_weights *w, char *unknown, size_t size,
                       size_t *unknowns)
{
    char shown[96];
    const vbg_package *p = j->p;
    size_t asked = 0;

    for (size_t i = 0; i < vbg_weights_count(w); i++) {
        const vbg_entry *e = vbg_weights_at(w, i);
        if (i == 0 || strcmp(vbg_weights_at(w, i - 1)->component, e->component) != 0)
            asked = asked_of(w, i);
        if (asked == 0 || vbg_weights_asked(w, i))
            continue;
        const vbg_item *it = vbg_package_find(p, e->component, e->name);
        if (it)
            j->keep[it - p->item] = false;
        if (unused_at_inference(e->name))
            continue;
        ++*unknowns;
        append(unknown, size, vbg_shorten(shown, sizeof shown, e->name));
    }
}

/* Binds the networks to a preview; everything wrong is reported in one line. */
static vbg_status check_tensors(job *j, vbg_err *err)
{
    vbg_package *p = j->p;
    vbg_writer *w = NULL;
    vbg_weights *preview = NULL;
    vbg_err found = { "" };
    char unknown[300] = "", shown[96];
    size_t unknowns = p->unknowns;
    vbg_status bound = VBG_OK;

    for (size_t i = 0; i < p->unknowns; i++)
        append(unknown, sizeof unknown, vbg_shorten(shown, sizeof shown, p->unknown[i]));
    vbg_status st = vbg_writer_new_preview(&w, err);
    if (st == VBG_OK)
        st = declare(j, w, err);
    if (st == VBG_OK)
        st = vbg_writer_preview(w, &preview, err);
    if (st == VBG_OK && j->opt->check) {
        bound = j->opt->check(j->opt->arg, preview, p->what.arch, &found);
        keep_asked(j, preview, unknown, sizeof unknown, &unknowns);
    }
    vbg_weights_close(preview);
    vbg_writer_abort(w);
    if (st != VBG_OK)
        return st;
    if (j->opt->skip_unknown)
        unknowns = 0;
    if (bound == VBG_OK && unknowns == 0 && p->problems == 0)
        return VBG_OK;
    char count[96] = "";
    if (unknowns)
        snprintf(count, sizeof count,
                 "%zu unknown tensor%s (--skip-unknown leaves them "
                 "out): ",
                 unknowns, unknowns > 1 ? "s" : "");
    return vbg_fail(err, VBG_EFORMAT, "%s: %s%s%s%s%s%s",
                    p->source[0] ? p->source[0]->path : p->name, found.text,
                    found.text[0] && p->report[0] ? "; " : "", p->report,
                    unknowns && (found.text[0] || p->report[0]) ? "; " : "", count,
                    unknowns ? unknown : "");
}

/* ---- data ---- */

/* Advances the progress; VBG_ECANCEL when the caller wants to stop. */
static vbg_status advance(job *j, uint64_t bytes, vbg_err *err)
{
    j->done += bytes;
    if (j->opt->progress && !j->opt->progress(j->opt->arg, j->done, j->total))
        return vbg_fail(err, VBG_ECANCEL, "stopped by a signal, nothing was written");
    return VBG_OK;
}

static size_t source_width(const vbg_item *it)
{
    return it->from ? vbg_dtype_size(it->from->dtype) : sizeof(float);
}

/* The values of an item as f32 in PyTorch order. */
static const float *load(const job *j, const vbg_item *it)
{
    if (!it->from)
        return it->values;
    vbg_st_tensor slice = *it->from;
    slice.data = (const char *)slice.data + it->first * source_width(it);
    slice.count = it->count;
    slice.bytes = it->count * source_width(it);
    vbg_st_to_f32(j->values, &slice);
    if (!it->transpose)
        return j->values;
    size_t rows = (size_t)it->dim[0], cols = (size_t)it->dim[1];
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++)
            j->turned[r * cols + c] = j->values[c * rows + r];
    return j->turned;
}

/* Finite, and still so after rounding to t.  Without their sign the bits of floats are
 * ordered as the values are, NaN above infinity: one integer maximum tells. */
static bool all_finite(const float *v, size_t n, vbg_dtype t)
{
    uint32_t limit = t == VBG_F16    ? 0x477ff000u  /* 65520 */
                     : t == VBG_BF16 ? 0x7f7f8000u  /* rounds to infinity */
                                     : 0x7f800000u; /* infinity */
    uint32_t top = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &v[i], sizeof bits);
        bits &= 0x7fffffffu;
        top = bits > top ? bits : top;
    }
    return top < limit;
}

static int by_place(const void *a, const void *b)
{
    const vbg_item *x = *(const vbg_item *const *)a, *y = *(const vbg_item *const *)b;
    if (x->file != y->file)
        return (uintptr_t)x->file < (uintptr_t)y->file ? -1 : 1;
    size_t ox = x->from ? x->from->offset + x->first : 0;
    size_t oy = y->from ? y->from->offset + y->first : 0;
    return (ox > oy) - (ox < oy);
}

/* Writes every kept item in the order of the source files. */
static vbg_status write_items(job *j, vbg_writer *w, vbg_convert_result *result,
                              vbg_err *err)
{
    vbg_package *p = j->p;
    const vbg_item **order = calloc(p->count + 1, sizeof(*order));
    vbg_status st = VBG_OK;
    char list[500] = "", shown[96];
    size_t n = 0, bad = 0;

    if (!order)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    for (size_t i = 0; i < p->count; i++)
        if (j->keep[i])
            order[n++] = &p->item[i];
    qsort(order, n, sizeof *order, by_place);
    for (size_t i = 0; i < n && st == VBG_OK; i++) {
        const vbg_item *it = order[i];
        const float *v = load(j, it);
        if (!all_finite(v, it->count, it->dtype)) {
            bad++;
            append(list, sizeof list, vbg_shorten(shown, sizeof shown, it->name));
        }
        if (!bad)
            st = vbg_writer_data(w, it->component, it->name, v, err);
        if (it->from)
            vbg_st_release(it->file, it->from);
        result->parameters += it->count;
        if (st == VBG_OK)
            st = advance(j, it->count * source_width(it), err);
    }
    result->tensors = n;
    result->left_out = p->count - n;
    free(order);
    if (st == VBG_OK && bad)
        st = vbg_fail(
            err, VBG_EFORMAT,
            "%s: %zu tensor%s with values that are not finite (or too large for "
            "--dtype): %s",
            p->source[0] ? p->source[0]->path : p->name, bad, bad > 1 ? "s" : "", list);
    return st;
}

/* Room for the largest tensor, and the number of bytes to read. */
static vbg_status prepare(job *j, vbg_err *err)
{
    size_t most = 0, turned = 0;

    for (size_t i = 0; i < j->p->count; i++) {
        const vbg_item *it = &j->p->item[i];
        if (!j->keep[i])
            continue;
        if (it->from && it->count > most)
            most = it->count;
        if (it->transpose && it->count > turned)
            turned = it->count;
        j->total += it->count * source_width(it);
    }
    j->values = vbg_alloc(most * sizeof *j->values);
    j->turned = vbg_alloc(turned * sizeof *j->turned);
    if (j->values && j->turned)
        return VBG_OK;
    return vbg_fail(err, VBG_ENOMEM, "out of memory (%zu bytes for the largest tensor)",
                    (most + turned) * sizeof *j->values);
}

vbg_status vbg_convert_package(vbg_package *p, const char *out,
                               const vbg_convert_opt *opt, vbg_convert_result *result,
                               vbg_err *err)
{
    vbg_convert_result mine = { .tensors = 0 };
    job j = { .p = p, .opt = opt, .keep = calloc(p->count + 1, sizeof(bool)) };
    vbg_writer *w = NULL;
    vbg_status st = VBG_ENOMEM;

    if (!j.keep) {
        vbg_fail(err, st, "out of memory");
        goto done;
    }
    memset(j.keep, 1, p->count * sizeof *j.keep);
    st = check_tensors(&j, err);
    if (st == VBG_OK && !p->hash)
        st = vbg_package_hash(p, err);
    if (st == VBG_OK)
        st = prepare(&j, err);
    if (st == VBG_OK)
        st = vbg_writer_new(&w, out, err);
    if (st == VBG_OK)
        st = declare(&j, w, err);
    if (st == VBG_OK)
        st = write_items(&j, w, &mine, err);
    if (st == VBG_OK)
        st = vbg_writer_finish(w, err);
    if (st == VBG_OK) {
        w = NULL;
        mine.bytes = j.total;
        mine.tokenizer = p->texts.merges != NULL;
        mine.text = vbg_package_has(p, "text");
        snprintf(mine.arch, sizeof mine.arch, "%s", p->what.arch);
        snprintf(mine.kind, sizeof mine.kind, "%s", p->what.kind);
        if (result)
            *result = mine;
    }
done:
    vbg_writer_abort(w);
    vbg_free_mem(j.values);
    vbg_free_mem(j.turned);
    free(j.keep);
    return st;
}

/* True when out is one of the files that p reads. */
static bool is_input(const vbg_package *p, const char *in, const char *out)
{
    if (vbg_same_file(in, out))
        return true;
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; p->source[k] && i < p->source[k]->files; i++)
            if (vbg_same_file(p->source[k]->file_path[i], out))
                return true;
    return false;
}

vbg_status vbg_convert(const char *in, const char *out, const vbg_convert_opt *opt,
                       vbg_convert_result *result, vbg_err *err)
{
    vbg_package *p = NULL;
    vbg_status st = vbg_package_open(&p, in, &opt->package, err);

    if (st == VBG_OK && is_input(p, in, out))
        st = vbg_fail(err, VBG_EUSAGE, "%s: output and input are the same file", out);
    if (st == VBG_OK)
        st = vbg_convert_package(p, out, opt, result, err);
    vbg_package_close(p);
    return st;
}
