/* Runs the generator and the stitcher for a program: plan, progress, cache. */
#define _GNU_SOURCE
#include "tools/room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "convert/safetensors.h"
#include "engine/picture_io.h"
#include "tools/model_path.h"
#include "tools/room_stitch.h"

/* ---- dumping intermediate arrays ---- */

typedef struct dump {
    vbg_st_out *t;
    size_t count;
} dump;

typedef struct run {
    vbg_progress bar;
    int stage; /* of the bar, -1 before the first */
    dump dump;
} run;

static vbg_status keep_array(void *arg, const char *name, const float *data, int rank,
                             const int64_t *dim, vbg_err *err)
{
    dump *d = &((run *)arg)->dump;
    vbg_st_out *more = realloc(d->t, (d->count + 1) * sizeof *more);
    size_t values = 1;

    if (!more)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for --dump");
    d->t = more;
    more += d->count;
    *more = (vbg_st_out){ .dtype = VBG_F32, .rank = rank };
    for (int i = 0; i < rank; i++) {
        more->dim[i] = dim[i];
        values *= (size_t)dim[i];
    }
    float *copy = malloc(values * sizeof *copy);
    char *own = strdup(name);
    if (!copy || !own) {
        free(copy);
        free(own);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for --dump");
    }
    memcpy(copy, data, values * sizeof *copy);
    more->data = copy;
    more->name = own;
    d->count++;
    return VBG_OK;
}

static void dump_free(dump *d)
{
    for (size_t i = 0; i < d->count; i++) {
        free((void *)(uintptr_t)d->t[i].data);
        free((void *)(uintptr_t)d->t[i].name);
    }
    free(d->t);
}

static int show_progress(void *arg, vbg_gen_stage stage, int done, int total,
                         double seconds)
{
    static const char *const names[] = { "text", "tables", "sampling", "decoding" };
    run *r = arg;

    if (r->stage != (int)stage) {
        vbg_progress_end(&r->bar);
        vbg_progress_start(&r->bar, names[stage], total);
        r->stage = (int)stage;
    }
    vbg_progress_step(&r->bar, done);
    if (done == total)
        vbg_detail("%s: %.2f s", names[stage], seconds);
    return vbg_stop_signal();
}

/* ---- one room ---- */

static vbg_gen_request request_of(const vbg_room_spec *s)
{
    vbg_gen_request q = vbg_gen_request_default();

    q.views = s->views;
    q.flat = s->flat;
    q.prompt = (const char *const *)s->prompt;
    q.prompts = s->prompts;
    q.negative = s->negative;
    q.width = q.height = s->view_side;
    q.steps = s->steps;
    q.guidance = s->guidance;
    q.seed = s->seed;
    q.sampler = s->sampler;
    q.latents = s->latents;
    q.latent_c = s->latent_c;
    q.latent_h = s->latent_h;
    q.latent_w = s->latent_w;
    q.tiny_decoder = s->tiny_decoder;
    return q;
}

/* MemAvailable of the kernel, 0 when it does not say. */
static size_t available_memory(void)
{
    FILE *f = fopen("/proc/meminfo", "re");
    char line[128];
    unsigned long kb = 0;

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %lu kB", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return (size_t)kb * 1024;
}

static vbg_status announce(const vbg_gen_plan *p, const vbg_room_spec *s, vbg_err *err)
{
    size_t have = available_memory();
    double need = (double)(p->weight_bytes + p->work_bytes) / 1e9;

    vbg_note("%d view%s of %dx%d, %d steps of %s, guidance %g, seed %llu; %.1f GB memory",
             p->views, p->views == 1 ? "" : "s", p->width, p->height, p->steps,
             vbg_sampler_name(p->sampler), p->guidance, (unsigned long long)s->seed,
             need);
    if (have && p->work_bytes > have)
        return vbg_fail(err, VBG_ENOMEM,
                        "%.1f GB are needed and %.1f are free; take smaller views or "
                        "fewer of them",
                        need, (double)have / 1e9);
    return VBG_OK;
}

static void describe(vbg_room *out, const vbg_generator *g, const vbg_gen_plan *p)
{
    vbg_generator_info info;

    vbg_generator_get_info(g, &info);
    snprintf(out->model_name, sizeof out->model_name, "%s", info.name);
    snprintf(out->model_hash, sizeof out->model_hash, "%s", info.hash);
    out->sampler = p->sampler;
    out->guidance = p->guidance;
    out->isa = info.isa;
    out->compute = info.compute;
    out->views = p->views;
    out->view_w = p->width;
    out->view_h = p->height;
}

static void warn_long_prompts(const vbg_generator *g, const vbg_room_spec *s)
{
    for (int i = 0; i < s->prompts; i++) {
        int cut = vbg_generator_tokens_cut(g, s->prompt[i]);
        if (cut > 0) {
            vbg_warning(
                "the text is %d tokens too long for the model; its end is ignored", cut);
            return;
        }
    }
}

/* Small models know few words; what they do not know they pass over. */
static void warn_unknown_words(const vbg_generator *g, const vbg_room_spec *s)
{
    vbg_generator_info info;
    char words[200];

    vbg_generator_get_info(g, &info);
    for (int i = 0; i < s->prompts; i++) {
        const int n = vbg_generator_unknown_words(g, s->prompt[i], words, sizeof words);
        if (n == 0)
            continue;
        vbg_warning("the model has never met the word%s %s%s%s", n == 1 ? "" : "s", words,
                    *info.about ? "; it knows " : "", info.about);
        return;
    }
}

