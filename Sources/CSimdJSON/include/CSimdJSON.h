// A C interface to simdjson: parse a text, then read its tape.
//
// A parser is taken, used on one thread at a time, and given back. Its tape and strings are valid until its next parse, or until it is
// given back.
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

// One of the calling thread's spare parsers, or a new one. NULL when there is no memory.
skein_json_parser *skein_json_take_parser(void);

// Makes a parser a spare one of the calling thread, with which it ends; ends it when there are enough.
void skein_json_give_parser(skein_json_parser *parser);

// Parses `length` bytes, at least one; they are copied, so no padding is needed.
skein_json_status skein_json_parse(skein_json_parser *parser, const uint8_t *text, size_t length);

// How many bytes may be read behind a padded text, whatever they are.
enum { SKEIN_JSON_PADDING = 64 };

// Parses `length` bytes, at least one, where they are: SKEIN_JSON_PADDING bytes behind them can be read.
skein_json_status skein_json_parse_padded(skein_json_parser *parser, const uint8_t *text, size_t length);

// simdjson's tape of the last successful parse: words whose top byte is the type (r [ ] { } " l u d t f n).
const uint64_t *skein_json_tape(const skein_json_parser *parser);
// The strings that the tape points into: a 32-bit length in the machine's byte order, then the bytes.
const uint8_t *skein_json_strings(const skein_json_parser *parser);

#ifdef __cplusplus
}
#endif
