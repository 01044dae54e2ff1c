#pragma once

/// Makes the allocator give back what a burst took. Called once, before there are threads.
void skein_bound_heap(void);
