/* vbg-train segment: person segmenters, BiSeNet and the Selfie-class network, from
 * nothing or from a .vbg file. */
#include <stdlib.h>
#include <string.h>

#include "tools/train/commands.h"
#include "tools/train/segment_config.h"
#include "tools/train/segment_net.h"

#define ROW(name, type, arg, value, range, help, group, flags)                           \
    {                                                                                    \
        name, 0, VBG_OPT_##type, arg, value, range, help, group, flags                   \
    }

static const vbg_option own[] = {
    { "data", 'd', VBG_OPT_STRING, "PATH", NULL, NULL,
      "folder or CSV of pictures with masks", "data", VBG_OPT_COMMON },
    ROW("val-data", STRING, "PATH", NULL, NULL, "pairs to validate with", "data",
        VBG_OPT_COMMON),
    ROW("val", REAL, "SHARE", "0.2", "0..0.9",
        "without --val-data: the last part of the data", "data", 0),
    ROW("backgrounds", STRING, "DIR", NULL, NULL,
        "pictures and panoramas to put people in front of", "data", VBG_OPT_COMMON),
    ROW("panoramas", STRING, "DIR", NULL, NULL, "another folder of them", "data", 0),
    ROW("shuffle", CHOICE, "X", "yes", "yes|no", "new order in every epoch", "data", 0),
    ROW("strict", FLAG, NULL, NULL, NULL, "refuse broken samples instead of skipping",
        "data", 0),
    ROW("cache", INT, "MB", "1024", "0..1000000", "memory for decoded photos", "data", 0),
    ROW("augment", CHOICE, "NAME", "usual", "usual|photo|flip|none",
        "how samples are varied; photo: no other backgrounds", "data", 0),
    ROW("preview", STRING, "FILE", NULL, NULL,
        "write a sheet of samples as a picture and end", "data", 0),
    { "config", 'c', VBG_OPT_STRING, "FILE", NULL, NULL,
      "noisrucer's JSON configuration (implies --recipe noisrucer)", "model",
      VBG_OPT_COMMON },
    ROW("recipe", CHOICE, "NAME", "usual", "usual|noisrucer",
        "defaults of all that is not given", "model", VBG_OPT_COMMON),
    { "model", 'm', VBG_OPT_STRING, "FILE", NULL, NULL, "begin with this .vbg file",
      "model", VBG_OPT_COMMON },
    ROW("arch", CHOICE, "NAME", "selfie", "selfie|bisenet-noisrucer|bisenetv1|bisenetv2",
        "new network, without --model", "model", VBG_OPT_COMMON),
    ROW("width", REAL, "X", "1", "0.125..4", "times the published widths", "model",
        VBG_OPT_COMMON),
    ROW("head", INT, "N", "64", "0..4096",
        "channels of bisenetv1's and v2's last layer, 0: as published", "model", 0),
    ROW("classes", INT, "N", "1", "1..2", "outputs: person, or background and person",
        "model", 0),
    ROW("size", SIZE, "WxH", "256x256", "32..2048", "of the samples", "model",
        VBG_OPT_COMMON),
    ROW("teacher", STRING, "FILE", NULL, NULL, "segmenter to learn from too", "model",
        VBG_OPT_COMMON),
    ROW("distill", REAL, "SHARE", "0.4", "0..1", "of the target that is the teacher's",
        "model", 0),
    ROW("bce", REAL, "X", "1", "0..100", "weight of binary cross entropy", "model", 0),
    ROW("dice", REAL, "X", "0.5", "0..100", "weight of the Dice loss", "model", 0),
    ROW("aux", REAL, "X", "1", "0..100",
        "weight of bisenetv1's and v2's auxiliary heads, which model.vbg lacks", "model",
        0),
    ROW("borders", REAL, "X", "0.5", "0..100",
        "weight of alpha's slopes near the person's border (one class)", "model", 0),
    ROW("still", REAL, "X", "0", "0..100",
        "weight of stillness: pairs of samples, moved up to 6 pixels, with other noise",
        "model", 0),
    ROW("new-lr", REAL, "X", "1", "0..1000",
        "learning rate of all behind a BiSeNet's backbone, times --lr", "optimiser", 0),
    ROW("freeze-norms", FLAG, NULL, NULL, NULL,
        "batch norms keep their running statistics", "model", 0),
    ROW("precision", CHOICE, "TYPE", "bf16", "bf16|f32", "arithmetic", "model", 0),
    ROW("store", CHOICE, "TYPE", "bf16", "bf16|f32", "layers of model.vbg", "model", 0),
    ROW("lr", REAL, "RATE", "0.001", "0..1000", "learning rate", "optimiser",
        VBG_OPT_COMMON),
    { 0 },
};
#undef ROW

