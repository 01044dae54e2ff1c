// A C interface to RE2: compile an expression, search a text. Time is linear in the text, whatever the expression.
//
// An expression is immutable once compiled, and may be searched with by many threads at once.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct skein_re2 skein_re2;

/// Compiles `length` bytes of UTF-8; the caller destroys the result. Null when memory is out.
skein_re2 *skein_re2_compile(const uint8_t *expression, size_t length);
void skein_re2_destroy(skein_re2 *expression);

/// What is wrong with the expression; null when nothing is. Valid as long as the expression.
const char *skein_re2_error(const skein_re2 *expression);

#ifdef __cplusplus
}
#endif
