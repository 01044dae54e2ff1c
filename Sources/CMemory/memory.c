#include "skein_memory.h"

#include <malloc.h>

void skein_bound_heap(void) {
#ifdef __GLIBC__
    // Left to itself glibc raises the size above which a block goes back to the system at once, with every such block that is freed,
    // and keeps an arena for each thread: a process would stay as large as it once was.
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
    mallopt(M_ARENA_MAX, 4);
#endif
}
