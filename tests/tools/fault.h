/* The functions that tests/tools/fault.c puts in place of the C library's. */
#ifndef VBG_TESTS_FAULT_H
#define VBG_TESTS_FAULT_H

#include <sys/types.h>

int fsync(int fd);
int rename(const char *from, const char *to);
int ftruncate(int fd, off_t length);
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at);

#endif
