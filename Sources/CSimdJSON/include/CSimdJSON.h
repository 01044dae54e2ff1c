// A C interface to simdjson: parse a text, then read its tape.
//
// Each thread has a parser of its own. The tape and the strings are valid until the thread's next parse.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct skein_json_parser skein_json_parser;

// What simdjson made of a text.
typedef enum {
    SKEIN_JSON_OK = 0,
    // Not JSON: structure, literals, or more after the value.
    SKEIN_JSON_SYNTAX = 1,
    // A number outside of what 64 bits hold (an integer from 2^64 on, or 1e400), or a malformed one.
    SKEIN_JSON_NUMBER = 2,
    // Bytes that are not UTF-8.
    SKEIN_JSON_UTF8 = 3,
    // A string with a raw control character, an unknown escape or a lone surrogate.
    SKEIN_JSON_STRING = 4,
    // Nested 256 levels or deeper; an empty innermost object or array does not count.
    SKEIN_JSON_DEPTH = 5,
    SKEIN_JSON_MEMORY = 6,
} skein_json_status;

// The calling thread's parser; it ends with the thread. NULL when there is no memory.
skein_json_parser *skein_json_thread_parser(void);

// Parses `length` bytes, at least one; they are copied, so no padding is needed.
skein_json_status skein_json_parse(skein_json_parser *parser, const uint8_t *text, size_t length);

// simdjson's tape of the last successful parse: words whose top byte is the type (r [ ] { } " l u d t f n).
const uint64_t *skein_json_tape(const skein_json_parser *parser);
// The strings that the tape points into: a 32-bit length in the machine's byte order, then the bytes.
const uint8_t *skein_json_strings(const skein_json_parser *parser);

#ifdef __cplusplus
}
#endif