enum { BAND = 8 /* pixels on both sides of a border */ };

/* What the recipe says where the user says nothing. */
static vbg_status apply_recipe(vbg_values *v, vbg_err *err)
{
    static const char *const recipe[][2] = {
        { "arch", "bisenet-noisrucer" },
        { "optimizer", "amsgrad" },
        { "lr", "0.0008" },
        { "weight-decay", "0.00001" },
        { "clip", "0" },
        { "batch", "4" },
        { "schedule", "step" },
        { "schedule-per", "epoch" },
        { "every", "100" },
        { "gamma", "0.3" },
        { "bce", "0.75" },
        { "dice", "0.25" },
        { "borders", "0" },
        { "augment", "flip" },
        { "size", "512x512" },
    };
    const char *config = vbg_value(v, "config");
    vbg_status st = VBG_OK;

    if (config)
        st = vbg_segment_config(v, config, err);
    if (st == VBG_OK && config && !vbg_value_given(v, "recipe"))
        st = vbg_values_set(v, "recipe", "noisrucer", err);
    if (st != VBG_OK || strcmp(vbg_value(v, "recipe"), "noisrucer") != 0)
        return st;
    for (size_t i = 0; st == VBG_OK && i < sizeof recipe / sizeof *recipe; i++)
        if (!vbg_value_given(v, recipe[i][0]))
            st = vbg_values_set(v, recipe[i][0], recipe[i][1], err);
    if (st == VBG_OK && !vbg_value_given(v, "epochs") && !vbg_value_given(v, "steps"))
        st = vbg_values_set(v, "epochs", "50", err);
    return st;
}

static vbg_augment_opt augmentation(const vbg_values *v)
{
    const char *name = vbg_value(v, "augment");
    int w, h;

    vbg_value_size(v, "size", &w, &h);
    vbg_augment_opt o = vbg_augment_usual(w, h);
    if (strcmp(name, "photo") == 0)
        o.replace = o.empty = o.second = 0;
    else if (strcmp(name, "usual") != 0)
        o = vbg_augment_none(w, h);
    if (strcmp(name, "flip") == 0)
        o.flip = 0.5;
    return o;
}

/* Everything but norm, which the network decides. */
static vbg_segment_data_opt data_options(const vbg_values *v)
{
    vbg_segment_data_opt o = { .data = vbg_value(v, "data"),
                               .val_data = vbg_value(v, "val-data"),
                               .val_share = vbg_value_real(v, "val"),
                               .teacher = vbg_value(v, "teacher"),
                               .distill = vbg_value_real(v, "distill"),
                               .augment = augmentation(v),
                               .batch = (int)vbg_value_int(v, "batch"),
                               .cache_mb = (int)vbg_value_int(v, "cache"),
                               .band = vbg_value_real(v, "borders") > 0 ? BAND : 0,
                               .pairs = vbg_value_real(v, "still") > 0,
                               .seed = vbg_value_seed(v, "seed"),
                               .shuffle = strcmp(vbg_value(v, "shuffle"), "yes") == 0,
                               .strict = vbg_value_flag(v, "strict") };
    const char *folder[2] = { vbg_value(v, "backgrounds"), vbg_value(v, "panoramas") };

    for (int i = 0; i < 2; i++)
        if (folder[i])
            o.backgrounds[o.background_folders++] = folder[i];
    return o;
}

