/* Errors, checked size arithmetic and the few words every layer shares.
 *
 * Three kinds of error, three mechanisms:
 *   the programmer is wrong   VBG_CHECK prints and aborts
 *   the world is wrong        vbg_status, with a text in the caller's vbg_err
 *   nothing can go wrong      void
 */
#ifndef VBG_ENGINE_BASE_H
#define VBG_ENGINE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero is success; the tools turn VBG_EUSAGE into exit code 2, the rest into 1. */
typedef enum vbg_status {
    VBG_OK = 0,
    VBG_EIO = -1,          /* the operating system said no                 */
    VBG_EFORMAT = -2,      /* a file or stream is damaged or lies          */
    VBG_EUSAGE = -3,       /* an option or a combination of them is wrong  */
    VBG_ENOMEM = -4,       /* not enough memory                            */
    VBG_EUNSUPPORTED = -5, /* valid, but not handled by this build         */
    VBG_ELIMIT = -6,       /* beyond a documented limit                    */
    VBG_ECANCEL = -7       /* the caller's callback or a signal said stop  */
} vbg_status;

/* One line for the user: object, what is wrong, what to do.  Starts empty. */
typedef struct vbg_err {
    char text[1024];
} vbg_err;

#define VBG_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Copies src to dst (size bytes, at least 10) with control characters as \xNN, cut
 * where it does not fit. */
void vbg_escape_controls(char *dst, size_t size, const char *src);

/* Writes the text (control characters become \xNN) and returns st.
 * err may be NULL.  The first text wins: an err that is not empty stays. */
vbg_status vbg_fail(vbg_err *err, vbg_status st, const char *fmt, ...) VBG_PRINTF(3, 4);

/* Prints the text with its place and aborts: for broken contracts only. */
_Noreturn void vbg_panic(const char *file, int line, const char *fmt, ...)
    VBG_PRINTF(3, 4);

#define VBG_CHECK(cond, ...)                                                             \
    do {                                                                                 \
        if (!(cond))                                                                     \
            vbg_panic(__FILE__, __LINE__, __VA_ARGS__);                                  \
    } while (0)

/* Checked arithmetic for sizes that come from files: false on overflow, *out
 * is then untouched.  align is a power of two. */
bool vbg_mul_size(size_t *out, size_t a, size_t b);
bool vbg_add_size(size_t *out, size_t a, size_t b);
bool vbg_align_up(size_t *out, size_t a, size_t align);

/* For sizes that are already known to be small. */
static inline size_t vbg_round_up(size_t a, size_t unit)
{
    return (a + unit - 1) / unit * unit;
}

static inline int vbg_min_int(int a, int b)
{
    return a < b ? a : b;
}

static inline int vbg_max_int(int a, int b)
{
    return a > b ? a : b;
}

/* Element types of tensors and files. */
typedef enum vbg_dtype {
    VBG_F32,
    VBG_BF16,
    VBG_F16,
    VBG_I8,
    VBG_U8,
    VBG_I32,
    VBG_I64,
    VBG_F64,
    VBG_BOOL,
    VBG_DTYPES
} vbg_dtype;

/* Bytes of one element. */
size_t vbg_dtype_size(vbg_dtype t);
/* Lower-case name ("f32", "bf16", ...). */
const char *vbg_dtype_name(vbg_dtype t);

/* Scalar conversions, round to nearest even; NaN stays NaN. */
float vbg_bf16_to_f32(uint16_t v);
uint16_t vbg_f32_to_bf16(float v);
float vbg_f16_to_f32(uint16_t v);
uint16_t vbg_f32_to_f16(float v);

/* Aligned zeroed memory (64 bytes, followed by 64 readable bytes) or NULL.
 * Freed with vbg_free_mem, which accepts NULL. */
void *vbg_alloc(size_t bytes);
void vbg_free_mem(void *p);

/* Monotonic clock in seconds. */
double vbg_now(void);

#endif
