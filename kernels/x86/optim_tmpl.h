/* Parameter updates for any vector width: included by optim_<isa>.c after simd.h.  Bound
 * by memory: up to six streams are read and written once.  A rule updates the state of
 * one vector; the loop around it, its tail and the average are shared. */

/* One vector's worth of the arrays, in registers. */
typedef struct lanes {
    vf value, g, m, v, vmax;
} lanes;

typedef void rule(const vbg_update *u, lanes *l);

VF_INLINE void sgd_rule(const vbg_update *u, lanes *l)
{
    vf step = l->g, lr = vf_set1(u->lr), beta1 = vf_set1(u->beta1);

    if (u->m) {
        l->m = vf_fma(l->m, beta1, vf_mul(vf_set1(u->beta1_rest), l->g));
        step = u->nesterov ? vf_fma(beta1, l->m, l->g) : l->m;
    }
    l->value = vf_fnma(lr, step, l->value);
}

VF_INLINE void adam_rule(const vbg_update *u, lanes *l)
{
    vf root, v;

    l->m = vf_fma(l->m, vf_set1(u->beta1), vf_mul(vf_set1(u->beta1_rest), l->g));
    v = vf_mul(vf_set1(u->beta2_rest), vf_mul(l->g, l->g));
    v = l->v = vf_fma(l->v, vf_set1(u->beta2), v);
    if (u->vmax)
        v = l->vmax = vf_max(l->vmax, v);
    root = vf_fma(vf_sqrt(v), vf_set1(u->root_scale), vf_set1(u->eps));
    l->value =
        vf_fnma(vf_set1(u->lr), vf_div(l->m, root), vf_mul(l->value, vf_set1(u->shrink)));
}

VF_INLINE void rmsprop_rule(const vbg_update *u, lanes *l)
{
    vf step = vf_mul(vf_set1(u->beta2_rest), vf_mul(l->g, l->g));

    l->v = vf_fma(l->v, vf_set1(u->beta2), step);
    step = vf_div(l->g, vf_add(vf_sqrt(l->v), vf_set1(u->eps)));
    if (u->m)
        step = l->m = vf_fma(l->m, vf_set1(u->beta1), step);
    l->value = vf_fnma(vf_set1(u->lr), step, l->value);
}

/* n lanes at i, n <= VF. */
VF_INLINE vf take(const float *p, size_t i, size_t n)
{
    return n == VF ? vf_load(p + i) : vf_load_n(p + i, n);
}

VF_INLINE void give(float *p, size_t i, vf v, size_t n)
{
    if (n == VF)
        vf_store(p + i, v);
    else
        vf_store_n(p + i, v, n);
}

VF_INLINE void update_at(const vbg_update *u, size_t i, size_t n, rule *r)
{
    lanes l = { .value = take(u->value, i, n) };

    l.g = vf_fma(take(u->grad, i, n), vf_set1(u->grad_scale),
                 vf_mul(vf_set1(u->decay), l.value));
    l.m = u->m ? take(u->m, i, n) : vf_zero();
    l.v = u->v ? take(u->v, i, n) : vf_zero();
    l.vmax = u->vmax ? take(u->vmax, i, n) : vf_zero();
    r(u, &l);
    give(u->value, i, l.value, n);
    give(u->grad, i, vf_zero(), n);
    if (u->m)
        give(u->m, i, l.m, n);
    if (u->v)
        give(u->v, i, l.v, n);
    if (u->vmax)
        give(u->vmax, i, l.vmax, n);
    if (u->ema) {
        vf e = vf_mul(take(u->ema, i, n), vf_set1(u->ema_decay));
        give(u->ema, i, vf_fma(vf_set1(u->ema_rest), l.value, e), n);
    }
}

VF_INLINE void update(const vbg_update *u, rule *r)
{
    size_t i = 0;

    for (; i + VF <= u->count; i += VF)
        update_at(u, i, VF, r);
    if (i < u->count)
        update_at(u, i, u->count - i, r);
}

static void sgd(const vbg_update *u)
{
    update(u, sgd_rule);
}

static void adam(const vbg_update *u)
{
    update(u, adam_rule);
}

static void rmsprop(const vbg_update *u)
{
    update(u, rmsprop_rule);
}

static double squares(const float *x, size_t count)
{
    double sum = 0;

    while (count) {
        size_t n = count < 256 ? count : 256, i = 0;
        vf s = vf_zero();
        for (; i + VF <= n; i += VF) {
            vf v = vf_load(x + i);
            s = vf_fma(v, v, s);
        }
        if (i < n) {
            vf v = vf_load_n(x + i, n - i);
            s = vf_fma(v, v, s);
        }
        sum += (double)vf_sum(s);
        x += n;
        count -= n;
    }
    return sum;
}

static void fill(vbg_optim_kernels *k)
{
    *k = (vbg_optim_kernels){
        .sgd = sgd, .adam = adam, .rmsprop = rmsprop, .squares = squares
    };
}
