/* The options that every training has; see tools/train/loop.h. */
#include "tools/train/loop.h"
#include "tools/train/ranks.h"

#include <stdio.h>
#include <string.h>

#define ROW(name, type, arg, value, range, help, group, flags)                           \
    {                                                                                    \
        name, 0, VBG_OPT_##type, arg, value, range, help, group, flags                   \
    }

static const vbg_option rows[] = {
    { "out", 'o', VBG_OPT_STRING, "DIR", NULL, NULL, "folder of this training", "course",
      VBG_OPT_COMMON },
    ROW("resume", FLAG, NULL, NULL, NULL,
        "go on from DIR/last.vbg, bit for bit (begin when there is none)", "course",
        VBG_OPT_COMMON),
    ROW("from", STRING, "FILE", NULL, NULL,
        "begin with the state of a checkpoint, also a compact one", "course", 0),
    ROW("fresh", FLAG, NULL, NULL, NULL, "begin anew in a folder that holds a training",
        "course", 0),
    ROW("steps", INT, "N", "1000", "1..1000000000", "updates in all", "course",
        VBG_OPT_COMMON),
    ROW("epochs", REAL, "N", NULL, "0.001..1000000",
        "passes over the data instead of --steps", "course", VBG_OPT_COMMON),
    ROW("max-seconds", REAL, "S", NULL, "1..100000000",
        "end by the clock: save, export and stop", "course", VBG_OPT_COMMON),
    ROW("fit", FLAG, NULL, NULL, NULL,
        "fewer steps where --max-seconds is short of them: the decay ends in time",
        "course", 0),
    { "batch", 'b', VBG_OPT_INT, "N", "8", "1..65536", "samples of a micro-batch",
      "course", VBG_OPT_COMMON },
    ROW("accumulate", INT, "N", "1", "1..65536",
        "micro-batches whose gradients make one update", "course", 0),
    ROW("seed", SEED, "N", "1", NULL, "of initial values, order and chance", "course", 0),
    ROW("loaders", INT, "N", "1", "1..64", "threads that load data", "course", 0),
    ROW("lr", REAL, "RATE", "0.0002", "0..1000", "learning rate", "optimiser",
        VBG_OPT_COMMON),
    ROW("optimizer", CHOICE, "NAME", "adamw",
        "adamw|adam|amsgrad|muon|sgd|nesterov|rmsprop",
        "update rule; muon: orthogonal steps of layers, adamw for the rest", "optimiser",
        0),
    ROW("momentum", REAL, "X", "0.9", "0..1",
        "of sgd, nesterov and rmsprop, and muon (0.95)", "optimiser", 0),
    ROW("beta1", REAL, "X", "0.9", "0..1", "of the Adam kinds", "optimiser", 0),
    ROW("beta2", REAL, "X", "0.999", "0..1", "of the Adam kinds and rmsprop", "optimiser",
        0),
    ROW("weight-decay", REAL, "X", "0.01", "0..10", "of weights, not of norms and biases",
        "optimiser", 0),
    ROW("clip", REAL, "NORM", "1", "0..1000000",
        "largest norm of the whole gradient, 0: any", "optimiser", 0),
    ROW("ema", REAL, "DECAY", "0", "0..1", "moving average of the values, 0: none",
        "optimiser", 0),
    ROW("ema2", REAL, "DECAY", "0", "0..1",
        "a second average beside it: model-ema2.vbg, to choose afterwards, 0: none",
        "optimiser", 0),
    ROW("schedule", CHOICE, "NAME", "cosine", "cosine|linear|poly|step|constant",
        "decay of the rate", "optimiser", 0),
    ROW("schedule-per", CHOICE, "WHAT", "step", "step|epoch", "how often the rate moves",
        "optimiser", 0),
    ROW("warmup", REAL, "N", "0", "0..1000000000", "steps (or epochs) of rising rate",
        "optimiser", 0),
    ROW("hold", REAL, "SHARE", "0", "0..1", "share of the rest before the decay begins",
        "optimiser", 0),
    ROW("min-lr", REAL, "X", "0", "0..1", "last rate as a share of the first",
        "optimiser", 0),
    ROW("gamma", REAL, "X", "0.1", "0..1", "factor of schedule step", "optimiser", 0),
    ROW("every", REAL, "N", "30", "0.001..1000000000", "distance of schedule step",
        "optimiser", 0),
    ROW("power", REAL, "X", "0.9", "0..100", "of schedule poly", "optimiser", 0),
    ROW("log-every", INT, "N", "10", "1..1000000000", "steps between log lines",
        "watching", 0),
    ROW("val-every", INT, "N", "500", "1..1000000000", "steps between validations",
        "watching", 0),
    ROW("save-every", INT, "N", "500", "1..1000000000", "steps between checkpoints",
        "watching", 0),
    ROW("keep-every", INT, "N", "0", "0..1000000000",
        "also keep a checkpoint of every N steps", "watching", 0),
    ROW("sample-every", INT, "N", "500", "1..1000000000", "steps between sample pictures",
        "watching", 0),
    ROW("compact-checkpoint", STRING, "FILE", NULL, NULL,
        "with every checkpoint also a small one (bf16 values and averages)", "watching",
        0),
};
#undef ROW

