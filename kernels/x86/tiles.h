/* The AMX tile configuration that all kernels share. */
#ifndef VBG_KERNELS_X86_TILES_H
#define VBG_KERNELS_X86_TILES_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

/* All eight tiles 16 rows x 64 bytes.  Tile state belongs to the thread, so every
 * kernel call sets it.  gcc 12 may drop plain stores into the struct: volatile. */
static inline void tiles_on(void)
{
    volatile struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t colsb[16];
        uint8_t rows[16];
    } config;

    for (size_t i = 0; i < sizeof config; i++)
        ((volatile uint8_t *)&config)[i] = 0;
    config.palette = 1;
    for (int i = 0; i < 8; i++) {
        config.rows[i] = 16;
        config.colsb[i] = 64;
    }
    __asm__ volatile("" ::: "memory");
    _tile_loadconfig((const void *)(uintptr_t)&config);
}

#endif
