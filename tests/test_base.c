/* The parts of vbg-train base on small pictures: tokenizer, autoencoder, text and UNet,
 * from pictures with captions to a package that generates. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/ops.h"
#include "engine/picture_io.h"
#include "models/generate.h"
#include "models/tokenizer.h"
#include "models/vae.h"
#include "tools/train/base.h"
#include "tests/program.h"
#include "tests/texts.h"
#include "tools/train/base_tokenizer.h"

enum { PICTURES = 10, SIDE = 64 };

static void write_in(const char *dir, const char *name, const char *text)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    write_text(path, text);
}

static void write_picture(const char *dir, int i)
{
    vbg_picture p;
    vbg_err err = { 0 };
    char path[256], text[64];
    const char *colour = i % 2 ? "red" : "blue";

    cr_assert(vbg_picture_new(&p, SIDE, SIDE, 3, &err) == VBG_OK);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            uint8_t *to = p.data + (size_t)y * p.stride + 3 * (size_t)x;
            to[0] = (uint8_t)(i % 2 ? 200 : 3 * x);
            to[1] = (uint8_t)(2 * y + 8 * i);
            to[2] = (uint8_t)(i % 2 ? x : 220);
        }
    snprintf(path, sizeof path, "%s/data/p%d.png", dir, i);
    cr_assert(vbg_picture_save(path, &p, NULL, 90, &err) == VBG_OK, "%s", err.text);
    vbg_picture_free(&p);
    snprintf(path, sizeof path, "data/p%d.txt", i);
    snprintf(text, sizeof text, "a %s room, a lamp on the left, number %d", colour, i);
    write_in(dir, path, text);
}

static char *make_folder(void)
{
    char *dir = strdup("/tmp/vbg-base-XXXXXX");

    char data[64];

    cr_assert(mkdtemp(dir) != NULL);
    snprintf(data, sizeof data, "%s/data", dir);
    cr_assert(mkdir(data, 0777) == 0);
    for (int i = 0; i < PICTURES; i++)
        write_picture(dir, i);
    return dir;
}

static void remove_folder(char *dir)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert(system(command) == 0);
    free(dir);
}

/* "-o DIR/vae --steps 4" with DIR put in, as arguments of a command. */
static int command(int (*run)(int, char **), const char *dir, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int command(int (*run)(int, char **), const char *dir, const char *fmt, ...)
{
    char line[1024], *argv[64];
    int argc = 0;
    va_list ap;

    (void)dir;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    argv[argc++] = (char[]){ "vbg-train base" };
    argv[argc++] = (char[]){ "--quiet" };
    for (char *p = strtok(line, " "); p && argc < 63; p = strtok(NULL, " "))
        argv[argc++] = p;
    argv[argc] = NULL;
    return run(argc, argv);
}

static void train_vae(const char *dir)
{
    write_in(dir, "vae.json", vae_config);
    cr_assert_eq(
        command(vbg_train_base_vae, dir,
                "-d %s/data -o %s/vae --config %s/vae.json --crop 32 --val-crop 32 "
                "-b 4 --steps 12 --warmup 2 --shrink 0.5 --lr 0.003",
                dir, dir, dir),
        0);
}

static bool same(const char *dir, const char *a, const char *b)
{
    char line[600];

    snprintf(line, sizeof line, "cmp -s %s/%s %s/%s", dir, a, dir, b);
    return system(line) == 0;
}

Test(base, vae_continues_bit_for_bit)
{
    char *dir = make_folder();
    const char *fmt =
        "-d %s/data -o %s/part --config %s/vae.json --crop 32 --val-crop 32 -b 4 "
        "--steps %d --warmup 2 --shrink 0.5 --lr 0.003 --schedule constant "
        "--resume";

    write_in(dir, "vae.json", vae_config);
    cr_assert_eq(command(vbg_train_base_vae, dir, fmt, dir, dir, dir, 9), 0);
    char move[256];
    snprintf(move, sizeof move, "mv %s/part %s/whole", dir, dir);
    cr_assert(system(move) == 0);
    cr_assert_eq(command(vbg_train_base_vae, dir, fmt, dir, dir, dir, 4), 0);
    cr_assert_eq(command(vbg_train_base_vae, dir, fmt, dir, dir, dir, 9), 0);
    cr_assert(same(dir, "part/model.vbg", "whole/model.vbg"));
    cr_assert_eq(command(vbg_train_base_vae, dir,
                         "-d %s/data -o %s/dec --model %s/part/model.vbg --decoder-only "
                         "--crop 32 --val-crop 32 -b 2 --steps 2",
                         dir, dir, dir),
                 0);
    remove_folder(dir);
}

/* ---- a decoder larger than its encoder ---- */

enum { LATENT = 8 };

typedef struct decoding {
    vbg_vae vae;
    float z[LATENT * LATENT * 4], *out;
} decoding;

static vbg_status decode_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    decoding *d = arg;
    vbg_tensor *z = vbg_wrap(c, d->z, VBG_F32, 1, LATENT, LATENT, 4);
    vbg_tensor *y = vbg_vae_decode(c, &d->vae, z, NULL);

    (void)err;
    if (!vbg_planning(c))
        vbg_copy_out(c, d->out, VBG_F32, y);
    return VBG_OK;
}

