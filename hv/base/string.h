/* SPDX-License-Identifier: BSD-2-Clause */
/* The few string functions that a freestanding build needs. */
#ifndef HV_BASE_STRING_H
#define HV_BASE_STRING_H

#include <hv/base/types.h>

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);

/* Copies at most size - 1 bytes and always terminates; false if it was cut. */
bool str_copy(char *dst, const char *src, size_t size);

/* Formats like snprintf; knows %s %c %d %i %u %x %p %%, l/ll/z, width, 0, -, .N for %s. */
int str_format(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
int str_vformat(char *buf, size_t size, const char *fmt, __builtin_va_list ap);

#endif