/* What may differ between a training and its continuation. */
static const char *const free_options[] = {
    "out",        "resume",      "from",      "fresh",        "steps",
    "epochs",     "loaders",     "log-every", "val-every",    "save-every",
    "keep-every", "max-seconds", "fit",       "sample-every", "compact-checkpoint",
};

static bool in_table(const vbg_option *t, const char *name)
{
    for (; t->name; t++)
        if (strcmp(t->name, name) == 0)
            return true;
    return false;
}

void vbg_loop_table(vbg_option table[VBG_LOOP_ROWS], const vbg_option *own)
{
    size_t n = 0;

    for (const vbg_option *o = own; o->name; o++) {
        VBG_CHECK(n + 1 < VBG_LOOP_ROWS, "too many options");
        table[n++] = *o;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (in_table(own, rows[i].name))
            continue;
        VBG_CHECK(n + 1 < VBG_LOOP_ROWS, "too many options");
        table[n++] = rows[i];
    }
    table[n] = (vbg_option){ 0 };
}

int vbg_trainer_main(const vbg_trainer *t, void *arg, int argc, char **argv)
{
    vbg_option table[VBG_LOOP_ROWS];
    vbg_program program = t->program;
    vbg_values *v;
    vbg_err err = { "" };

    vbg_message_start("vbg-train");
    vbg_loop_table(table, t->own);
    program.options = table;
    int code = vbg_options_start(&v, &program, argc, argv);
    if (code >= 0)
        return code;
    vbg_message_setup(v);
    if (vbg_ranks_follows())
        vbg_message_quiet();
    vbg_signals_setup();
    code = vbg_exit_code(t->train(arg, &program, v, &err), &err);
    t->close(arg);
    vbg_values_free(v);
    return vbg_finish_output(code);
}

static vbg_optim_opt read_optim(const vbg_values *v)
{
    const char *name = vbg_value(v, "optimizer");
    vbg_optim_kind kind = strcmp(name, "adamw") == 0     ? VBG_ADAMW
                          : strcmp(name, "rmsprop") == 0 ? VBG_RMSPROP
                          : strcmp(name, "muon") == 0    ? VBG_MUON
                          : strncmp(name, "a", 1) == 0   ? VBG_ADAM
                                                         : VBG_SGD;
    vbg_optim_opt o = vbg_optim_defaults(kind);

    o.amsgrad = strcmp(name, "amsgrad") == 0;
    o.nesterov = strcmp(name, "nesterov") == 0;
    if (kind == VBG_SGD || vbg_value_given(v, "momentum"))
        o.momentum = vbg_value_real(v, "momentum");
    o.beta1 = vbg_value_real(v, "beta1");
    o.beta2 = vbg_value_real(v, "beta2");
    o.weight_decay = vbg_value_real(v, "weight-decay");
    o.clip = vbg_value_real(v, "clip");
    o.ema = vbg_value_real(v, "ema");
    o.ema2 = vbg_value_real(v, "ema2");
    o.ema_warmup = true;
    return o;
}

