/* The kernel table: one struct of function pointers per family, filled
 * reference-first and then overridden level by level as far as the CPU and the
 * cap go.  Each family has its own header (kernels/<family>.h), its reference in
 * kernels/ref/<family>.c and its fast versions in kernels/x86/<family>_<isa>.c. */
#ifndef VBG_KERNELS_TABLE_H
#define VBG_KERNELS_TABLE_H

#include "kernels/isa.h"
#include "kernels/gemm.h"
#include "kernels/train.h"
#include "kernels/attention.h"
#include "kernels/caa.h"
#include "kernels/pointwise.h"
#include "kernels/norm.h"
#include "kernels/resample.h"
#include "kernels/lk.h"
#include "kernels/compose.h"
#include "kernels/light.h"
#include "kernels/view.h"
#include "kernels/picture.h"
#include "kernels/optim.h"

typedef struct vbg_kernels {
    vbg_isa isa; /* the level in use */
    vbg_gemm_kernels gemm;
    vbg_train_kernels train;
    vbg_attention_kernels attention;
    vbg_caa_kernels caa;
    vbg_pointwise_kernels pointwise;
    vbg_norm_kernels norm;
    vbg_resample_kernels resample;
    vbg_lk_kernels lk;
    vbg_compose_kernels compose;
    vbg_light_kernels light;
    vbg_view_kernels view;
    vbg_picture_kernels picture;
    vbg_optim_kernels optim;
} vbg_kernels;

/* Fills k for the best level that the CPU has, at most cap. */
void vbg_kernels_init(vbg_kernels *k, vbg_isa cap);

#endif
