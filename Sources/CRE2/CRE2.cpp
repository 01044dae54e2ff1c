#include "CRE2.h"

#include <re2/re2.h>

#include <new>

struct skein_re2 {
    re2::RE2 expression;
    skein_re2(const re2::StringPiece &text, const re2::RE2::Options &options) : expression(text, options) {}
};

extern "C" skein_re2 *skein_re2_compile(const uint8_t *expression, size_t length) {
    re2::RE2::Options options;
    options.set_log_errors(false);
    return new (std::nothrow) skein_re2(re2::StringPiece(reinterpret_cast<const char *>(expression), length), options);
}

extern "C" void skein_re2_destroy(skein_re2 *expression) { delete expression; }

extern "C" const char *skein_re2_error(const skein_re2 *expression) {
    return expression->expression.ok() ? nullptr : expression->expression.error().c_str();
}