/* A smooth field of latents through the decoder of DIR/name: side x side x 3 to out. */
static void decode(const char *dir, const char *name, int side, float *out)
{
    static const vbg_ctx_opt opt = { .threads = 1, .precision = VBG_F32 };
    vbg_vae_config cfg;
    vbg_weights *w;
    vbg_ctx *c;
    const char *json;
    char path[256];
    vbg_err err = { "" };
    decoding d = { .out = out };

    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (int i = 0; i < LATENT * LATENT * 4; i++)
        d.z[i] = sinf((float)(i / 4 % LATENT) / 3 + (float)(i % 4)) *
                 cosf((float)(i / 4 / LATENT) / 4);
    cr_assert_eq(vbg_weights_open(&w, path, &err), VBG_OK, "%s", err.text);
    cr_assert(vbg_weights_string(w, "vae.config", &json));
    cr_assert_eq(vbg_vae_config_read(&cfg, json, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(LATENT * vbg_vae_up(&cfg), side);
    cr_assert_eq(vbg_ctx_new(&c, &opt, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_vae_bind(&d.vae, &cfg, w, "vae", &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_run(c, decode_job, &d, &err), VBG_OK, "%s", err.text);
    vbg_ctx_free(c);
    vbg_weights_close(w);
}

static bool same_tensor(const char *dir, const char *a, const char *b, const char *tensor)
{
    vbg_weights *w[2];
    const char *name[2] = { a, b };
    uint64_t sum[2];
    vbg_err err = { "" };

    for (int i = 0; i < 2; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", dir, name[i]);
        cr_assert_eq(vbg_weights_open(&w[i], path, &err), VBG_OK, "%s", err.text);
        const vbg_entry *e = vbg_weights_find(w[i], "vae", tensor);
        cr_assert(e, "no %s", tensor);
        sum[i] = e->checksum;
        vbg_weights_close(w[i]);
    }
    return sum[0] == sum[1];
}

/* A .vbg file without any network. */
static void write_empty(const char *dir, const char *name)
{
    vbg_writer *w;
    char path[256];
    vbg_err err = { "" };

    snprintf(path, sizeof path, "%s/%s", dir, name);
    cr_assert_eq(vbg_writer_new(&w, path, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_writer_string(w, "model.arch", "none", &err), VBG_OK);
    cr_assert_eq(vbg_writer_finish(w, &err), VBG_OK, "%s", err.text);
}

/* Begins as the small decoder's picture, smoothly enlarged; the latents stay the same. */
Test(base, decoder_of_larger_pictures)
{
    enum { SMALL = 4 * LATENT, LARGE = 8 * LATENT };
    static float small[SMALL * SMALL * 3], large[LARGE * LARGE * 3];
    static const char grown[] =
        "{\"block_out_channels\":[8,16,16],\"up_block_out_channels\":[8,8,16,16],"
        "\"latent_channels\":4,\"layers_per_block\":1,\"norm_num_groups\":4,"
        "\"mid_block_add_attention\":false}";
    char *dir = make_folder();
    double error = 0, size = 0;

    train_vae(dir);
    write_in(dir, "grown.json", grown);
    cr_assert_eq(command(vbg_train_base_vae, dir,
                         "-d %s/data -o %s/up --model %s/vae/model.vbg --decoder-only "
                         "--config %s/grown.json --crop 16 --val-crop 32 -b 2 --steps 1 "
                         "--lr 0 --shrink 1",
                         dir, dir, dir, dir),
                 0);
    cr_assert(same_tensor(dir, "vae/model.vbg", "up/model.vbg", "quant_conv.weight"));
    write_empty(dir, "empty.vbg");
    cr_assert_eq(command(vbg_train_base_vae, dir,
                         "-d %s/data -o %s/no --model %s/empty.vbg --decoder-only "
                         "--config %s/grown.json --crop 16 --val-crop 32 -b 2 --steps 1",
                         dir, dir, dir, dir),
                 1); /* nothing to grow from: not random values in its place */
    decode(dir, "vae/model.vbg", SMALL, small);
    decode(dir, "up/model.vbg", LARGE, large);
    for (int i = 0; i < SMALL * SMALL; i++)
        for (int k = 0; k < 3; k++) {
            const int at = (i / SMALL * 2 * LARGE + i % SMALL * 2) * 3 + k;
            const double mean =
                (double)(large[at] + large[at + 3] + large[at + 3 * LARGE] +
                         large[at + 3 * LARGE + 3]) /
                4;
            error += pow(mean - (double)small[3 * i + k], 2);
            size += pow((double)small[3 * i + k], 2);
        }
    cr_expect_lt(sqrt(error / size), 0.2, "%g", sqrt(error / size));
    remove_folder(dir);
}

static bool has_critic(const char *dir, const char *name)
{
    char path[256];
    vbg_weights *w;
    vbg_err err = { 0 };

    snprintf(path, sizeof path, "%s/%s", dir, name);
    cr_assert(vbg_weights_open(&w, path, &err) == VBG_OK, "%s", err.text);
    bool has = vbg_weights_has_component(w, "critic");
    vbg_weights_close(w);
    return has;
}

/* Heard from the fourth step of nine on; learnt on, kept in checkpoints alone. */
Test(base, vae_with_a_critic)
{
    char *dir = make_folder(), line[256];
    const char *fmt =
        "-d %s/data -o %s/%s --config %s/vae.json --crop 32 --val-crop 32 -b 4 --steps 9 "
        "--warmup 2 --lr 0.003 --schedule constant --gan 0.2 --gan-start 0.3 "
        "--log-every 1 --keep-every 5%s%s";

    write_in(dir, "vae.json", vae_config);
    cr_assert_eq(command(vbg_train_base_vae, dir, fmt, dir, dir, "whole", dir, "", ""),
                 0);
    cr_assert(has_critic(dir, "whole/last.vbg") && !has_critic(dir, "whole/model.vbg"));
    snprintf(line, sizeof line, "test `grep -c '\"critic\":2.0,' %s/whole/log.jsonl` = 3",
             dir);
    cr_assert(system(line) == 0, "steps without the critic");
    snprintf(line, sizeof line, "%s/whole/step-0000005.vbg", dir);
    cr_assert_eq(
        command(vbg_train_base_vae, dir, fmt, dir, dir, "on", dir, " --from ", line), 0);
    cr_assert(same(dir, "on/model.vbg", "whole/model.vbg"));
    cr_assert_eq(command(vbg_train_base_vae, dir,
                         "-d %s/data -o %s/dec --model %s/whole/model.vbg --decoder-only "
                         "--gan 0.2 --gan-start 0 --crop 32 --val-crop 32 -b 2 --steps 2",
                         dir, dir, dir),
                 0);
    remove_folder(dir);
}

Test(base, text_and_unet_make_a_package)
{
    char *dir = make_folder(), path[256];
    vbg_generator *g = NULL;
    vbg_ctx_opt co = { .threads = 1, .isa = VBG_ISA_AMX_BF16, .precision = VBG_F32 };
    vbg_generator_info info;
    vbg_err err = { 0 };

    train_vae(dir);
    write_in(dir, "unet.json", unet_config);
    for (int eps = 0; eps < 2; eps++)
        cr_assert_eq(command(vbg_train_base_unet, dir,
                             "-d %s/data -o %s/room%d --vae %s/vae/model.vbg --size 64 "
                             "--config %s/unet.json --mirror -b 4 --steps 4 --warmup 1 "
                             "--prediction %s --val-share 0.2",
                             dir, dir, eps, dir, dir, eps ? "epsilon" : "v_prediction"),
                     0);
    snprintf(path, sizeof path, "%s/room0/model.vbg", dir);
    cr_assert(vbg_generator_open(&g, path, &co, &err) == VBG_OK, "%s", err.text);
    vbg_generator_get_info(g, &info);
    cr_assert_eq(info.default_side, 64);
    cr_assert_eq(info.schedule.prediction, VBG_PREDICT_V);
    cr_assert(info.schedule.zero_snr);
    vbg_generator_close(g);
    snprintf(path, sizeof path, "%s/room0/samples/0000004.png", dir);
    cr_assert(access(path, R_OK) == 0);
    remove_folder(dir);
}

/* Two panoramas are sixteen captioned views. */
Test(base, panoramas_are_views)
{
    char *dir = make_folder(), path[256];
    vbg_samples s;
    vbg_picture p;
    vbg_err err = { 0 };

    snprintf(path, sizeof path, "rm -f %s/data/*", dir);
    cr_assert(system(path) == 0);
    for (int i = 0; i < 2; i++) {
        cr_assert(vbg_picture_new(&p, 128, 64, 3, &err) == VBG_OK);
        memset(p.data, 90 + i, 64 * p.stride);
        snprintf(path, sizeof path, "%s/data/q%d.png", dir, i);
        cr_assert(vbg_picture_save(path, &p, NULL, 90, &err) == VBG_OK);
        vbg_picture_free(&p);
        snprintf(path, sizeof path, "data/q%d.txt", i);
        write_in(dir, path, "all\nv0\nv1\nv2\nv3\nv4\nv5\nv6\nv7\n");
    }
    snprintf(path, sizeof path, "%s/data", dir);
    cr_assert(vbg_samples_open(&s, path, &(vbg_samples_opt){ .strict = true }, &err) ==
                  VBG_OK,
              "%s", err.text);
    cr_assert_eq(vbg_samples_count(&s), 16);
    cr_assert_str_eq(vbg_samples_text(&s, 11), "v3");
    cr_assert(vbg_samples_picture(&s, 11, 32, &p, &err), "%s", err.text);
    cr_assert(p.w == 32 && p.h == 32 && abs(p.data[0] - 91) <= 1);
    vbg_picture_free(&p);
    vbg_samples_close(&s);
    remove_folder(dir);
}

/* Largest difference of the values of two checkpoints, relative to the largest value. */
static double difference(const char *dir, const char *a, const char *b)
{
    vbg_weights *x, *y;
    char path[256];
    vbg_err err = { 0 };
    double most = 0, size = 0;

    snprintf(path, sizeof path, "%s/%s", dir, a);
    cr_assert(vbg_weights_open(&x, path, &err) == VBG_OK, "%s", err.text);
    snprintf(path, sizeof path, "%s/%s", dir, b);
    cr_assert(vbg_weights_open(&y, path, &err) == VBG_OK, "%s", err.text);
    for (size_t i = 0; i < vbg_weights_count(x); i++) {
        const vbg_entry *e = vbg_weights_at(x, i);
        const vbg_entry *f = vbg_weights_find(y, e->component, e->name);
        cr_assert(f && f->bytes == e->bytes, "%s", e->name);
        for (size_t k = 0; strcmp(e->component, "vae") == 0 && k < e->bytes / 4; k++) {
            double u = (double)((const float *)e->data)[k];
            most = fmax(most, fabs(u - (double)((const float *)f->data)[k]));
            size = fmax(size, fabs(u));
        }
    }
    vbg_weights_close(x);
    vbg_weights_close(y);
    return most / size;
}

/* Where Open MPI is at hand: two ranks against one with twice the micro-batches.  With
 * SGD: Adam divides gradients that are nothing but rounding by themselves. */
Test(base, two_ranks_are_one_with_twice_the_batch)
{
    char *dir = make_folder(), line[2400];
    static const char common[] = "-q -b 2 --crop 32 --val-crop 32 --steps 6 --warmup 2 "
                                 "--lr 0.003 --schedule constant --precision f32 -t 1 "
                                 "--optimizer sgd";

    write_in(dir, "vae.json", vae_config);
    snprintf(line, sizeof line,
             "%s/vbg-train base vae -d %s/data --config %s/vae.json -o %s/one "
             "--accumulate 2 %s",
             program_dir(), dir, dir, dir, common);
    cr_assert(system(line) == 0);
    snprintf(line, sizeof line,
             "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun "
             "--oversubscribe -n 2 %s/vbg-train base vae -d %s/data --config %s/vae.json "
             "-o %s/two %s 2>%s/said",
             program_dir(), dir, dir, dir, common, dir);
    if (system("mpirun --version >/dev/null 2>&1") == 0 && system(line) == 0)
        cr_assert_leq(difference(dir, "one/last.vbg", "two/last.vbg"), 1e-5, "%g",
                      difference(dir, "one/last.vbg", "two/last.vbg"));
    else
        cr_log_warn("two ranks: skipped, no Open MPI here or not in this build");
    remove_folder(dir);
}

Test(base, wrong_use_is_refused)
{
    char *dir = make_folder();

    cr_assert_eq(command(vbg_train_base_vae, dir, "-d %s/data", dir), 2);
    cr_assert_eq(
        command(vbg_train_base_vae, dir, "-d %s/data -o %s/a --crop 100", dir, dir), 2);
    cr_assert_eq(command(vbg_train_base_unet, dir, "-d %s/data -o %s/a", dir, dir), 2);
    cr_assert_eq(command(vbg_train_base_unet, dir,
                         "-d %s/data -o %s/a --vae %s/data/p0.png", dir, dir, dir),
                 1);
    cr_assert_eq(command(vbg_train_base_vae, dir, "-d %s/nothing -o %s/a", dir, dir), 1);
    remove_folder(dir);
}

/* The merges make the words of the texts single tokens. */
Test(base, merges_of_a_few_words)
{
    static const char *const text[] = { "low low low lower", "newest newest",
                                        "low widest" };
    vbg_tokenizer *t = NULL;
    vbg_err err = { 0 };
    char *merges = NULL;
    int learned = 0, ids[8];

    cr_assert(vbg_merges_learn(&merges, &learned, text, 3, 100, &err) == VBG_OK);
    cr_assert(strncmp(merges, "#version: 0.2\nl o\n", 18) == 0, "%s", merges);
    cr_assert(vbg_tokenizer_open_merges(&t, merges, strlen(merges), learned, -1, false,
                                        &err) == VBG_OK,
              "%s", err.text);
    cr_assert_eq(vbg_tokenizer_encode(t, "low newest", 10, ids, 8), 2);
    cr_assert_eq(vbg_tokenizer_count(t), 512 + learned + 2);
    vbg_tokenizer_close(t);
    free(merges);
}
