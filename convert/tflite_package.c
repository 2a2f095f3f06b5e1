/* TensorFlow Lite models as packages: recognised, renamed and turned to PyTorch's
 * order, component `segmenter`. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>

#include "convert/package.h"
#include "convert/tflite_map.h"

static vbg_status add_weight(vbg_package *p, const vbg_tfl_weight *w, vbg_dtype dtype,
                             vbg_err *err)
{
    int64_t dim[4];
    vbg_item *i;
    int rank = vbg_tfl_weight_shape(dim, w);
    vbg_status st = vbg_package_add(p, &i, "segmenter", w->name, dtype, rank, dim, err);

    if (st != VBG_OK)
        return st;
    if (w->kind == VBG_TFL_TRANSPOSE_KERNEL || w->kind == VBG_TFL_DEPTHWISE_KERNEL) {
        i->layout = w->kind == VBG_TFL_DEPTHWISE_KERNEL ? VBG_LAYOUT_DEPTHWISE
                                                        : VBG_LAYOUT_TRANSPOSED;
        i->dtype = VBG_F32;
    }
    i->values = malloc((w->from->count ? w->from->count : 1) * sizeof *i->values);
    if (!i->values)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    vbg_tfl_weight_values(i->values, w);
    return VBG_OK;
}

/* File name without folder and extension. */
static char *base_name(const char *path)
{
    const char *from = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    const char *dot = strrchr(from, '.');
    return strndup(from, dot && dot > from ? (size_t)(dot - from) : strlen(from));
}

static vbg_status fill(vbg_package *p, const vbg_tfl_network *net, const char *path,
                       const vbg_package_opt *opt, vbg_err *err)
{
    vbg_status st = VBG_OK;

    p->what = (vbg_detected){ VBG_NAMING_SEGMENTER, net->arch, net->what };
    p->width = net->width;
    p->height = net->height;
    p->stride = net->stride;
    p->name = opt->name ? strdup(opt->name) : base_name(path);
    p->path = strdup(path);
    if (!p->name || !p->path)
        st = vbg_fail(err, VBG_ENOMEM, "out of memory");
    for (int i = 0; i < net->weights && st == VBG_OK; i++)
        st = add_weight(p, &net->weight[i], opt->dtype, err);
    return st;
}

vbg_status vbg_package_tflite(vbg_package **out, const char *path,
                              const vbg_package_opt *opt, vbg_err *err)
{
    vbg_tfl_network *net = calloc(1, sizeof *net);
    vbg_package *p = calloc(1, sizeof *p);
    vbg_tflite *m = NULL;
    vbg_status st = VBG_OK;

    if (!net || !p)
        st = vbg_fail(err, VBG_ENOMEM, "out of memory");
    else if (opt->caa || opt->config_from)
        st = vbg_fail(err, VBG_EUSAGE,
                      "%s: --caa and --config-from are for Stable "
                      "Diffusion models",
                      path);
    if (st == VBG_OK)
        st = vbg_tflite_open(&m, path, err);
    if (st == VBG_OK)
        st = vbg_tflite_recognise(net, m, path, err);
    if (st == VBG_OK)
        st = fill(p, net, path, opt, err);
    if (st == VBG_OK) {
        *out = p;
        p = NULL;
    }
    vbg_package_close(p);
    vbg_tflite_close(m);
    free(net);
    return st;
}
