/* What every fuzz target provides (libFuzzer's entry point), and how they are built:
 *
 *     make fuzz              clang with libFuzzer, ASan and UBSan, FUZZ_SECONDS each
 *     make check             replays the corpus without the fuzzer (replay.c)
 */
#ifndef VBG_TESTS_FUZZ_H
#define VBG_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Reads data as one file; returns 0.  Crashing, hanging or leaking is the failure. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#endif
