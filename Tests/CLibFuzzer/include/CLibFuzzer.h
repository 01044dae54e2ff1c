#pragma once
#include <stddef.h>
#include <stdint.h>

/// libFuzzer's own mutation, from its runtime library: changes `size` bytes in place, to at most `max_size`, and returns the new size.
size_t LLVMFuzzerMutate(uint8_t *_Nonnull data, size_t size, size_t max_size);
