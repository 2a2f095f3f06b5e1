/* Correspondence-aware attention: every ISA against the reference, and the geometry. */
#include "models/camera.h"
#include "tests/caa_spots.h"

/* Maps around the patch size; one head, the widths of SD2; entries of all kinds. */
static const struct {
    int h, w, c;
    size_t pad;
} cases[] = { { 1, 1, 32, 0 },  { 2, 2, 32, 5 },  { 3, 5, 64, 0 },  { 8, 8, 96, 32 },
              { 4, 7, 320, 0 }, { 3, 3, 640, 0 }, { 2, 2, 1280, 8 } };
enum { CASES = sizeof cases / sizeof cases[0] };

/* f32: scores are sums of c products of size 1 and the softmax multiplies their error by
 * at most the largest score, about 4; bf16: one rounding of y (2^-9 of up to 2) and the
 * table sums in f32 instead of double.  Both with room for the spread of 1/std. */
static double tolerance(vbg_dtype t, int c)
{
    return t == VBG_BF16 ? 0x1p-7 : 64 * sqrt((double)c) * 0x1p-24;
}

static void try_case(vbg_isa isa, size_t i, vbg_dtype t)
{
    const size_t px = (size_t)(cases[i].h * cases[i].w), c = (size_t)cases[i].c;
    const size_t ld = c + cases[i].pad;
    uint32_t seed = (uint32_t)(i + 1);
    vbg_caa_spot *spot = calloc(2 * px, sizeof *spot);
    size_t rows = fill_spots(spot, cases[i].h, cases[i].w, &seed);
    float *vec = calloc(4 * c, sizeof *vec), *sums = calloc(2 * rows + 2, sizeof *sums);
    float *gram = calloc(2 * px * VBG_CAA_GRAM, sizeof *gram);
    guarded q = guard_filled(t, px, c, ld, 0, 1, 1), in[6], table[3];
    guarded y = guard_new(t, px, c, ld), want = guard_new(t, px, c, ld);
    vbg_kernels ref, k;

    vbg_kernels_init(&ref, VBG_ISA_REF);
    vbg_kernels_init(&k, isa);
    for (uint32_t n = 0; n < 6; n++)
        in[n] = guard_filled(t, px, c, ld, 0, 1, 10 + n);
    for (uint32_t n = 0; n < 3; n++)
        table[n] = guard_filled(t, rows + 1, c, c, 0, 1, 20 + n);
    for (size_t n = 0; n < 4 * c; n++)
        vec[n] = guard_random(&seed);
    vbg_caa_args a = { .q = guard_data(&q),
                       .y = guard_data(&want),
                       .ldq = ld,
                       .ldy = ld,
                       .ldx = ld,
                       .ldk = ld,
                       .ldv = ld,
                       .enc = guard_data(&table[0]),
                       .ek = guard_data(&table[1]),
                       .ev = guard_data(&table[2]),
                       .k_one = vec,
                       .v_one = vec + c,
                       .k_null = vec + 2 * c,
                       .v_null = vec + 3 * c,
                       .spot = spot,
                       .h = cases[i].h,
                       .w = cases[i].w,
                       .c = cases[i].c,
                       .t = t,
                       .eps = 1e-5f };
    for (int s = 0; s < 2; s++) {
        a.x[s] = guard_data(&in[s]);
        a.k[s] = guard_data(&in[2 + s]);
        a.v[s] = guard_data(&in[4 + s]);
    }
    ref.caa.run(&a, 0, px);
    a.y = guard_data(&y);
    if (k.caa.gram && t == VBG_BF16) {
        a.enc_sums = sums;
        for (size_t r = 0; r < rows; r++)
            for (size_t n = 0; n < c; n++) {
                float v = guard_get(&table[0], r * c + n);
                sums[2 * r] += v;
                sums[2 * r + 1] += v * v;
            }
        for (size_t s = 0; s < 2; s++) {
            float *g = gram + s * px * VBG_CAA_GRAM;
            a.gram[s] = g;
            for (int row = 0; row < cases[i].h; row++)
                k.caa.gram(g + (size_t)(row * cases[i].w) * VBG_CAA_GRAM, a.x[s], ld,
                           cases[i].h, cases[i].w, cases[i].c, row);
        }
    }
    k.caa.run(&a, 0, px / 2);
    k.caa.run(&a, px / 2, px);
    guard_check(&y, &want, tolerance(t, cases[i].c), 0, vbg_isa_name(isa), i);
    for (int n = 0; n < 6; n++)
        guard_free(&in[n]);
    for (int n = 0; n < 3; n++)
        guard_free(&table[n]);
    guard_free(&q);
    guard_free(&y);
    guard_free(&want);
    free(spot);
    free(vec);
    free(sums);
    free(gram);
}

Test(caa, every_isa_against_the_reference)
{
    for (vbg_isa isa = VBG_ISA_AVX2; isa < VBG_ISA_COUNT; isa++) {
        if (isa > vbg_isa_detect())
            continue;
        for (size_t i = 0; i < CASES; i++) {
            try_case(isa, i, VBG_F32);
            if (isa >= VBG_ISA_AVX512_BF16)
                try_case(isa, i, VBG_BF16);
        }
    }
}

/* The published rig: half of each view overlaps its neighbours, all views alike. */
Test(camera, ring_of_eight)
{
    vbg_camera cam[8];
    vbg_caa_level l = { 0 };
    vbg_err err = { 0 };

    for (int i = 0; i < 8; i++)
        cam[i] = vbg_camera_look(90, 45 * i, 0, 512, 512);
    cr_assert_float_eq(cam[0].k[0], 256, 1e-9);
    cr_assert_float_eq(cam[0].k[2], 255.5, 1e-9);
    cr_assert_eq(vbg_caa_level_new(&l, cam, 8, 512, 512, 64, 64, &err), VBG_OK);
    cr_assert_eq(l.poses, 1);
    cr_assert_float_eq((double)l.rows / (64.0 * 64 * 18), 0.469, 1e-3);
    for (size_t i = 0; i < 64 * 64 * 2; i++)
        cr_assert(l.offset[i * 18 + 8] == 0 && l.offset[i * 18 + 9] == 0);
    vbg_caa_level_free(&l);
}

/* A homography and its inverse meet; positive yaw looks right, positive pitch up. */
Test(camera, homographies)
{
    vbg_camera a = vbg_camera_look(90, 0, 0, 200, 200);
    vbg_camera b = vbg_camera_look(90, 30, 10, 200, 200);
    double there[9], back[9], p[2], q[2];

    vbg_camera_homography(there, &a, &b);
    vbg_camera_homography(back, &b, &a);
    cr_assert_gt(vbg_homography_apply(p, there, 120, 80), 0);
    vbg_homography_apply(q, back, p[0], p[1]);
    cr_assert(fabs(q[0] - 120) < 1e-9 && fabs(q[1] - 80) < 1e-9);
    vbg_homography_apply(p, there, 99.5, 99.5);
    cr_assert(p[0] < 99.5 && p[1] > 99.5, "the centre moves left and down: %g %g", p[0],
              p[1]);
}