static vbg_schedule read_schedule(const vbg_values *v)
{
    static const vbg_decay decays[] = { ['c'] = VBG_DECAY_CONSTANT,
                                        ['l'] = VBG_DECAY_LINEAR,
                                        ['p'] = VBG_DECAY_POLY,
                                        ['s'] = VBG_DECAY_STEP };
    const char *name = vbg_value(v, "schedule");

    return (vbg_schedule){ .decay = strcmp(name, "cosine") == 0
                                        ? VBG_DECAY_COSINE
                                        : decays[(unsigned char)name[0]],
                           .warmup = vbg_value_real(v, "warmup"),
                           .warmup_from = 0.01,
                           .hold = vbg_value_real(v, "hold"),
                           .min = vbg_value_real(v, "min-lr"),
                           .gamma = vbg_value_real(v, "gamma"),
                           .every = vbg_value_real(v, "every"),
                           .power = vbg_value_real(v, "power") };
}

vbg_status vbg_loop_options(vbg_loop_opt *o, const vbg_values *v, vbg_err *err)
{
    *o = (vbg_loop_opt){ .out = vbg_value(v, "out"),
                         .compact = vbg_value(v, "compact-checkpoint"),
                         .resume = vbg_value_flag(v, "resume"),
                         .fresh = vbg_value_flag(v, "fresh"),
                         .from = vbg_value(v, "from"),
                         .steps = vbg_value_int(v, "steps"),
                         .accumulate = (int)vbg_value_int(v, "accumulate"),
                         .loaders = (int)vbg_value_int(v, "loaders"),
                         .log_every = vbg_value_int(v, "log-every"),
                         .val_every = vbg_value_int(v, "val-every"),
                         .save_every = vbg_value_int(v, "save-every"),
                         .keep_every = vbg_value_int(v, "keep-every"),
                         .sample_every = vbg_value_int(v, "sample-every"),
                         .fit = vbg_value_flag(v, "fit"),
                         .lr = vbg_value_real(v, "lr"),
                         .per_epoch = strcmp(vbg_value(v, "schedule-per"), "epoch") == 0,
                         .schedule = read_schedule(v),
                         .optim = read_optim(v),
                         .seed = vbg_value_seed(v, "seed") };
    if (vbg_value_given(v, "epochs")) {
        o->epochs = vbg_value_real(v, "epochs");
        o->steps = 0;
    }
    if (vbg_value_given(v, "max-seconds"))
        o->max_seconds = vbg_value_real(v, "max-seconds");
    if (!o->out)
        return vbg_fail(err, VBG_EUSAGE, "--out DIR is missing");
    if (vbg_value_given(v, "epochs") && vbg_value_given(v, "steps"))
        return vbg_fail(err, VBG_EUSAGE, "--steps or --epochs, not both");
    if (o->fit && o->max_seconds <= 0)
        return vbg_fail(err, VBG_EUSAGE, "--fit needs --max-seconds");
    if (o->resume && o->fresh)
        return vbg_fail(err, VBG_EUSAGE, "--resume or --fresh, not both");
    return VBG_OK;
}

json_t *vbg_loop_config(const vbg_program *p, const vbg_values *v)
{
    json_t *config = json_object();

    for (const vbg_option *o = p->options; config && o->name; o++) {
        bool leave = (o->flags & VBG_OPT_ALIAS) != 0;
        for (size_t i = 0; i < sizeof free_options / sizeof *free_options; i++)
            leave = leave || strcmp(free_options[i], o->name) == 0;
        if (leave)
            continue;
        const char *text = o->type == VBG_OPT_FLAG
                               ? vbg_value_flag(v, o->name) ? "yes" : "no"
                               : vbg_value(v, o->name);
        char seed[32];
        if (o->type == VBG_OPT_SEED) {
            snprintf(seed, sizeof seed, "%llu",
                     (unsigned long long)vbg_value_seed(v, o->name));
            text = seed;
        }
        if (text)
            json_object_set_new(config, o->name, json_string(text));
    }
    return config;
}
