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

/// Offsets in bytes; both are -1 for a group that took no part.
typedef struct {
    ptrdiff_t start;
    ptrdiff_t end;
} skein_re2_range;

/// Compiles `length` bytes of UTF-8; the caller destroys the result. Null when memory is out.
skein_re2 *skein_re2_compile(const uint8_t *expression, size_t length);
void skein_re2_destroy(skein_re2 *expression);

/// What is wrong with the expression; null when nothing is. Valid as long as the expression.
const char *skein_re2_error(const skein_re2 *expression);

/// Finds the leftmost match at or behind `from`; `match` may be null. With a `match` RE2 runs its automaton twice, and never the slower
/// machine that groups need.
bool skein_re2_search(
    const skein_re2 *expression, const uint8_t *text, size_t length, size_t from, skein_re2_range *match);

/// The first `count` groups of the match that is known to reach from `start` to `end`; group 0 is the match itself.
bool skein_re2_groups(
    const skein_re2 *expression, const uint8_t *text, size_t length, size_t start, size_t end,
    skein_re2_range *groups, int count);

#ifdef __cplusplus
}
#endif
