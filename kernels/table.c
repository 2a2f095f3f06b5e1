/* Fills the kernel table, reference first, then level by level. */
#include "kernels/table.h"

void vbg_kernels_init(vbg_kernels *k, vbg_isa cap)
{
    vbg_isa isa = vbg_isa_detect();

    if (isa > cap)
        isa = cap;
    *k = (vbg_kernels){ .isa = isa };
    vbg_gemm_init_ref(&k->gemm);
    vbg_train_init_ref(&k->train);
    vbg_attention_init_ref(&k->attention);
    vbg_caa_init_ref(&k->caa);
    vbg_pointwise_init_ref(&k->pointwise);
    vbg_norm_init_ref(&k->norm);
    vbg_resample_init_ref(&k->resample);
    vbg_lk_init_ref(&k->lk);
    vbg_compose_init_ref(&k->compose);
    vbg_light_init_ref(&k->light);
    vbg_view_init_ref(&k->view);
    vbg_picture_init_ref(&k->picture);
    vbg_optim_init_ref(&k->optim);
    if (isa < VBG_ISA_AVX2)
        return;
    vbg_gemm_init_avx2(&k->gemm);
    vbg_train_init_avx2(&k->train);
    vbg_attention_init_avx2(&k->attention);
    vbg_caa_init_avx2(&k->caa);
    vbg_pointwise_init_avx2(&k->pointwise);
    vbg_compose_init_avx2(&k->compose);
    vbg_norm_init_avx2(&k->norm);
    vbg_resample_init_avx2(&k->resample);
    vbg_picture_init_avx2(&k->picture);
    vbg_lk_init_avx2(&k->lk);
    vbg_light_init_avx2(&k->light);
    vbg_view_init_avx2(&k->view);
    vbg_optim_init_avx2(&k->optim);
    if (isa < VBG_ISA_AVX512)
        return;
    vbg_gemm_init_avx512(&k->gemm);
    vbg_train_init_avx512(&k->train);
    vbg_attention_init_avx512(&k->attention);
    vbg_caa_init_avx512(&k->caa);
    vbg_pointwise_init_avx512(&k->pointwise);
    vbg_norm_init_avx512(&k->norm);
    vbg_resample_init_avx512(&k->resample);
    vbg_picture_init_avx512(&k->picture);
    vbg_lk_init_avx512(&k->lk);
    vbg_view_init_avx512(&k->view);
    vbg_optim_init_avx512(&k->optim);
    if (isa < VBG_ISA_AVX512_BF16)
        return;
    vbg_gemm_init_avx512_bf16(&k->gemm);
    vbg_train_init_avx512_bf16(&k->train);
    vbg_attention_init_avx512_bf16(&k->attention);
    vbg_caa_init_avx512_bf16(&k->caa);
    vbg_pointwise_init_avx512_bf16(&k->pointwise);
    vbg_norm_init_avx512_bf16(&k->norm);
    vbg_resample_init_avx512_bf16(&k->resample);
    if (isa < VBG_ISA_AMX_BF16)
        return;
    vbg_attention_init_amx_bf16(&k->attention);
    vbg_gemm_init_amx_bf16(&k->gemm);
    vbg_train_init_amx_bf16(&k->train);
}
