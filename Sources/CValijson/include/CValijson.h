// A C interface to valijson: compile a JSON Schema, check JSON texts against it.
//
// What is checked may be written by an adversary: how deep, how long and how costly it is has bounds, and nothing of it is matched by
// std::regex, whose recursion ends the process. A compiled schema is immutable, and may be used by many threads at once.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct skein_schema skein_schema;

/// Whether the pattern with this index matches somewhere in a text.
typedef bool (*skein_schema_matcher)(const void *context, size_t pattern, const uint8_t *text, size_t length);

typedef enum {
    SKEIN_SCHEMA_CONFORMS,
    SKEIN_SCHEMA_VIOLATES,
    /// Objects and arrays in each other, more than 64.
    SKEIN_SCHEMA_TOO_DEEP,
    /// Longer than 8 MiB, or it would take too many steps.
    SKEIN_SCHEMA_TOO_LARGE,
    SKEIN_SCHEMA_NO_JSON,
    /// Memory is out, or the library gave up.
    SKEIN_SCHEMA_FAILED,
} skein_schema_result;

/// The keyword, and where the value is that violates it.
typedef struct {
    /// One of the keywords; `false` for a schema that nothing conforms to.
    char keyword[32];
    /// An RFC 6901 pointer. Its names are those of the schema: another member stands as `*`. What has no room is left out behind a `…`.
    char pointer[256];
} skein_schema_violation;

/// Compiles `length` bytes of JSON; the caller destroys the result.
///
/// The schema is of draft 7 and known to be valid. It has no `$ref`, `format` and `patternProperties`, and where it has a `pattern` it
/// has the index of one. The schemas in it are at most 24 deep. Null when it cannot be compiled: then `error` says why, in at most `room`
/// bytes with the zero at its end.
skein_schema *skein_schema_compile(const uint8_t *text, size_t length, char *error, size_t room);
void skein_schema_destroy(skein_schema *schema);

/// Checks `length` bytes of JSON. Doubles without a fraction are integers, integers above the largest signed one are doubles.
///
/// `violation` is filled in when the result is `SKEIN_SCHEMA_VIOLATES`; `context` is what the matcher is called with.
skein_schema_result skein_schema_check(
    const skein_schema *schema, const uint8_t *text, size_t length, skein_schema_matcher matcher, const void *context,
    skein_schema_violation *violation);

#ifdef __cplusplus
}
#endif