static vbg_status open_net(vbg_learner *s, const vbg_values *v, vbg_err *err)
{
    const vbg_dtype store =
        strcmp(vbg_value(v, "store"), "f32") == 0 ? VBG_F32 : VBG_BF16;
    vbg_segment_net_opt o = {
        .path = vbg_value(v, "model"),
        .shape = { .arch = vbg_value(v, "arch"),
                   .width = vbg_value_real(v, "width"),
                   .head = (int)vbg_value_int(v, "head"),
                   .classes = (int)vbg_value_int(v, "classes") },
        .precision = strcmp(vbg_value(v, "precision"), "f32") == 0 ? VBG_F32 : VBG_BF16,
        .store = store,
        .bce = vbg_value_real(v, "bce"),
        .dice = vbg_value_real(v, "dice"),
        .aux = vbg_value_real(v, "aux"),
        .borders = vbg_value_real(v, "borders"),
        .still = vbg_value_real(v, "still"),
        .batch = (int)vbg_value_int(v, "batch"),
        .freeze_norms = vbg_value_flag(v, "freeze-norms"),
        .seed = vbg_value_seed(v, "seed"),
    };

    o.shape.aux = o.aux > 0;
    if (o.still > 0 && o.batch % 2)
        return vbg_fail(err, VBG_EUSAGE, "--still needs an even --batch");
    vbg_value_size(v, "size", &o.shape.w, &o.shape.h);
    o.ctx = vbg_value_ctx(v, o.precision);
    return vbg_learner_open(s, &o, err);
}

/* What a BiSeNet has behind its backbone and its spatial path: the heads' learning rate
 * is ten times the rest's in CoinCheung's training. */
static const char *const behind[] = { "ffm.*",
                                      "conv_out*",
                                      "head.*",
                                      "aux*",
                                      "bga.*",
                                      "attention_refinement_module_*",
                                      "feature_fusion_module.*",
                                      "final_conv*" };

typedef struct session {
    vbg_learner s;
    char **argv;
} session;

static void close_session(void *arg)
{
    session *run = arg;

    vbg_learner_close(&run->s);
}

static vbg_status train(void *arg, const vbg_program *p, vbg_values *v, vbg_err *err)
{
    session *run = arg;
    vbg_learner *s = &run->s;
    vbg_status st = apply_recipe(v, err);
    if (st != VBG_OK)
        return st;
    vbg_segment_data_opt data = data_options(v);
    vbg_loop l = { .kind = "segment",
                   .calls = &vbg_segment_calls,
                   .arg = s,
                   .argv = run->argv,
                   .samples_per_job = data.batch,
                   .depth = VBG_SEGMENT_SLOTS,
                   .best = "iou_person" };

    if (!data.data)
        return vbg_fail(err, VBG_EUSAGE, "--data PATH is missing");
    if (!vbg_value(v, "preview"))
        st = vbg_loop_options(&l.opt, v, err);
    if (st == VBG_OK)
        st = open_net(s, v, err);
    if (st != VBG_OK)
        return st;
    data.norm = vbg_segnet_norm(s->net);
    st = vbg_segment_data_open(&s->data, &data, err);
    if (st != VBG_OK)
        return st;
    vbg_note("%zu pairs to train on, %zu to validate with; %s of %.2f million values",
             vbg_segment_data_count(s->data), vbg_segment_data_val_count(s->data),
             vbg_segnet_arch(s->net), (double)vbg_params_values(s->params) * 1e-6);
    if (vbg_value(v, "preview"))
        return vbg_segment_data_sheet(s->data, vbg_value(v, "preview"), err);
    l.opt.optim.decay_all = strcmp(vbg_value(v, "recipe"), "noisrucer") == 0;
    st = vbg_optim_new(&s->optim, s->params, &l.opt.optim, err);
    if (st != VBG_OK)
        return st;
    for (size_t i = 0; i < sizeof behind / sizeof *behind; i++)
        vbg_optim_group(s->optim, "segmenter", behind[i], vbg_value_real(v, "new-lr"),
                        -1);
    l.ctx = s->ctx;
    l.params = s->params;
    l.tape = s->tape;
    l.optim = s->optim;
    l.jobs_per_epoch = vbg_segment_data_jobs(s->data);
    l.config = vbg_loop_config(p, v);
    st = vbg_loop_run(&l, err);
    json_decref(l.config);
    return st;
}

int vbg_train_segment(int argc, char **argv)
{
    static const vbg_trainer command = {
        .program = { .name = "vbg-train segment",
                     .purpose = "trains person segmenters",
                     .usage = "vbg-train segment --data PATH --out DIR [options]",
                     .examples = { "vbg-train segment --data people --backgrounds rooms "
                                   "--out person",
                                   "vbg-train segment -c config.json --resume" },
                     .extra = "PATH holds NAME.jpg with NAME.mask.png, or images/ and "
                              "masks/, or is a CSV of\nimg_path,matting_path.\n" },
        .own = own,
        .train = train,
        .close = close_session
    };
    session run = { .argv = argv };

    return vbg_trainer_main(&command, &run, argc, argv);
}
