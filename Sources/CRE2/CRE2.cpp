#include "CRE2.h"

#include <re2/re2.h>

#include <new>
#include <vector>

struct skein_re2 {
    re2::RE2 expression;
    skein_re2(const re2::StringPiece &text, const re2::RE2::Options &options) : expression(text, options) {}
};

static re2::StringPiece piece(const uint8_t *bytes, size_t length) {
    return re2::StringPiece(bytes == nullptr ? "" : reinterpret_cast<const char *>(bytes), length);
}

static skein_re2_range range_in(const re2::StringPiece &text, const re2::StringPiece &found) {
    if (found.data() == nullptr) return {-1, -1};
    ptrdiff_t start = found.data() - text.data();
    return {start, start + static_cast<ptrdiff_t>(found.size())};
}

extern "C" skein_re2 *skein_re2_compile(const uint8_t *expression, size_t length) {
    re2::RE2::Options options;
    options.set_log_errors(false);
    return new (std::nothrow) skein_re2(piece(expression, length), options);
}

extern "C" void skein_re2_destroy(skein_re2 *expression) { delete expression; }

extern "C" const char *skein_re2_error(const skein_re2 *expression) {
    return expression->expression.ok() ? nullptr : expression->expression.error().c_str();
}

extern "C" bool skein_re2_search(
    const skein_re2 *expression, const uint8_t *text, size_t length, size_t from, skein_re2_range *match) {
    re2::StringPiece whole = piece(text, length);
    if (match == nullptr) {
        return expression->expression.Match(whole, from, length, re2::RE2::UNANCHORED, nullptr, 0);
    }
    re2::StringPiece found;
    if (!expression->expression.Match(whole, from, length, re2::RE2::UNANCHORED, &found, 1)) return false;
    *match = range_in(whole, found);
    return true;
}

extern "C" bool skein_re2_groups(
    const skein_re2 *expression, const uint8_t *text, size_t length, size_t start, size_t end,
    skein_re2_range *groups, int count) {
    re2::StringPiece whole = piece(text, length);
    std::vector<re2::StringPiece> found(count);
    if (!expression->expression.Match(whole, start, end, re2::RE2::ANCHOR_BOTH, found.data(), count)) return false;
    for (int index = 0; index < count; index++) groups[index] = range_in(whole, found[index]);
    return true;
}
