#include "CSimdJSON.h"

#include <simdjson.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

// Deep enough for any payload, and shallow enough for recursion over the values on a thread's small stack.
static const size_t max_depth = 256;
static const size_t first_capacity = 4096;

struct skein_json_parser {
    simdjson::dom::parser parser;
    uint8_t *text = nullptr;
    size_t capacity = 0;
    ~skein_json_parser() { std::free(text); }
};

// One huge document must not keep its buffers, about sixteen times its size, for the thread's life.
static bool is_too_large(size_t longest, size_t length) {
    return longest > (size_t(2) << 20) && length < longest / 8;
}

extern "C" skein_json_status skein_json_parse(skein_json_parser *parser, const uint8_t *text, size_t length) {
    if (is_too_large(parser->capacity / 2, length)) {
        std::free(parser->text);
        parser->text = nullptr;
        parser->capacity = 0;
    }
    // simdjson reads up to SIMDJSON_PADDING bytes past the end.
    if (parser->capacity < length + simdjson::SIMDJSON_PADDING) {
        size_t capacity = (length + simdjson::SIMDJSON_PADDING) * 2;
        void *grown = std::realloc(parser->text, capacity);
        if (grown == nullptr) return SKEIN_JSON_MEMORY;
        parser->text = static_cast<uint8_t *>(grown);
        parser->capacity = capacity;
    }
    std::memcpy(parser->text, text, length);
    std::memset(parser->text + length, 0, simdjson::SIMDJSON_PADDING);
    return skein_json_parse_padded(parser, parser->text, length);
}

static_assert(SKEIN_JSON_PADDING >= simdjson::SIMDJSON_PADDING, "simdjson reads further");

extern "C" skein_json_status skein_json_parse_padded(skein_json_parser *parser, const uint8_t *text, size_t length) {
    if (is_too_large(parser->parser.capacity(), length)) parser->parser = simdjson::dom::parser();
    // Left to itself simdjson allocates for its own, larger, maximum depth.
    if (parser->parser.capacity() < length &&
        parser->parser.allocate(std::max(length, first_capacity), max_depth) != simdjson::SUCCESS) {
        return SKEIN_JSON_MEMORY;
    }
    simdjson::error_code error = parser->parser.parse(text, length, false).error();
    switch (error) {
    case simdjson::SUCCESS: return SKEIN_JSON_OK;
    case simdjson::NUMBER_ERROR: return SKEIN_JSON_NUMBER;
    case simdjson::UTF8_ERROR: return SKEIN_JSON_UTF8;
    case simdjson::STRING_ERROR:
    case simdjson::UNESCAPED_CHARS: return SKEIN_JSON_STRING;
    case simdjson::DEPTH_ERROR: return SKEIN_JSON_DEPTH;
    case simdjson::CAPACITY:
    case simdjson::MEMALLOC: return SKEIN_JSON_MEMORY;
    default: return SKEIN_JSON_SYNTAX;
    }
}

extern "C" const uint64_t *skein_json_tape(const skein_json_parser *parser) { return parser->parser.doc.tape.get(); }

extern "C" const uint8_t *skein_json_strings(const skein_json_parser *parser) {
    return parser->parser.doc.string_buf.get();
}

// As many as are in use at the same time on one thread, as a rule: a text in which a text is read.
static const size_t max_spare = 2;
static thread_local std::unique_ptr<skein_json_parser> spare[max_spare];

extern "C" skein_json_parser *skein_json_take_parser(void) {
    for (auto &parser : spare) {
        if (parser) return parser.release();
    }
    return new (std::nothrow) skein_json_parser();
}

extern "C" void skein_json_give_parser(skein_json_parser *given) {
    std::unique_ptr<skein_json_parser> parser(given);
    for (auto &place : spare) {
        if (!place) {
            place = std::move(parser);
            return;
        }
    }
}