static vbg_status generate(vbg_room *out, vbg_generator *g, const vbg_room_spec *s,
                           vbg_err *err)
{
    vbg_gen_request q = request_of(s);
    vbg_gen_plan plan;
    run r = { .stage = -1 };
    vbg_gen_hooks hooks = { .arg = &r, .progress = show_progress };

    if (s->dump) {
        hooks.dump = keep_array;
        hooks.dump_steps = true;
    }
    vbg_status st = vbg_generator_plan(g, &q, &plan, err);
    if (st == VBG_OK)
        st = announce(&plan, s, err);
    if (st == VBG_OK) {
        warn_long_prompts(g, s);
        warn_unknown_words(g, s);
        describe(out, g, &plan);
        st = vbg_generate(g, &q, &hooks, out->view, err);
        vbg_progress_end(&r.bar);
    }
    if (st == VBG_OK && s->dump) {
        static const char *const meta[] = { "format", "pt", NULL };
        st = vbg_st_write(s->dump, r.dump.t, r.dump.count, meta, err);
    }
    dump_free(&r.dump);
    return st;
}

vbg_status vbg_room_make(vbg_room *out, const vbg_room_spec *spec, const vbg_values *v,
                         vbg_err *err)
{
    vbg_generator *g = NULL;
    vbg_ctx_opt opt = vbg_value_ctx(v, spec->precision);
    double start = vbg_now();

    *out = (vbg_room){ 0 };
    vbg_status st = vbg_generator_open(&g, spec->model, &opt, err);
    if (st == VBG_OK)
        st = generate(out, g, spec, err);
    vbg_generator_close(g);
    if (st == VBG_OK && !spec->flat)
        st = vbg_room_stitch(&out->panorama, out->view, out->views, 90, spec->width,
                             spec->height, opt.threads, err);
    out->seconds = vbg_now() - start;
    if (st != VBG_OK)
        vbg_room_free(out);
    return st;
}

void vbg_room_free(vbg_room *r)
{
    vbg_picture_free(&r->panorama);
    for (int i = 0; i < VBG_GEN_MAX_VIEWS; i++)
        vbg_picture_free(&r->view[i]);
}

vbg_status vbg_room_save(const char *path, const vbg_room *r, const vbg_room_spec *s,
                         bool metadata, int quality, vbg_err *err)
{
    char *parameters = metadata ? vbg_room_parameters(s, r) : NULL;
    char *json = metadata ? vbg_room_json(s, r) : NULL;
    vbg_pano sphere = {
        .present = true, .sphere = true, .full_w = s->width, .full_h = s->height
    };
    vbg_picture_meta meta = { .pano = s->flat ? NULL : &sphere,
                              .source_photos = s->flat ? 0 : s->views };
    vbg_status st = VBG_OK;

    if (metadata) {
        meta.description = s->prompt[0];
        meta.source_type = "trainedAlgorithmicMedia";
        meta.parameters = parameters;
        meta.vbg = json;
        meta.software = "vbg " VBG_VERSION;
        if (!parameters || !json)
            st =
                vbg_fail(err, VBG_ENOMEM, "%s: not enough memory for its metadata", path);
    }
    if (st == VBG_OK)
        st = vbg_picture_save(path, s->flat ? &r->view[0] : &r->panorama, &meta, quality,
                              err);
    free(parameters);
    free(json);
    return st;
}

/* ---- the cache ---- */

static void cache_key(char *key, size_t size, const vbg_room_spec *s, const char *hash)
{
    XXH3_state_t *x = XXH3_createState();
    char numbers[200];
    int n = snprintf(numbers, sizeof numbers, "%s|%llu|%d|%d|%g|%d|%d|%dx%d|%d", hash,
                     (unsigned long long)s->seed, s->steps, s->views, s->guidance,
                     (int)s->sampler, s->view_side, s->width, s->height, s->flat);

    XXH3_128bits_reset(x);
    XXH3_128bits_update(x, numbers, (size_t)n);
    for (int i = 0; i < s->prompts; i++)
        XXH3_128bits_update(x, s->prompt[i], strlen(s->prompt[i]) + 1);
    if (s->negative)
        XXH3_128bits_update(x, s->negative, strlen(s->negative));
    XXH128_hash_t h = XXH3_128bits_digest(x);
    XXH3_freeState(x);
    snprintf(key, size, "%016llx%016llx", (unsigned long long)h.high64,
             (unsigned long long)h.low64);
}

/* Which model a path means now: device, inode, size and time of change. */
static vbg_status model_identity(char *id, size_t size, const char *path, vbg_err *err)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return vbg_fail(err, VBG_EIO, "%s: %s", path, strerror(errno));
    snprintf(id, size, "%llx-%llx-%lld-%lld", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino, (long long)st.st_size,
             (long long)st.st_mtime);
    return VBG_OK;
}

vbg_status vbg_room_cached(char *path, size_t size, const vbg_room_spec *spec,
                           const vbg_values *v, vbg_err *err)
{
    char dir[1024], key[40], id[80];
    vbg_room room;

    if (!vbg_cache_dir(dir, sizeof dir))
        return vbg_fail(err, VBG_EIO, "no folder for cached rooms: set XDG_CACHE_HOME");
    vbg_status st = model_identity(id, sizeof id, spec->model, err);
    if (st != VBG_OK)
        return st;
    cache_key(key, sizeof key, spec, id);
    snprintf(path, size, "%s/%s.png", dir, key);
    if (access(path, R_OK) == 0) {
        vbg_note("using the room made earlier, %s", path);
        return VBG_OK;
    }
    st = vbg_room_make(&room, spec, v, err);
    if (st != VBG_OK)
        return st;
    st = vbg_room_save(path, &room, spec, true, 92, err);
    vbg_room_free(&room);
    return st;
}
